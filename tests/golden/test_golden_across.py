"""Recorded calls that two instrumentations put into two traces: together they are what was served, once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import all_cases, spans_of, truth_of
from tests.golden.test_golden import list_price, told_usage
from tests.unit.normalise.settle_facts import settle_all


def is_told_in_two_traces(case: str) -> bool:
    """Tell whether a case has calls in more traces than the provider served calls."""
    return len({span.raw.trace_id for span in spans_of(case) if span.usage.known}) > len(truth_of(case))


TWICE = [case for case in all_cases() if is_told_in_two_traces(case)]


def test_there_are_such_cases() -> None:
    by_id = {"openllmetry_anthropic_chat", "openllmetry_anthropic_stream", "openllmetry_anthropic_tools"}
    assert by_id | {"logfire_anthropic_stream", "langsmith_anthropic_chat"} <= set(TWICE)


@pytest.mark.parametrize("case", TWICE)
def test_tokens_and_cost_are_those_served(case: str) -> None:
    facts, truths = [], truth_of(case)
    for span in spans_of(case):
        span.cost = price(span)
        facts.append(facts_of(1, 0, span))
    traces = [one.trace for one in settle_all(facts).values()]
    assert sum(trace.input_tokens or 0 for trace in traces) == sum(truth.input_tokens or 0 for truth in truths)
    assert sum(trace.output_tokens or 0 for trace in traces) == sum(truth.output_tokens or 0 for truth in truths)
    assert sum(trace.llm_count for trace in traces) == len(truths)
    told = [(truth, told_usage(case, truth, of_client=True)) for truth in truths]
    at_ns = traces[0].start_ns
    assert sum(trace.cost_usd or Decimal(0) for trace in traces) == sum(
        list_price(truth, usage, at_ns) for truth, usage in told if usage is not None
    )
