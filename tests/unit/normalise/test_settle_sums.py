"""Calls whose usage a later call of the same loop tells again, as Spring AI 1.x does."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle import settle
from tests.unit.normalise.settle_facts import fact

CLIENT = fact("client", category="workflow", dialect="spring_ai", start_ns=1, end_ns=1000)


def call(name: str, start_ns: int, tokens: tuple[int, int], parent: str = "client", **more: Any) -> SpanFacts:
    given = {"category": "llm", "dialect": "spring_ai", "request_model": "m", "end_ns": start_ns + 50} | more
    return fact(name, parent, start_ns=start_ns, input_tokens=tokens[0], output_tokens=tokens[1], **given)


def tool(name: str, start_ns: int, parent: str = "client") -> SpanFacts:
    return fact(name, parent, category="tool", dialect="spring_ai", start_ns=start_ns, end_ns=start_ns + 10)


def counted(*facts: SpanFacts) -> tuple[dict[str, str], int | None, int | None, int]:
    settled = settle("p", list(facts), 1)
    reasons = {row.span_id: row.counted_reason for row in settled.spans if row.category == "llm" and not row.counted}
    return reasons, settled.trace.input_tokens, settled.trace.output_tokens, settled.trace.llm_count


def test_the_last_call_of_a_loop_tells_all() -> None:
    loop = [
        CLIENT,
        call("a", 100, (100, 10)),
        tool("t", 160),
        call("b", 200, (250, 30)),
        tool("u", 260),
        call("c", 300, (450, 35)),
    ]
    expected = ({"a": "summed_by: c", "b": "summed_by: c"}, 450, 35, 3)
    assert counted(*loop) == expected
    assert counted(*reversed(loop)) == expected


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([call("b", 200, (250, 30))], id="no tool between"),
        pytest.param([tool("t", 160), call("b", 200, (90, 30))], id="fewer tokens than before"),
        pytest.param([tool("t", 160), call("b", 200, (250, 5))], id="fewer tokens out than before"),
        pytest.param([call("b", 200, (250, 30)), tool("t", 260)], id="a tool afterwards"),
        pytest.param([tool("t", 110), call("b", 120, (250, 30))], id="at the same time"),
        pytest.param([tool("t", 160), call("b", 200, (250, 30), request_model="other")], id="another model"),
        pytest.param([tool("t", 160), call("b", 200, (250, 30), dialect="otel")], id="another instrumentation"),
        pytest.param([tool("t", 160, "a"), call("b", 200, (250, 30))], id="a tool within the call"),
    ],
)
def test_two_calls_are_two(others: list[SpanFacts]) -> None:
    first = call("a", 100, (100, 10))
    second = next(each for each in others if each.category == "llm")
    assert second.input_tokens is not None
    reasons, input_tokens, _, calls = counted(CLIENT, first, *others)
    assert (reasons, input_tokens, calls) == ({}, 100 + second.input_tokens, 2)


def test_without_a_client_the_loop_cannot_be_told() -> None:
    mine = fact("client", category="workflow", dialect="otel", start_ns=1, end_ns=1000)
    assert counted(mine, call("a", 100, (100, 10)), tool("t", 160), call("b", 200, (250, 30)))[:2] == ({}, 350)


def test_two_loops_under_one_client() -> None:
    assert counted(
        CLIENT,
        *(call("a", 100, (100, 10)), tool("t", 160), call("b", 200, (250, 30))),
        *(call("c", 300, (100, 10)), tool("u", 360), call("d", 400, (300, 20))),
    ) == ({"a": "summed_by: b", "c": "summed_by: d"}, 550, 50, 4)
