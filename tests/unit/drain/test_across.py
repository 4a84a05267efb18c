"""One call in two traces, through the drain into a real store: in any order, any batches, and over crashes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanhouse_server.drain import recent_calls
from spanhouse_server.drain.across import MAX_SPANS
from spanhouse_server.drain.recent_calls import MAX_SHARING, RecentCalls
from spanhouse_server.drain.settle import settle_traces
from spanhouse_server.drain.transform import transform
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.normalise.settle_across import MAX_REPORTS, Call
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.golden import record as golden
from tests.stored import NS, T0, columnar, hex_id, small_spool
from tests.watched import Watched

NUMBERS = iter(range(1, 1_000_000))
MODEL = "gpt-4o-2024-08-06"
#: What each trace says of its call in the end, whoever came first.
SETTLED = {"run": "model_call", "sdk": "other_trace: run", "gateway": "other_trace: run", "bystander": "model_call"}


class House:
    """A project of its own, into which batches are drained."""

    def __init__(self, store: ColumnarStore, spool: SqliteSpool, exclusive: bool = True) -> None:
        self.project = f"p{next(NUMBERS)}"
        self.store = Watched(store, exclusive)
        self._spool = spool
        self.start()

    def start(self) -> None:
        """Begin without memory of what was before."""
        self._pipeline = Pipeline(self._spool, self.store, Workshop(0), dict, Metrics(), Health())

    def remember(self) -> None:
        """Hold all that came before for known: from now on memory alone answers."""
        self._pipeline._recent = RecentCalls(self.store, clock_ns=lambda: 0)

    def searches(self) -> int:
        """Return how often the store was searched for shared ids."""
        return sum("response_id IN" in sql for sql in self.store.asked)

    def drain(self, entries: Sequence[SpoolEntry]) -> None:
        """Store one batch."""
        self._pipeline._insert(transform(entries, {}, self._pipeline._stamps.next_ns()))

    def entry(
        self, trace: str, name: str, parent: str = "", scope: str = "", start_s: float = 1, **more: Any
    ) -> SpoolEntry:
        """Return a request with one span, by readable names; ``tokens`` makes it a model call."""
        attributes = {"gen_ai.operation.name": "invoke_agent"}
        if tokens := more.get("tokens"):
            attributes = {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": MODEL,
                "gen_ai.response.id": more.get("id", "chatcmpl-1"), "gen_ai.usage.input_tokens": tokens,
                "gen_ai.usage.output_tokens": 1,
            }  # fmt: skip
        body = otlp.request(
            otlp.span(
                hex_id(trace), hex_id(trace + name, 16), hex_id(trace + parent, 16) if parent else "", name,
                T0 + round(start_s * NS), round(more.get("duration_s", 1) * NS), attributes=attributes,
            ),
            scope=scope or trace, resource=more.get("resource"),
        )  # fmt: skip
        number = next(NUMBERS)
        return SpoolEntry(number, self.project, "traces", T0 + number, body)

    def scene(self) -> list[SpoolEntry]:
        """Return a run whose call an SDK and a gateway report in traces of their own, and another call."""
        return [
            self.entry("run", "agent", start_s=0, duration_s=9),
            self.entry("run", "step", "agent", start_s=0.5, duration_s=5),
            self.entry("run", "call", "step", tokens=7),
            self.entry("sdk", "call", tokens=7, start_s=1.1, duration_s=0.8),
            self.entry("gateway", "call", tokens=7, start_s=1.2, duration_s=0.5),
            self.entry("bystander", "call", tokens=7, id="chatcmpl-2"),
        ]

    def stream(self) -> tuple[list[SpoolEntry], list[SpoolEntry]]:
        """Return the recorded bodies of a stream: its opening with the client's report, and the record of its end."""
        folder = Path(golden.__file__).parent / "payloads" / "logfire_anthropic_stream"
        parts: tuple[list[SpoolEntry], list[SpoolEntry]] = ([], [])
        for path in sorted(folder.iterdir()):
            body = ExportTraceServiceRequest.FromString(path.read_bytes())
            for resource in body.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        alone = ExportTraceServiceRequest()
                        group = alone.resource_spans.add(resource=resource.resource)
                        group.scope_spans.add(scope=scope.scope, spans=[span])
                        number = next(NUMBERS)
                        entry = SpoolEntry(number, self.project, "traces", T0 + number, alone.SerializeToString())
                        parts[span.name.startswith("streaming response")].append(entry)
        return parts

    def again(self, entries: Sequence[SpoolEntry], number: int, later_s: int) -> list[SpoolEntry]:
        """Return requests as they would come of the same work done again: other ids, other times."""
        made = []
        for entry in entries:
            body = ExportTraceServiceRequest.FromString(entry.body)
            for span in (each for group in body.resource_spans for scope in group.scope_spans for each in scope.spans):
                for id_name in ("trace_id", "span_id", "parent_span_id"):
                    given = getattr(span, id_name)
                    setattr(span, id_name, hex_bytes(given, number) if given else b"")
                span.start_time_unix_nano += later_s * NS
                span.end_time_unix_nano += later_s * NS
                for attribute in span.attributes:
                    if attribute.key == "gen_ai.response.id":
                        attribute.value.string_value += str(number)
            made.append(SpoolEntry(next(NUMBERS), self.project, "traces", entry.received_ns, body.SerializeToString()))
        return made

    def reasons(self) -> dict[str, str]:
        """Return by trace why its call counts or does not; the traces' totals must agree."""
        found = self.store.select(
            "SELECT trace_id, name, counted, counted_reason, input_tokens FROM span_index FINAL"
            " WHERE project_id = {project:String} AND response_id != ''",
            {"project": self.project},
        )
        totals = self.store.select(
            "SELECT trace_id, input_tokens, llm_count FROM traces FINAL WHERE project_id = {project:String}",
            {"project": self.project},
        )
        ids = {each["trace_id"] for each in found}
        names = {hex_id(name): name for name in (*SETTLED, *(f"t{number}" for number in range(MAX_SPANS)))}
        shown = {row["trace_id"]: (row["input_tokens"], row["llm_count"]) for row in totals if row["trace_id"] in ids}
        assert shown == {row["trace_id"]: (row["input_tokens"], 1) if row["counted"] else (None, 0) for row in found}
        said = {}
        for row in found:
            reason, _, winner = row["counted_reason"].partition(": ")
            said[names[row["trace_id"]]] = f"{reason}: {names[winner.partition('/')[0]]}" if winner else reason
        return said


