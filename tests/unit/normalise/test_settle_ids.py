"""Reports of a call in two traces that share a telling id, or are to be told by more than their own."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.normalise.settle_across import MAX_SKEW_NS, MAX_WAIT_NS
from spanhouse_server.normalise.settle_ids import is_random
from tests.unit.normalise.settle_facts import fact, settle_all
from tests.unit.normalise.test_settle_across import S, call, counted, reasons, run, stream

ID = "chatcmpl-74b989df72189cab261ed261"


@pytest.mark.parametrize(
    ("response_id", "drawn"),
    [
        (ID, True),
        ("msg_01XFDUDYJgAACzvnptvVoYEL", True),
        ("msg_bdrk_018Hd3Vqm2S5mGfFJx6ZbkTq", True),
        ("resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b", True),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6", True),
        ("cmpl-6b48e58074af148c7e5e809c11223344", True),
        ("kNjPZ9-GIfPjxN8PwOyQkAc", True),
        # Ollama's are one of a thousand; the rest is by hand.
        ("chatcmpl-123", False),
        ("logfire.anthropic claude-sonnet-4-5 6 8", False),
        ("chatcmpl-1234567890123456", False),
        ("chatcmpl-aaaaaaaaaaaaaaaa1", False),
        ("req_000001", False),
        ("my-very-own-response-of-the-day", False),
        ("test-response-number-1", False),
        ("test", False),
        ("", False),
    ],
)
def test_which_ids_are_random(response_id, drawn):
    assert is_random(response_id) == drawn


def gateway(trace: str = "gateway", **more: Any) -> Any:
    """Return the report of a gateway on another machine."""
    given = {"scope": "gateway", "response_id": ID, "service_name": "gateway", "host_name": "gw-1"}
    return call(trace, **(given | more))


def client(trace: str = "client", **more: Any) -> Any:
    """Return the report of the client's instrumentation."""
    return call(trace, **({"response_id": ID, "service_name": "app", "host_name": "app-1"} | more))


def told(facts: list[Any]) -> tuple[int, int, Decimal]:
    """Return the input tokens, the calls and the money of all traces together."""
    traces = [one.trace for one in settle_all(facts).values()]
    return (
        sum(trace.input_tokens or 0 for trace in traces),
        sum(trace.llm_count for trace in traces),
        sum((trace.cost_usd or Decimal(0) for trace in traces), Decimal(0)),
    )


ONCE = (10, 1, Decimal(1))


def moved(of: Any, by_ns: int) -> Any:
    of.start_ns += by_ns
    of.end_ns += by_ns
    return of


@pytest.mark.parametrize("by_s", [-62, -20, -2, 3, 45, 62])
def test_clocks_that_differ_by_up_to_a_minute_make_no_second_call(by_s):
    """The calls take two seconds, so two more seconds apart they are just a minute apart."""
    assert told([client(), moved(gateway(), by_s * S)]) == ONCE
    # Nor do those of machines that nobody named, as long as the services are two.
    assert told([client(host_name=""), moved(gateway(host_name=""), by_s * S)]) == ONCE


@pytest.mark.parametrize(
    ("theirs", "by_ns"),
    [
        ({"host_name": "app-1"}, 20 * S),
        ({"host_name": "", "service_name": "app"}, 20 * S),
        ({"host_name": "", "service_name": ""}, 20 * S),
        ({}, 2 * S + MAX_SKEW_NS + 1),
        ({"output_tokens": 6}, 20 * S),
        ({"input_tokens": 11}, 0),
        ({"scope": "sdk"}, 0),
        ({"category": "embedding"}, 0),
    ],
)
def test_what_tells_two_calls_of_one_id_apart(theirs, by_ns):
    assert told([client(), moved(gateway(**theirs), by_ns)])[2] == Decimal(2)


def test_an_answer_from_a_cache_is_a_call_of_its_own():
    """It comes with the id of the first answer, and both machines tell of both."""
    facts = [client("c1"), gateway("g1"), moved(client("c2"), 30 * S), moved(gateway("g2"), 30 * S)]
    assert told(facts) == (20, 2, Decimal(2))
    # Without the gateway's second report the id is still told twice by the client.
    assert told(facts[:3]) == (20, 2, Decimal(2))
    assert told([client("c1"), moved(client("c2"), 30 * S)]) == (20, 2, Decimal(2))


