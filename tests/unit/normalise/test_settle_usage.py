"""Every token once: the shapes in which emitters repeat usage, and the calls that only look alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.normalise.settle import settle
from tests.unit.normalise.settle_facts import fact


def llm(span_id: str, parent: str = "", tokens: int | None = 10, **fields: Any):
    given = {"category": "llm", "input_tokens": tokens, "output_tokens": tokens, "cost_status": "priced"}
    if tokens is not None:
        given["cost_usd"] = Decimal(tokens)
    return fact(span_id, parent, **(given | fields))


def rollup(span_id: str, parent: str = "", tokens: int = 10, category: str = "agent", **fields: Any):
    return fact(span_id, parent, category=category, input_tokens=tokens, output_tokens=tokens, **fields)


def counted(settled: SettledTrace) -> set[str]:
    return {row.span_id for row in settled.spans if row.counted}


SHAPES = {
    "one call": ([llm("a")], {"a"}),
    "agent over two calls": ([rollup("r", tokens=30), llm("a", "r"), llm("b", "r", 20)], {"a", "b"}),
    "framework's span over an SDK's": ([llm("outer"), llm("inner", "outer")], {"inner"}),
    "proxy: three layers": (
        [llm("p", category="server"), llm("request", "p"), llm("raw", "request")],
        {"raw"},
    ),
    "agent, cycle, call": (
        [rollup("agent", tokens=99), rollup("cycle", "agent", category="workflow"), llm("chat", "cycle")],
        {"chat"},
    ),
    "engine below its client": ([llm("client"), rollup("engine", "client", category="server")], {"client"}),
    "engine below a client that saw no usage": (
        [llm("client", tokens=None), rollup("engine", "client", category="server")],
        {"engine"},
    ),
    "engine alone": ([rollup("engine", "elsewhere", category="server")], {"engine"}),
    "client, gateway, engine": (
        [llm("client"), llm("gateway", "client"), rollup("engine", "gateway", category="server")],
        {"gateway"},
    ),
    "only the agent tells": ([rollup("agent"), llm("a", "agent", None), llm("b", "agent", None)], {"agent"}),
    "only the inner agent tells, and the outer": ([rollup("x"), rollup("y", "x")], {"y"}),
    "retries: the attempt that answered": (
        [llm("outer"), llm("one", "outer", None, status_code="error"), llm("two", "outer")],
        {"two"},
    ),
    "inner span without usage": ([llm("outer"), llm("inner", "outer", None)], {"outer"}),
    "inner span with zeros": ([llm("outer"), llm("inner", "outer", 0)], {"outer", "inner"}),
    "embedding inside a call": (
        [llm("call"), llm("vector", "call", category="embedding")],
        {"call", "vector"},
    ),
    "embed many over embed": (
        [llm("many", category="embedding"), llm("one", "many", category="embedding")],
        {"one"},
    ),
    "model called by a tool of a model": (
        [llm("outer"), fact("tool", "outer", category="tool"), llm("inner", "tool")],
        {"outer", "inner"},
    ),
    "streaming wrapper with its own call and a tool": (
        [
            rollup("ai.streamText", tokens=20, category="llm"),
            llm("doStream", "ai.streamText"),
            fact("toolCall", "ai.streamText", category="tool"),
            llm("nested", "toolCall"),
        ],
        {"doStream", "nested"},
    ),
    "agent called by a tool of a model": (
        [llm("outer"), fact("tool", "outer", category="tool"), rollup("agent", "tool")],
        {"outer", "agent"},
    ),
    "engine two spans below its client": (
        [llm("client"), fact("http", "client"), rollup("engine", "http", category="server")],
        {"client"},
    ),
    "guardrail with usage of its own": ([rollup("g", category="guardrail")], {"g"}),
    "raw request span below a call": ([llm("call"), rollup("raw", "call", category="other")], {"call"}),
    "cost without tokens": (
        [llm("a", tokens=None, cost_usd=Decimal(1), cost_status="reported"), rollup("agent", category="agent")],
        {"a", "agent"},
    ),
    "far below": (
        [llm("outer"), fact("x", "outer"), fact("y", "x", category="workflow"), llm("inner", "y")],
        {"inner"},
    ),
}


@pytest.mark.parametrize(("facts", "expected"), SHAPES.values(), ids=SHAPES.keys())
def test_shapes(facts, expected):
    assert counted(settle("p", facts, 1)) == expected


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # Two instrumentors side by side saw one call.
        ({"start_ns": 105, "end_ns": 195}, {"a"}),
        ({"start_ns": 105, "end_ns": 195, "input_tokens": 99}, {"a"}),
        # A cache gave the same response again.
        ({"start_ns": 500, "end_ns": 600}, {"a"}),
        # A server that gives every response the same id.
        ({"start_ns": 500, "end_ns": 600, "input_tokens": 99}, {"a", "b"}),
        ({"start_ns": 105, "end_ns": 195, "response_id": "other"}, {"a", "b"}),
        ({"start_ns": 105, "end_ns": 195, "response_id": ""}, {"a", "b"}),
    ],
)
def test_doubles_by_response_id(second, expected):
    given = {"response_id": "chatcmpl-1", "start_ns": 100, "end_ns": 200}
    facts = [llm("root", tokens=None), llm("a", "root", **given), llm("b", "root", **(given | second))]
    settled = settle("p", facts, 1)
    assert counted(settled) == expected
    assert settled.trace.llm_count == len(expected)


def test_of_equal_doubles_the_smaller_span_id_counts():
    same = {"response_id": "r", "start_ns": 100, "end_ns": 200}
    assert counted(settle("p", [llm("b", **same), llm("a", **same)], 1)) == {"a"}


def test_sums_run_over_counted_spans_only_and_stay_unknown_when_nobody_said():
    outer = llm("outer", tokens=50, cost_usd=Decimal("5"), cache_read_tokens=40)
    inner = llm("inner", "outer", 7, cost_usd=Decimal("0.000000000001"), cost_input_usd=Decimal("0.000000000001"))
    other = llm("other", "outer", 3, cost_usd=Decimal("0.1"), reasoning_tokens=2)
    trace = settle("p", [outer, inner, other], 1).trace
    assert (trace.input_tokens, trace.output_tokens) == (10, 10)
    assert (trace.cache_read_tokens, trace.cache_write_tokens, trace.reasoning_tokens) == (None, None, 2)
    assert trace.cost_usd == Decimal("0.100000000001")
    assert (trace.cost_input_usd, trace.cost_output_usd) == (Decimal("0.000000000001"), None)
    assert trace.llm_count == 2


def test_sums_that_no_column_holds_are_left_out():
    facts = [llm(str(n), tokens=2**63, cost_usd=Decimal(999_999)) for n in range(3)]
    trace = settle("p", facts, 1).trace
    assert (trace.input_tokens, trace.cost_usd, trace.cost_status) == (None, None, "partial")


PRICED_AGENT = rollup("agent", cost_usd=Decimal(3), cost_input_usd=Decimal(2), cost_status="priced")


def test_money_of_agents_stands_where_it_counts_and_nowhere_else():
    alone = settle("p", [PRICED_AGENT], 1)
    assert (alone.trace.cost_usd, alone.trace.cost_status) == (Decimal(3), "priced")
    assert alone.spans[0].cost_usd == Decimal(3)
    above = settle("p", [PRICED_AGENT, llm("a", "agent", 7)], 1)
    assert (above.trace.cost_usd, above.trace.input_tokens) == (Decimal(7), 7)
    [agent] = [row for row in above.spans if row.span_id == "agent"]
    assert (agent.counted, agent.cost_usd, agent.cost_input_usd, agent.cost_status) == (False, None, None, "")
    assert agent.input_tokens == 10
    # What its sender says it cost is shown.
    told = rollup("agent", cost_usd=Decimal(3), cost_status="reported")
    assert settle("p", [told, llm("a", "agent")], 1).spans[1].cost_usd == Decimal(3)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([fact("a")], ""),
        ([llm("a")], "priced"),
        ([llm("a", cost_status="unpriced", cost_usd=None)], "unpriced"),
        ([llm("a"), llm("b", cost_status="unpriced", cost_usd=None)], "partial"),
        ([llm("a"), llm("b", cost_status="partial")], "partial"),
        ([llm("a", cost_status="reported"), llm("b", cost_status="reported")], "reported"),
        ([llm("a"), llm("b", cost_status="reported")], "reported"),
        # A call that left no figures: its cost is unknown, not zero …
        ([llm("a", tokens=None, cost_status="unpriced")], "unpriced"),
        ([llm("a"), llm("b", tokens=None, cost_status="unpriced")], "partial"),
        # … unless it failed, or is a wrapper or a shadow of one that did.
        ([llm("a"), llm("b", tokens=None, cost_status="unpriced", status_code="error")], "priced"),
        ([llm("a", tokens=None, cost_status="unpriced"), llm("b", "a")], "priced"),
        ([llm("a"), llm("b", "a", tokens=None, cost_status="unpriced")], "priced"),
        ([llm("a", response_id="r"), llm("b", tokens=None, response_id="r")], "priced"),
        ([rollup("agent")], "unpriced"),
        # … or a span above it sums up what was used, and counts.
        ([PRICED_AGENT, llm("a", "agent", None), llm("b", "agent", None)], "priced"),
        ([PRICED_AGENT, llm("a", "agent", None), llm("b", tokens=None)], "partial"),
    ],
)
def test_cost_status(facts, status):
    assert settle("p", facts, 1).trace.cost_status == status