def hex_bytes(given: bytes, number: int) -> bytes:
    """Return another id of the same length."""
    return bytes.fromhex(hex_id(f"{given.hex()} {number}", 2 * len(given)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("columnar")) as opened:
        yield opened


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteSpool]:
    with small_spool(tmp_path_factory.mktemp("spool")) as opened:
        yield opened


@pytest.mark.parametrize("exclusive", [True, False])
def test_any_order_and_any_batches_end_alike(store: ColumnarStore, spool: SqliteSpool, exclusive: bool) -> None:
    @settings(max_examples=6, deadline=None, database=None)
    @given(seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 5), max_size=4), restarts=st.booleans())
    def check(seed: int, cuts: set[int], restarts: bool) -> None:
        house = House(store, spool, exclusive)
        entries = house.scene()
        random.Random(seed).shuffle(entries)
        edges = [0, *sorted(cuts), len(entries)]
        for begin, end in zip(edges, edges[1:], strict=False):
            house.drain(entries[begin:end])
            if restarts:
                house.start()
        assert house.reasons() == SETTLED
        # What comes again changes nothing.
        house.drain(entries[:2])
        assert house.reasons() == SETTLED

    check()


@pytest.mark.parametrize("first", ["run", "sdk"])
def test_a_crash_anywhere_ends_alike(store: ColumnarStore, spool: SqliteSpool, first: str) -> None:
    crashes = 0
    while True:
        house = House(store, spool)
        scene = house.scene()
        batches = [scene[:3], scene[3:]] if first == "run" else [scene[3:], scene[:3]]
        house.drain(batches[0])
        house.store.die_at(crashes)
        try:
            house.drain(batches[1])
            break
        except StoreUnavailable:
            crashes += 1
        house.store.die_at(None)
        house.start()
        house.drain(batches[1])
        assert house.reasons() == SETTLED
    assert crashes > 3
    assert house.reasons() == SETTLED
    # Spans, then span_index and traces; where the run comes last those of the others too.
    assert crashes >= (5 if first == "sdk" else 3)


def test_settling_again_without_memory_keeps_the_verdicts(store: ColumnarStore, spool: SqliteSpool) -> None:
    """As a remake does, trace by trace."""
    house = House(store, spool)
    house.drain(house.scene())
    for name in SETTLED:
        settle_traces(house.store, [(house.project, hex_id(name))], house._pipeline._stamps.next_ns())
        assert house.reasons() == SETTLED


