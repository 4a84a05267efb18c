"""One call in two traces: which report counts, and what merely looks like the same call."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.normalise.settle_across import MAX_REPORTS
from tests.unit.normalise.settle_facts import fact, settle_all

S = NS_PER_S


def call(trace: str, span_id: str = "call", parent: str = "", scope: str = "sdk", **more: Any) -> Any:
    """Return a call of two seconds and 10 and 5 tokens, with a response id."""
    given = {
        "trace_id": trace, "category": "llm", "scope_name": scope, "response_id": "r", "response_model": "m-2025",
        "input_tokens": 10, "output_tokens": 5, "start_ns": 100 * S, "end_ns": 102 * S, "cost_usd": Decimal(1),
        "cost_status": "priced",
    }  # fmt: skip
    return fact(span_id, parent, **(given | more))


def run(trace: str, **more: Any) -> list[Any]:
    """Return an agent's run with one call, by a framework's instrumentation."""
    return [
        fact("agent", trace_id=trace, category="agent", start_ns=99 * S, end_ns=103 * S),
        call(trace, parent="agent", scope="framework", **more),
    ]


def reasons(facts: list[Any]) -> dict[str, str]:
    """Return by trace why its one call counts or does not."""
    return {
        trace: next(row.counted_reason for row in one.spans if row.span_id == "call")
        for trace, one in settle_all(facts).items()
    }


def test_a_lone_call_gives_way_to_the_same_call_of_a_run():
    settled = settle_all([*run("run"), call("lone", start_ns=101 * S)])
    run_trace, lone = settled["run"].trace, settled["lone"].trace
    assert (run_trace.input_tokens, run_trace.cost_usd, run_trace.llm_count) == (10, Decimal(1), 1)
    assert (lone.input_tokens, lone.cost_usd, lone.llm_count, lone.cost_status) == (None, None, 0, "")
    [row] = settled["lone"].spans
    assert (row.counted, row.counted_reason, row.lone_call) == (False, "other_trace: run/call", True)
    # It is still shown with what it reported.
    assert (row.input_tokens, row.cost_usd) == (10, Decimal(1))


@pytest.mark.parametrize(
    ("lone", "is_double"),
    [
        ({}, True),
        ({"start_ns": 101 * S, "end_ns": 105 * S}, True),
        # A wrapper, or what it wraps, that counts a stream's output wrongly.
        ({"output_tokens": 6, "start_ns": 99 * S, "end_ns": 104 * S}, True),
        ({"output_tokens": 6, "start_ns": 100 * S + 1, "end_ns": 101 * S}, True),
        # The record that ends a stream.
        ({"start_ns": 103 * S, "end_ns": 103 * S}, True),
        ({"response_model": "", "request_model": "vendor/m"}, True),
        # What tells two calls apart.
        ({"start_ns": 104 * S, "end_ns": 104 * S}, False),
        ({"start_ns": 102 * S, "end_ns": 103 * S}, False),
        ({"start_ns": 39 * S, "end_ns": 105 * S}, False),
        ({"start_ns": 0, "end_ns": 0}, False),
        ({"output_tokens": 6, "start_ns": 101 * S, "end_ns": 103 * S}, False),
        ({"output_tokens": 6, "start_ns": 101 * S, "end_ns": 101 * S}, False),
        ({"input_tokens": 11}, False),
        ({"response_id": "other"}, False),
        ({"response_id": ""}, False),
        ({"response_model": "n"}, False),
        ({"category": "embedding"}, False),
        ({"scope": "framework"}, False),
        ({"parent": "elsewhere"}, False),
        ({"input_tokens": 0, "output_tokens": 0}, False),
    ],
)
def test_what_tells_a_double_from_another_call(lone, is_double):
    facts = [*run("run"), call("lone", **lone)]
    if lone.get("input_tokens") == 0:
        facts[1].input_tokens = facts[1].output_tokens = 0
    assert reasons(facts)["lone"].startswith("other_trace") == is_double
    assert reasons(facts)["run"] == "model_call"


def test_a_call_below_a_model_span_alone_is_lone_and_below_anything_else_is_not():
    outer = fact("outer", trace_id="lone", category="llm", scope_name="wrapper", start_ns=100 * S, end_ns=102 * S)
    settled = settle_all([*run("run"), outer, call("lone", parent="outer")])
    assert settled["lone"].trace.llm_count == 0
    assert settled["lone"].trace.input_tokens is None
    outer.category = "workflow"
    assert settle_all([*run("run"), outer, call("lone", parent="outer")])["lone"].trace.input_tokens == 10


def test_a_wrapper_that_counts_for_its_call_takes_it_along():
    known = {"cache_read_tokens": 1, "cost_usd": Decimal(3)}
    lone = [call("lone", scope="wrapper", **known), call("lone", "inner", "call", response_id="")]
    assert settle_all(lone)["lone"].trace.llm_count == 1
    settled = settle_all([*run("run"), *lone])
    assert (settled["lone"].trace.llm_count, settled["lone"].trace.cost_usd) == (0, None)


def test_of_two_lone_calls_the_better_informed_counts_then_the_inner():
    outer, inner = call("outer", scope="a"), call("inner", scope="b", start_ns=100 * S + 5, end_ns=102 * S - 5)
    assert reasons([outer, inner]) == {"outer": "other_trace: inner/call", "inner": "model_call"}
    outer.cache_read_tokens = 3
    assert reasons([outer, inner]) == {"outer": "model_call", "inner": "other_trace: outer/call"}
    inner.cost_status, inner.cost_usd, inner.reasoning_tokens, inner.cache_read_tokens = "unpriced", None, 1, 1
    assert reasons([outer, inner])["inner"] == "other_trace: outer/call"


def test_a_run_whose_call_has_no_price_gives_way_to_a_lone_one_that_has():
    facts = [*run("run", cost_status="unpriced", cost_usd=None), call("lone")]
    assert reasons(facts) == {"run": "other_trace: lone/call", "lone": "model_call"}


def test_three_reports_of_one_call():
    facts = [*run("run"), call("a", scope="a"), call("b", scope="b", start_ns=100 * S + 1)]
    assert reasons(facts) == {"run": "model_call", "a": "other_trace: run/call", "b": "other_trace: run/call"}


def test_two_runs_with_one_id_both_count():
    other = run("other")
    other[1].scope_name = "gateway"
    assert set(reasons([*run("run"), *other]).values()) == {"model_call"}


def test_calls_of_one_instrumentation_are_as_many_as_it_reports():
    """The ids of a fake provider: two workers at once, each call seen by both instrumentations."""
    facts = []
    for number in range(4):
        begin = (100 + number) * S
        facts.append(call(f"a{number}", scope="a", start_ns=begin, end_ns=begin + 2 * S))
        facts.append(call(f"b{number}", scope="b", start_ns=begin + 1, end_ns=begin + 2 * S - 1))
    counted = [trace for trace, reason in reasons(facts).items() if reason == "model_call"]
    assert sorted(counted) == ["b0", "b1", "b2", "b3"]


def test_an_id_of_too_many_calls_at_one_time_says_nothing():
    def facts(traces: int) -> list[Any]:
        half = [(f"t{number}", "ab"[number % 2]) for number in range(traces)]
        return [call(trace, scope=scope, start_ns=100 * S + number) for number, (trace, scope) in enumerate(half)]

    assert sum(reason == "model_call" for reason in reasons(facts(MAX_REPORTS)).values()) == MAX_REPORTS // 2
    assert set(reasons(facts(MAX_REPORTS + 1)).values()) == {"model_call"}
    # At other times the same id tells again.
    later = [call("x", scope="a", start_ns=900 * S, end_ns=901 * S), call("y", start_ns=900 * S + 1, end_ns=901 * S)]
    assert reasons([*facts(MAX_REPORTS + 1), *later])["x"] == "other_trace: y/call"


reports = st.lists(
    st.builds(
        call,
        st.sampled_from(["t1", "t2", "t3", "t4"]),
        st.sampled_from(["1", "2", "3"]),
        st.sampled_from(["", "", "1", "gone"]),
        st.sampled_from(["a", "b", "c"]),
        response_id=st.sampled_from(["r", "r", "q", ""]),
        category=st.sampled_from(["llm", "llm", "llm", "embedding", "agent"]),
        response_model=st.sampled_from(["m", "m", "m-2025-01-01", "n"]),
        input_tokens=st.sampled_from([3, 3, 4, None]),
        output_tokens=st.sampled_from([3, 3, 4, None]),
        cache_read_tokens=st.none() | st.just(1),
        cost_status=st.sampled_from(["priced", "unpriced", "reported"]),
        start_ns=st.integers(0, 4).map(lambda at: at * S // 2),
        end_ns=st.integers(1, 6).map(lambda at: at * S // 2),
    ),
    min_size=2,
    max_size=12,
    unique_by=lambda each: (each.trace_id, each.span_id),
)


@settings(max_examples=400, deadline=None)
@given(facts=reports, seed=st.integers(0, 10**6))
def test_order_is_without_effect_and_whoever_gives_way_gives_way_to_what_counts(facts, seed):
    settled = settle_all(facts)
    shuffled = list(facts)
    random.Random(seed).shuffle(shuffled)
    assert settle_all(shuffled) == settled
    rows = {f"{row.trace_id}/{row.span_id}": row for one in settled.values() for row in one.spans}
    for row in rows.values():
        kind, _, winner = row.counted_reason.partition(": ")
        if kind == "other_trace":
            assert not row.counted
            assert rows[winner].counted
            assert rows[winner].trace_id != row.trace_id
            assert rows[winner].call_scope != row.call_scope
            assert rows[winner].response_id == row.response_id
            assert rows[winner].input_tokens == row.input_tokens
    if any(row.input_tokens for row in rows.values()):
        assert any(row.counted for row in rows.values())