def test_a_gateway_may_call_the_model_something_else():
    alias = {"request_model": "smart", "response_model": "smart", "cost_usd": None, "cost_status": "unpriced"}
    facts = [client(**alias), gateway()]
    assert told(facts) == ONCE
    assert reasons(facts)["client"] == "other_trace: gateway/call"
    for each in facts:
        each.response_id = "chatcmpl-123"
    assert told(facts)[0] == 20


def test_a_call_that_waits_to_be_let_through_is_no_second_call():
    """The client tried again, or stood in a queue, for minutes; the gateway tells of the last attempt only."""
    late = gateway(start_ns=100 * S + MAX_WAIT_NS - S, end_ns=100 * S + MAX_WAIT_NS)
    assert told([client(end_ns=101 * S + MAX_WAIT_NS), late]) == ONCE
    assert told([client(end_ns=101 * S + MAX_WAIT_NS, response_id="1"), late])[1] == 2


def test_a_report_without_an_id_takes_that_of_another_report_of_its_trace():
    """A framework's span beside the client's, told better and without the id; the gateway shares only that."""
    framework = client(parent="", scope="framework", response_id="", reasoning_tokens=1)
    framework.span_id = "framework"
    both = [framework, client(start_ns=100 * S + 1)]
    assert counted(both) == {"client": ["framework"]}
    assert told([*both, gateway()]) == ONCE
    assert told([*both, moved(gateway(), 20 * S)]) == ONCE


def test_a_call_without_an_id_takes_that_of_the_span_around_it():
    inner = client(parent="call", scope="inner", response_id="", start_ns=100 * S + 1)
    inner.span_id = "inner"
    both = [client(), inner]
    assert counted(both) == {"client": ["inner"]}
    assert told([*both, gateway()]) == ONCE
    # Not where a tool stands between them, nor where it sums up more than this call.
    tool = fact("tool", "call", trace_id="client", category="tool", start_ns=100 * S, end_ns=101 * S)
    inner.parent_span_id = "tool"
    assert told([*both, tool, gateway()])[1] == 2
    inner.parent_span_id, both[0].input_tokens = "call", 30
    assert told([*both, gateway()])[1] == 2


def test_an_engine_without_the_clients_context_repeats_its_call():
    engine = {"category": "server", "cost_usd": None, "cost_status": "unpriced", "response_model": ""}
    alone = gateway(scope="vllm.tracing.otel", **engine)
    assert told([alone]) == (10, 0, Decimal(0))
    assert told([client(), alone]) == ONCE
    assert reasons([client(), alone])["gateway"] == "other_trace: client/call"
    assert told([client(), moved(gateway(scope="vllm", **engine), 20 * S)]) == ONCE
    # Three of one call: client, gateway and engine.
    assert told([client(), gateway("g2"), gateway("e", scope="vllm", **engine)]) == ONCE
    # A router and the engine behind it, and nobody else.
    assert told([gateway("a", scope="router", **engine), gateway("b", scope="vllm", **engine)])[0] == 10


def test_an_engine_below_a_call_that_another_trace_counts_counts_nothing():
    below = fact("engine", "call", trace_id="lone", category="server", input_tokens=10, output_tokens=5)
    below.response_id, below.scope_name, below.start_ns, below.end_ns = ID, "vllm", 100 * S, 101 * S
    facts = [*run("run", response_id=ID), call("lone", response_id=ID), below]
    assert told(facts) == ONCE


def streams(*times: tuple[float, float, float], **closing: Any) -> list[Any]:
    """Return streams of equal figures by start, end and the moment (s) of the record of their end, each with its id."""
    facts = []
    for number, (start_s, end_s, ended_s) in enumerate(times):
        opens, calls, ends = stream(f"a{number}", f"b{number}", **closing)
        opens.start_ns = calls.start_ns = round(start_s * S)
        opens.end_ns, calls.end_ns = opens.start_ns + 9, round(end_s * S)
        ends.start_ns = ends.end_ns = round(ended_s * S)
        calls.response_id = f"msg_{number}"
        facts += [opens, calls, ends]
    return facts


@pytest.mark.parametrize(
    "times",
    [
        # A long one around a short one: the record that comes first is of the one that ended first.
        [(100, 200, 200.01), (101, 102, 102.01)],
        [(100, 200, 200.01), (101, 102, 102.01), (103, 104, 104.01), (103, 150, 150.01)],
        # Readers that take their time, one after another and at once.
        [(100, 102, 130)],
        [(100, 102, 120), (103, 105, 125), (106, 108, 107.5)],
        [(100, 102, 161.9), (100, 102, 161.9), (101, 103, 103.1)],
        # One that runs for most of an hour.
        [(100, 3600, 3600.1)],
        [(100 + number, 101 + number, 101.2 + number) for number in range(40)],
        [(100, 101 + number / 100, 101.5 + number / 50) for number in range(40)],
    ],
)
def test_streams_of_equal_figures_count_as_many_times_as_there_were(times):
    count = len(times)
    assert told(streams(*times)) == (10 * count, count, Decimal(count))