def test_memory_alone_finds_a_double_and_searches_only_then(store: ColumnarStore, spool: SqliteSpool) -> None:
    house = House(store, spool)
    house.remember()
    scene = house.scene()
    house.drain(scene[:3])
    house.drain([house.entry("t1", "call", tokens=3, id="other")])
    house.drain(scene[5:])
    assert house.searches() == 0
    house.drain(scene[3:5])
    assert house.searches() > 0
    said = house.reasons()
    assert {name: said[name] for name in SETTLED} == SETTLED


def test_a_late_wrapper_takes_the_call_over_and_its_double_counts_again(
    store: ColumnarStore, spool: SqliteSpool
) -> None:
    """The double gave way to a call of a run; now that call turns out to be a wrapper's, of other tokens."""
    house = House(store, spool)
    house.drain([house.entry("run", "agent", start_s=0, duration_s=9), house.entry("run", "call", "agent", tokens=7)])
    house.drain([house.entry("sdk", "call", tokens=7)])
    assert house.reasons()["sdk"] == "other_trace: run"
    house.drain([house.entry("run", "inner", "call", tokens=6, id="chatcmpl-3", start_s=1.1, duration_s=0.5)])
    rows = house.store.select(
        "SELECT scope, counted_reason FROM (SELECT call_scope AS scope, counted_reason, name FROM span_index FINAL"
        " WHERE project_id = {project:String} AND response_id = 'chatcmpl-1')",
        {"project": house.project},
    )
    assert {row["scope"]: row["counted_reason"] for row in rows} == {"run": "wraps_call", "sdk": "model_call"}


def test_a_constant_id_swallows_no_workload(store: ColumnarStore, spool: SqliteSpool) -> None:
    """Workers of two services against a fake provider, all at the same time: most of what they report counts."""
    house = House(store, spool)
    calls = [house.entry(f"t{number}", "call", scope="ab"[number % 2], tokens=7) for number in range(MAX_REPORTS + 4)]
    for begin in range(0, len(calls), 6):
        house.drain(calls[begin : begin + 6])
    assert set(house.reasons().values()) == {"model_call"}


def test_an_id_of_very_many_spans_says_nothing(store: ColumnarStore, spool: SqliteSpool) -> None:
    house = House(store, spool)
    times = {"start_s": 1, "duration_s": 0.05}
    house.drain(
        [house.entry(f"t{n}", "call", scope="a", tokens=7, start_s=n / 20, duration_s=0.04) for n in range(MAX_SPANS)]
    )
    house.start()
    house.drain([house.entry("sdk", "call", tokens=7, **times)])
    assert house.reasons()["sdk"] == "model_call"
    assert len(house.reasons()) == MAX_SPANS + 1


def test_projects_do_not_see_each_other(store: ColumnarStore, spool: SqliteSpool) -> None:
    mine, theirs = House(store, spool), House(store, spool)
    mine.drain(mine.scene()[:3])
    theirs.drain(theirs.scene()[3:4])
    assert theirs.reasons() == {"sdk": "model_call"}
    assert mine.reasons() == {"run": "model_call"}


def test_another_projects_report_takes_no_part_in_a_verdict(store: ColumnarStore, spool: SqliteSpool) -> None:
    mine, theirs = House(store, spool), House(store, spool)
    mine.drain(mine.scene()[3:4])
    theirs.drain(theirs.scene())
    mine.drain(mine.scene()[4:5])
    assert mine.reasons() == {"sdk": "other_trace: gateway", "gateway": "model_call"}
    assert theirs.reasons() == SETTLED


def test_what_is_forgotten_is_searched_for(store: ColumnarStore, spool: SqliteSpool) -> None:
    house = House(store, spool)
    moments = iter([0])
    later_ns = T0 + 1000 * NS
    house._pipeline._recent = RecentCalls(house.store, kept_keys=2, clock_ns=lambda: next(moments, later_ns))
    house.drain(house.scene()[:3])
    for begin in (0, 3):
        house.drain([house.entry(f"t{begin + n}", "call", tokens=3, id=f"id-{begin + n}") for n in range(3)])
    house.drain([house.entry("t6", "call", tokens=3, id="id-6", start_s=2000)])
    assert house.searches() == 0, "what began after all that was forgotten cannot overlap it"
    house.drain(house.scene()[3:4])
    assert house.reasons()["sdk"] == "other_trace: run"


