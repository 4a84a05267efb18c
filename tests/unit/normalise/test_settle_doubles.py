"""One call reported by several spans: who counts, why, and what merely looks alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.normalise import settle_doubles
from spanhouse_server.normalise.settle import settle
from tests.steps import growth
from tests.unit.normalise.settle_facts import fact
from tests.unit.normalise.test_settle_usage import counted, llm, rollup


def call(span_id: str, parent: str = "", scope: str = "openinference", **fields: Any):
    """Return a model call of 10 and 10 tokens from 100 to 200 ns, by an instrumentation."""
    given = {"scope_name": scope, "request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06"}
    return llm(span_id, parent, **(given | fields))


def reasons(facts: list[Any]) -> dict[str, str]:
    return {row.span_id: row.counted_reason for row in settle("p", facts, 1).spans}


def test_every_reason():
    facts = [
        rollup("agent", tokens=30),
        llm("outer", "agent", 10),
        llm("inner", "outer", 10, start_ns=110),
        rollup("engine", "inner", category="server"),
        llm("again", "agent", 20, response_id="r"),
        llm("again2", "agent", 20, response_id="r", start_ns=150),
        fact("tool", "agent", category="tool"),
        llm("silent", "agent", None),
        rollup("alone", category="guardrail"),
    ]
    assert reasons(facts) == {
        "agent": "repeats_children",
        "outer": "wraps_call",
        "inner": "model_call",
        "engine": "inside_call",
        "again": "best_informed",
        "again2": "same_response: again",
        "tool": "",
        "silent": "",
        "alone": "only_figures",
    }


@pytest.mark.parametrize(
    ("second", "is_double"),
    [
        ({}, True),
        # Inside the other, overlapping it, or a record without length within it.
        ({"start_ns": 120, "end_ns": 180}, True),
        ({"start_ns": 150, "end_ns": 300}, True),
        ({"start_ns": 200, "end_ns": 200}, True),
        # One of them does not tell the model served, or has no response id.
        ({"response_model": ""}, True),
        ({"response_model": "", "request_model": "openai/gpt-4o"}, True),
        ({"request_model": "", "response_model": "gpt-4o"}, True),
        ({"response_id": "r"}, True),
        # What tells two calls apart.
        ({"scope": "openinference"}, False),
        ({"start_ns": 200, "end_ns": 300}, False),
        ({"start_ns": 0, "end_ns": 0}, False),
        ({"response_model": "gpt-4o-mini"}, False),
        ({"response_model": "", "request_model": ""}, False),
        ({"input_tokens": 11}, False),
        ({"output_tokens": None}, False),
        ({"category": "embedding"}, False),
    ],
)
def test_two_instrumentations_without_two_ids_to_compare(second, is_double):
    facts = [call("a", "root"), call("b", "root", **({"scope": "openai_v2"} | second)), fact("root")]
    settled = settle("p", facts, 1)
    assert len(counted(settled)) == (1 if is_double else 2)
    assert settled.trace.llm_count == (2 - is_double if second.get("category") != "embedding" else 1)


def test_two_ids_that_differ_are_two_calls():
    assert len(counted(settle("p", [call("a", response_id="1"), call("b", scope="x", response_id="2")], 1))) == 2


def test_equal_parallel_calls_each_seen_twice_are_as_many_calls():
    facts = [call(f"{scope}{number}", scope=scope, start_ns=100 + number) for scope in "xyz" for number in range(5)]
    settled = settle("p", facts, 1)
    assert settled.trace.llm_count == len(counted(settled)) == 5
    assert settled.trace.input_tokens == 50


def test_a_model_called_by_a_tool_of_a_model_is_another_call():
    facts = [call("outer"), fact("tool", "outer", category="tool"), call("inner", "tool", "other", start_ns=120)]
    assert counted(settle("p", facts, 1)) == {"outer", "inner"}


def test_the_best_informed_report_counts_so_that_cached_tokens_are_not_paid_in_full():
    knows = {"cache_read_tokens": 8, "cost_usd": Decimal(3)}
    beside = [call("a", cost_usd=Decimal(9)), call("b", scope="x", start_ns=110, **knows)]
    assert reasons(beside) == {"a": "same_call: b", "b": "best_informed"}
    wrapping = [call("outer", **knows), call("inner", "outer", "x", cost_usd=Decimal(9))]
    settled = settle("p", wrapping, 1)
    assert (settled.trace.cost_usd, settled.trace.llm_count) == (Decimal(3), 1)
    assert reasons(wrapping) == {"outer": "best_informed", "inner": "same_call: outer"}
    ids = [llm("a", response_id="r"), llm("b", response_id="r", start_ns=110, **knows)]
    assert reasons(ids) == {"a": "same_response: b", "b": "best_informed"}


def test_a_report_that_could_be_priced_goes_before_one_that_could_not():
    unpriced = {"cost_status": "unpriced", "cost_usd": None, "cache_read_tokens": 1, "reasoning_tokens": 1}
    assert counted(settle("p", [call("outer"), call("inner", "outer", "x", **unpriced)], 1)) == {"outer"}
    assert counted(settle("p", [call("a", **unpriced), call("b", scope="x")], 1)) == {"b"}


@pytest.mark.parametrize(
    "inner",
    [
        [call("one", "outer", "x"), call("two", "outer", "x", start_ns=120)],
        [call("one", "outer", "x", input_tokens=9)],
        [call("one", "outer", "x", response_id="other")],
    ],
)
def test_a_wrapper_of_other_or_several_calls_never_counts(inner):
    outer = call("outer", cache_read_tokens=1, response_id="mine")
    assert counted(settle("p", [outer, *inner], 1)) == {each.span_id for each in inner}


def test_doubles_below_a_wrapper_are_one_call():
    facts = [
        call("outer", cache_read_tokens=5),
        call("one", "outer", "x"),
        call("two", "outer", "y", start_ns=120),
    ]
    settled = settle("p", facts, 1)
    assert (counted(settled), settled.trace.llm_count) == ({"outer"}, 1)
    assert reasons(facts)["two"] == "same_call: outer"


@pytest.mark.parametrize(
    ("other", "status"),
    [
        # Another instrumentation saw the usage that this one did not.
        ({"scope": "x", "start_ns": 110}, "priced"),
        ({"scope": "x", "start_ns": 110, "response_model": "o3"}, "partial"),
        ({"scope": "x", "start_ns": 300, "end_ns": 400}, "partial"),
        # A stream's figures come on a record without length when it ends.
        ({"start_ns": 250, "end_ns": 250}, "priced"),
        ({"start_ns": 50, "end_ns": 50}, "partial"),
        ({"start_ns": 250, "end_ns": 250, "parent": "elsewhere"}, "partial"),
        ({"start_ns": 110}, "partial"),
    ],
)
def test_a_call_without_figures_that_another_span_has(other, status):
    facts = [call("silent", tokens=None, cost_status="unpriced"), call("told", **({"parent": ""} | other))]
    trace = settle("p", facts, 1).trace
    assert (trace.cost_status, trace.llm_count) == (status, 1 if status == "priced" else 2)


def test_large_traces_take_linear_time(monkeypatch):
    compared = []
    real = settle_doubles._same_call
    monkeypatch.setattr(settle_doubles, "_same_call", lambda *each: compared.append(1) or real(*each))
    facts = [call(f"{n:04}", scope=f"s{n % 2}", response_id=str(n)) for n in range(2000)]
    facts += [call(f"x{n}", tokens=None, scope="z", request_model="m", response_model="m") for n in range(2000)]
    settle("p", facts, 1)
    assert len(compared) <= 2000 * settle_doubles.MAX_OPEN


def test_many_doubled_calls_take_linear_time():
    def settling(count: int):
        pairs = [
            (call(f"a{n}", response_id=str(n)), call(f"b{n}", scope="x", response_id=str(n))) for n in range(count)
        ]
        facts = [each for pair in pairs for each in pair]
        assert settle("p", facts, 1).trace.llm_count == count
        return lambda: settle("p", facts, 1)

    assert growth(settling, 250, 2000) < 1.2