@pytest.mark.parametrize("ended_s", [99, 163, 4000])
def test_a_record_out_of_reach_is_of_another_stream(ended_s):
    assert told(streams((100, 102, ended_s)))[1] == 2


def test_a_record_written_by_another_process_is_of_another_stream():
    for differing in ({"host_name": "b"}, {"service_name": "b"}, {"service_instance_id": "b"}):
        assert told(streams((100, 102, 102.1), **differing))[1] == 2


def test_a_stream_whose_end_is_told_in_its_trace_takes_no_record_from_elsewhere():
    """There is one record for each stream, so the other is of a stream whose client told nothing."""
    facts = streams((100, 102, 102.01))
    [inside] = streams((100, 102, 102.02))[2:]
    inside.trace_id, inside.span_id, inside.parent_span_id = "a0", "inside", "request"
    around = fact("request", trace_id="a0", category="other", start_ns=99 * S, end_ns=104 * S)
    facts[0].parent_span_id = "request"
    assert told([*facts, inside, around])[1] == 2
    assert told([*facts[:2], inside, around])[1] == 1


reports_of_calls = st.lists(
    st.builds(
        client,
        st.integers(0, 7).map(str),
        scope=st.sampled_from(["sdk", "gateway", "engine"]),
        response_id=st.sampled_from([ID, ID, "msg_01XFDUDYJgAACzvnptvVoYEL", "chatcmpl-123"]),
        category=st.sampled_from(["llm", "llm", "llm", "server"]),
        host_name=st.sampled_from(["a", "b", ""]),
        service_name=st.sampled_from(["a", "b"]),
        response_model=st.sampled_from(["m", "m", "n"]),
        output_tokens=st.sampled_from([5, 5, 5, 6]),
        start_ns=st.sampled_from([100, 101, 130, 170, 200, 900]).map(lambda at: at * S),
        end_ns=st.sampled_from([102, 131, 175, 230, 901, 960]).map(lambda at: at * S),
    ),
    min_size=2,
    max_size=8,
    unique_by=lambda each: each.trace_id,
)


@settings(max_examples=300, deadline=None)
@given(facts=reports_of_calls, seed=st.integers(0, 10**6))
def test_no_instrumentation_ever_loses_a_call_to_itself(facts, seed):
    """Whatever the order: of the reports that count as one call no two are of one scope, and one of them counts."""
    settled = settle_all(facts)
    shuffled = list(facts)
    random.Random(seed).shuffle(shuffled)
    assert settle_all(shuffled) == settled
    calls: dict[str, list[str]] = {}
    for trace, one in settled.items():
        [row] = one.spans
        winner = row.counted_reason.partition("other_trace: ")[2].partition("/")[0]
        calls.setdefault(winner or trace, []).append(row.scope_name)
        assert row.counted == (not winner)
    for winner, scopes in calls.items():
        assert len(set(scopes)) == len(scopes)
        assert settled[winner].spans[0].counted


streams_of_calls = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 60), st.integers(-5, 700)), min_size=1, max_size=8
)


@settings(max_examples=300, deadline=None)
@given(drawn=streams_of_calls, lost=st.sets(st.integers(0, 7)), seed=st.integers(0, 10**6))
def test_streams_are_never_fewer_than_their_clients_or_their_ends(drawn, lost, seed):
    facts = []
    for number, (start_s, for_s, late) in enumerate(drawn):
        made = streams((100 + start_s, 100 + start_s + for_s, 100 + start_s + for_s + late / 10))
        for each in made:
            each.trace_id += str(number)
            each.response_id += str(number) if each.response_id else ""
        facts += made[2:] if number in lost else made
    calls = len(drawn) - len(lost & set(range(len(drawn))))
    random.Random(seed).shuffle(facts)
    counted_calls = told(facts)[1]
    assert max(calls, len(drawn)) <= counted_calls <= calls + len(drawn)
    if all(-5 <= late <= 10 for _, _, late in drawn) and not lost:
        assert counted_calls == len(drawn)