def test_what_a_long_rest_made_it_forget_is_searched_for(store: ColumnarStore, spool: SqliteSpool) -> None:
    house = House(store, spool)
    house.remember()
    house.drain(house.scene()[:3])
    house._pipeline._recent.forget(T0 + 10 * NS)
    house.drain([house.entry("t6", "call", tokens=3, id="id-6", start_s=2000)])
    assert house.searches() == 0, "nothing came between the rest and its end"
    house.drain(house.scene()[3:4])
    assert house.reasons()["sdk"] == "other_trace: run"


def test_only_what_two_instrumentations_tell_in_two_traces_is_doubtful(store: ColumnarStore) -> None:
    recent = RecentCalls(store, clock_ns=lambda: 0)

    def doubtful(trace: str, key: str, scope: str) -> bool:
        return ("p", trace) in recent.doubtful({("p", trace): [Call(key, T0, T0 + NS, scope)]})

    assert not doubtful("a", "1", "sdk")
    assert not doubtful("a", "1", "sdk")
    assert not doubtful("a", "1", "wrapper"), "within one trace it is settled there"
    assert not doubtful("b", "2", "sdk")
    assert not doubtful("c", "2", "sdk"), "one instrumentation tells of a call once"
    assert doubtful("d", "2", "gateway")
    assert doubtful("b", "2", "sdk"), "and now of the others"
    assert not doubtful("e", "3", "gateway")
    others = {("p", "g"): [Call("4", T0, T0 + NS, "sdk")], ("q", "h"): [Call("4", T0, T0 + NS, "gateway")]}
    assert recent.doubtful(others) == set()
    both = {("p", "h"): [Call("5", T0, T0 + NS, "sdk")], ("p", "i"): [Call("5", T0, T0 + NS, "gateway")]}
    assert recent.doubtful(both) == set(both)


def test_an_id_of_very_many_traces_is_no_longer_looked_at(store: ColumnarStore) -> None:
    recent = RecentCalls(store, clock_ns=lambda: 0)
    for number in range(MAX_SHARING + 1):
        found = recent.doubtful({("p", f"t{number}"): [Call("always", T0, T0 + NS, "ab"[number % 2])]})
        assert bool(found) == (0 < number < MAX_SHARING)
    assert not recent.doubtful({("p", "one more"): [Call("always", T0, T0 + NS, "c")]})


def test_a_key_of_very_many_calls_of_one_instrumentation_is_still_looked_at(store: ColumnarStore) -> None:
    """Streams of equal length have equal keys."""
    recent = RecentCalls(store, clock_ns=lambda: 0)
    for number in range(2 * MAX_SHARING):
        assert not recent.doubtful({("p", f"t{number}"): [Call("m 5 3", T0, T0 + NS, "logfire")]})
    assert recent.doubtful({("p", "client"): [Call("m 5 3", T0, T0 + NS, "sdk")]})


def test_scopes_beyond_those_told_apart_are_held_for_others(store: ColumnarStore, monkeypatch: Any) -> None:
    monkeypatch.setattr(recent_calls, "_LAST_SCOPE", 3)
    recent = RecentCalls(store, clock_ns=lambda: 0)
    recent.doubtful({("p", "t"): [Call(f"id-{number}", T0, T0 + NS, f"scope-{number}") for number in range(9)]})
    assert not recent.doubtful({("p", "a"): [Call("id-2", T0, T0 + NS, "scope-2")]})
    assert recent.doubtful({("p", "a"): [Call("id-8", T0, T0 + NS, "scope-8")]})
    assert len(recent._scopes) == 3


@pytest.mark.parametrize("closing_first", [True, False])
def test_a_stream_whose_end_stands_alone_counts_once(
    store: ColumnarStore, spool: SqliteSpool, closing_first: bool
) -> None:
    """As Logfire and Anthropic's client send it; by memory, by search, and after each other."""
    for remembers in (True, False):
        house = House(store, spool)
        if remembers:
            house.remember()
        opening, ending = house.stream()
        for batch in (ending, opening) if closing_first else (opening, ending):
            house.drain(batch)
            if not remembers:
                house.start()
        [totals] = house.store.select(
            "SELECT sum(input_tokens) AS tokens, sum(llm_count) AS calls, count() AS traces FROM traces FINAL"
            " WHERE project_id = {project:String}",
            {"project": house.project},
        )
        assert totals == {"tokens": 6, "calls": 1, "traces": 2}
        [ended] = house.store.select(
            "SELECT counted_reason, response_id FROM span_index FINAL"
            " WHERE project_id = {project:String} AND startsWith(name, 'streaming response')",
            {"project": house.project},
        )
        assert ended["counted_reason"].startswith("other_trace: ")
        assert ended["response_id"] == ""
