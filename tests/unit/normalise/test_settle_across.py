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
        ({"parent": "elsewhere"}, True),
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
    outer.session_id = "s"
    settled = settle_all([*run("run"), outer, call("lone", parent="outer")])
    assert (settled["lone"].trace.input_tokens, settled["run"].trace.input_tokens) == (10, None)


def test_a_wrapper_that_counts_for_its_call_takes_it_along():
    known = {"cache_read_tokens": 1, "cost_usd": Decimal(3)}
    lone = [call("lone", scope="wrapper", **known), call("lone", "inner", "call", response_id="")]
    assert settle_all(lone)["lone"].trace.llm_count == 1
    settled = settle_all([*run("run", cache_read_tokens=1), *lone])
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


def test_of_a_client_and_a_gateway_that_share_no_trace_one_counts():
    """Neither stands alone: the better informed counts, then the one that has the user, then the inner."""
    client, gateway = run("client"), run("gateway", start_ns=100 * S + 5, end_ns=102 * S - 5)
    gateway[1].scope_name = "gateway"
    facts = [*client, *gateway]
    assert reasons(facts) == {"client": "other_trace: gateway/call", "gateway": "model_call"}
    client[0].user_id = "u"
    assert reasons(facts) == {"client": "model_call", "gateway": "other_trace: client/call"}
    gateway[1].cache_read_tokens = 3
    assert reasons(facts) == {"client": "other_trace: gateway/call", "gateway": "model_call"}
    assert [one.trace.input_tokens for one in settle_all(facts).values()] == [None, 10]


def test_a_lone_report_that_tells_of_cached_tokens_counts_before_a_run_that_does_not():
    """The run's would be dearer than the call was."""
    facts = [*run("run"), call("lone", cache_read_tokens=4)]
    assert reasons(facts) == {"run": "other_trace: lone/call", "lone": "model_call"}
    # None were read from the cache: it makes no difference to the money.
    facts[-1].cache_read_tokens = 0
    assert reasons(facts) == {"run": "model_call", "lone": "other_trace: run/call"}


def stream(trace: str, closing_trace: str, **closing: Any) -> list[Any]:
    """Return what Logfire and a client tell of a stream: its opening, the call below that, the record of its end."""
    logfire = {"dialect": "logfire", "scope_name": "logfire.x", "response_id": "", "response_model": "m"}
    logfire["request_model"] = "m"
    end = {"start_ns": 102 * S + 5, "end_ns": 102 * S + 5}
    opens = {"category": "other", "operation": "chat", "input_tokens": None, "output_tokens": None}
    unpriced = {"cost_usd": None, "cost_status": ""}
    return [
        call(trace, "open", end_ns=100 * S + 9, **(logfire | opens | unpriced)),
        call(trace, "call", "open", start_ns=100 * S + 2, request_model="m"),
        call(closing_trace, "end", **(logfire | end | closing)),
    ]


def counted(facts: list[Any]) -> dict[str, list[str]]:
    """Return by trace the spans that count."""
    return {trace: [row.span_id for row in one.spans if row.counted] for trace, one in settle_all(facts).items()}


@pytest.mark.parametrize("other", ["a", "b"])
def test_a_stream_told_in_two_records_and_by_its_client_counts_once(other):
    settled = settle_all(stream("a", other))
    assert sum(one.trace.input_tokens or 0 for one in settled.values()) == 10
    assert sum(one.trace.llm_count for one in settled.values()) == 1
    assert counted(stream("a", other))["a"] == ["call"]
    long = stream("a", other, start_ns=700 * S, end_ns=700 * S)
    long[1].end_ns = 700 * S
    assert counted(long)["a"] == ["call"]
    assert sum(map(len, counted(long).values())) == 1


@pytest.mark.parametrize(
    "closing",
    [
        {"start_ns": 163 * S, "end_ns": 163 * S},
        {"start_ns": 99 * S, "end_ns": 99 * S},
        {"service_name": "another"},
        {"output_tokens": 6},
        {"request_model": "n", "response_model": "n"},
        {"scope_name": "logfire.y"},
        {"parent_span_id": "elsewhere"},
        {"end_ns": 103 * S},
        {"dialect": "otel"},
    ],
)
def test_a_record_in_another_trace_that_ends_another_stream_counts(closing):
    facts = stream("a", "b", **{key: value for key, value in closing.items() if key != "parent_span_id"})
    facts[-1].parent_span_id = closing.get("parent_span_id", "")
    assert counted(facts) == {"a": ["call"], "b": ["end"]}


def test_streams_with_no_client_that_tells_of_them_are_as_many_as_their_ends():
    facts = [stream("a", f"end{number}")[-1] for number in range(3)]
    assert counted(facts) == {f"end{number}": ["end"] for number in range(3)}


def test_equal_streams_one_after_another_and_at_once():
    """Ends come a moment after their calls, here when the next call runs already."""
    for step_ns in (0, 2 * S + 2, 10 * S):
        facts = []
        for number in range(3):
            made = stream("a", "a")
            for one in made:
                one.span_id += str(number)
                one.parent_span_id += str(number) if one.parent_span_id else ""
                one.response_id += str(number) if one.response_id else ""
                one.start_ns += number * step_ns
                one.end_ns += number * step_ns
            facts += made
        assert counted(facts) == {"a": ["call0", "call1", "call2"]}


def test_a_stream_that_a_third_trace_tells_of_too():
    facts = [*stream("a", "b"), *run("run", user_id="u")]
    facts[-1].user_id = "u"
    settled = settle_all(facts)
    assert counted(facts) == {"a": [], "b": [], "run": ["call"]}
    assert [row.counted_reason for row in settled["b"].spans] == ["other_trace: run/call"]


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
        category=st.sampled_from(["llm", "llm", "llm", "embedding", "agent", "other"]),
        dialect=st.sampled_from(["otel", "logfire"]),
        operation=st.just("chat"),
        request_model=st.just("m"),
        session_id=st.sampled_from(["", "", "s"]),
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
            assert rows[winner].response_id == row.response_id or row.stream_key or rows[winner].stream_key
            assert rows[winner].input_tokens == row.input_tokens
    if any(row.input_tokens for row in rows.values()):
        assert any(row.counted for row in rows.values())
