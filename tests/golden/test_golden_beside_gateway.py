"""Recorded calls that a gateway reports too, in traces of its own and by a clock that is off: each counts once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle_ids import is_random
from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import all_cases, spans_of, truth_of
from tests.unit.normalise.settle_facts import settle_all


def facts_in(case: str) -> list[SpanFacts]:
    """Return the facts of a recording."""
    spans = spans_of(case)
    for span in spans:
        span.cost = price(span)
    return [facts_of(1, 0, span) for span in spans]


def tells_all_ids(case: str) -> bool:
    """Tell whether every call that was answered is reported with the id and the figures it was served with."""
    told = {(fact.response_id, fact.input_tokens, fact.output_tokens) for fact in facts_in(case)}
    served = {(each.response_id, each.input_tokens, each.output_tokens) for each in truth_of(case)}
    return served <= told and all(is_random(response_id) for response_id, _, _ in served)


CASES = [case for case in all_cases() if tells_all_ids(case)]


def gateway_of(facts: list[SpanFacts], case: str, by_ns: int) -> list[SpanFacts]:
    """Return what a gateway on another machine tells of the calls: what was served, under a name of its own."""
    made = []
    for number, served in enumerate(truth_of(case)):
        call = next(fact for fact in facts if fact.response_id == served.response_id and fact.input_tokens)
        made.append(
            replace(
                call, trace_id=f"{number:032x}", span_id=f"{number:016x}", parent_span_id="", scope_name="a gateway",
                service_name="gateway", host_name="gw-1", request_model="alias", response_model="alias",
                cost_usd=None, cost_input_usd=None, cost_output_usd=None, cost_status="unpriced",
                start_ns=call.start_ns + by_ns, end_ns=call.end_ns + by_ns,
                input_tokens=served.input_tokens, output_tokens=served.output_tokens,
            )
        )  # fmt: skip
    return made


def totals(facts: list[SpanFacts]) -> tuple[int, int, Decimal, int]:
    """Return the tokens, the money and the number of calls of all traces together."""
    traces = [one.trace for one in settle_all(facts).values()]
    return (
        sum(trace.input_tokens or 0 for trace in traces),
        sum(trace.output_tokens or 0 for trace in traces),
        sum((trace.cost_usd or Decimal(0) for trace in traces), Decimal(0)),
        sum(trace.llm_count for trace in traces),
    )


def test_most_recordings_are_among_them() -> None:
    assert len(CASES) > 60
    assert {"genai_anthropic_tools", "openinference_langchain_agent", "langsmith_chat", "engines_vllm_chat"} <= set(
        CASES
    )


@pytest.mark.parametrize("by_s", [0, -31, 47])
@pytest.mark.parametrize("case", CASES)
def test_each_call_counts_once(case: str, by_s: int) -> None:
    facts = facts_in(case)
    alone, both = totals(facts), totals([*facts, *gateway_of(facts, case, by_s * NS_PER_S)])
    assert both == alone
