"""A Langfuse observation told in pieces is one span, in whatever order the pieces come."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.raw import RawLog, RawSpan, Scope
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.langfuse_events import root_hex, span_hex, span_of, time_ns, trace_hex
from spanhouse_server.store import rows

UUID = "9663ad4f-dca8-4bf9-ba3a-04616f971ab3"
TRACE = trace_hex(UUID)
T0_NS = time_ns("2026-01-15T12:00:00Z") or 0
S = 1_000_000_000


def piece(kind: str, at_s: float, span_id: str = "", **body: Any) -> RawLog:
    own = {"langfuse.id": "o1", "langfuse.sdk.version": "2.60.10"}
    at_ns = T0_NS + round(at_s * S)
    return RawLog(
        at_ns, at_ns, 0, "", f"langfuse.{kind}", body, own, {}, Scope("langfuse-sdk"), TRACE, span_id or span_hex("o1")
    )


GENERATION = [
    piece("generation-create", 0, name="answer", startTime="2026-01-15T12:00:00Z", model="gpt-4o", input='[{"role":"user"}]',
          metadata='{"k":1,"deep":{"a":1}}', modelParameters='{"temperature":0.2}'),
    piece("generation-update", 1, completionStartTime="2026-01-15T12:00:00.500Z", metadata='{"k":2}', model=None),
    piece("generation-update", 2, endTime="2026-01-15T12:00:01.250Z", output="Sure.", level="ERROR", statusMessage="cut",
          usage='{"input":100,"output":20,"total":120,"unit":"TOKENS","totalCost":0.5}', promptName="p", promptVersion=3),
]  # fmt: skip


def made(pieces: list[RawLog], span_id: str = "", latest_ns: int = 0) -> RawSpan:
    span = span_of(TRACE, span_id or span_hex("o1"), pieces, latest_ns)
    assert span is not None
    return span


def test_a_generation() -> None:
    span = made(GENERATION)
    assert (span.trace_id, span.span_id, span.parent_span_id) == (TRACE, span_hex("o1"), root_hex(TRACE))
    assert (span.name, span.kind, span.status_code, span.status_message) == ("answer", "client", "error", "cut")
    assert (span.start_ns, span.end_ns) == (T0_NS, T0_NS + 1_250_000_000)
    assert (span.scope.name, span.scope.version) == ("langfuse-sdk", "2.60.10")
    observation = {
        key.removeprefix("langfuse.observation."): value
        for key, value in span.attributes.items()
        if key.startswith("langfuse.observation.")
    }
    assert orjson.loads(observation.pop("usage_details")) == {"input": 100, "output": 20, "total": 120}
    assert orjson.loads(observation.pop("cost_details")) == {"total": 0.5}
    assert observation == {
        "id": "o1",
        "type": "generation",
        "model.name": "gpt-4o",
        "model.parameters": '{"temperature":0.2}',
        "input": '[{"role":"user"}]',
        "output": "Sure.",
        "completion_start_time": "2026-01-15T12:00:00.500Z",
        "level": "ERROR",
        "status_message": "cut",
        "prompt.name": "p",
        "prompt.version": 3,
        "metadata.k": 2,
        "metadata.deep": '{"a":1}',
    }


def test_order_and_repetition_change_nothing() -> None:
    expected = made(GENERATION)
    for seed in range(10):
        shuffled = [*GENERATION, GENERATION[seed % 3]]
        random.Random(seed).shuffle(shuffled)
        assert made(shuffled) == expected


def test_pieces_of_the_same_instant_begin_with_the_creation() -> None:
    both = [
        piece("span-update", 0, name="newer", endTime="2026-01-15T12:00:01Z"),
        piece("span-create", 0, name="older"),
    ]
    assert made(both).name == "newer"


def test_what_is_known_so_far() -> None:
    begun = made(GENERATION[:1])
    assert (begun.start_ns, begun.end_ns, begun.flags) == (T0_NS, T0_NS, ["missing_end_time"])
    ended = made(GENERATION[2:])
    assert (ended.start_ns, ended.end_ns, ended.flags) == (T0_NS + 2 * S, T0_NS + 2 * S, ["end_before_start"])
    assert made([piece("event-create", 0, name="clicked")]).flags == []


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([piece("span-create", 0)], "span"),
        ([piece("span-update", 0), piece("generation-create", 1)], "generation"),
        ([piece("observation-create", 0, type="GENERATION")], "generation"),
        ([piece("observation-create", 0)], "span"),
        ([piece("tool-create", 0)], "tool"),
    ],
)
def test_what_kind_it_is(pieces: list[RawLog], kind: str) -> None:
    assert made(pieces).attributes["langfuse.observation.type"] == kind


def test_the_root_stands_for_the_trace() -> None:
    root = root_hex(TRACE)
    pieces = [
        piece("trace-create", 1, root, output="bye", tags='["b","c"]', sessionId=None),
        piece("trace-create", 0, root, name="support", timestamp="2026-01-15T12:00:00Z", userId="ann", sessionId="s-1",
              tags='["a","b"]', metadata='{"plan":"pro"}', release="r1", version="v2", environment="prod", input="hi"),
    ]  # fmt: skip
    span = made(pieces, root, T0_NS + 9 * S)
    assert (span.parent_span_id, span.name, span.start_ns, span.end_ns) == ("", "support", T0_NS, T0_NS + 9 * S)
    assert span.attributes == {
        "langfuse.trace.id": "o1",
        "langfuse.observation.type": "span",
        "langfuse.trace.name": "support",
        "langfuse.observation.input": "hi",
        "langfuse.observation.output": "bye",
        "langfuse.trace.tags": '["a","b","c"]',
        "session.id": "s-1",
        "user.id": "ann",
        "langfuse.environment": "prod",
        "langfuse.release": "r1",
        "langfuse.version": "v2",
        "langfuse.trace.metadata.plan": "pro",
    }
    canonical = normalise(span)
    assert (canonical.session_id, canonical.user_id, canonical.environment) == ("s-1", "ann", "prod")
    assert canonical.tags == ["a", "b", "c"]
    assert (canonical.input_preview, canonical.output_preview) == ("hi", "bye")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_a_trace_began_at_the_earliest_time_told(order: tuple[int, ...]) -> None:
    root = root_hex(TRACE)
    pieces = [
        piece("trace-create", 5, root, name="long", timestamp="2026-01-15T12:00:01Z"),
        piece("trace-create", 9, root, output="bye", timestamp="2026-01-15T12:00:09Z"),
        piece("trace-create", 7, root, timestamp="noon"),
    ]
    span = made([pieces[at] for at in order], root, T0_NS + 8 * S)
    assert (span.start_ns, span.end_ns) == (T0_NS + S, T0_NS + 8 * S)
    assert made(pieces[2:], root).start_ns == T0_NS + 7 * S


def test_ids() -> None:
    assert trace_hex(UUID) == UUID.replace("-", "")
    assert trace_hex(TRACE.upper()) == TRACE
    assert span_hex("00F067AA0BA902B7") == "00f067aa0ba902b7"
    for odd in ("", "order 66", "0" * 32, "x" * 32, "é"):
        assert len(trace_hex(odd)) == 32
        assert len(span_hex(odd)) == 16
        assert int(trace_hex(odd), 16)
    assert trace_hex("a") != trace_hex("b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", S),
        ("1970-01-01T01:00:01+01:00", S),
        ("1970-01-01T00:00:01.000001", S + 1000),
        ("1969-12-31T00:00:00Z", None),
        ("9999-12-31T00:00:00Z", None),
        ("yesterday", None),
        (12, None),
        (None, None),
    ],
)
def test_times(text: Any, expected: int | None) -> None:
    assert time_ns(text) == expected


def test_other_records_tell_nothing() -> None:
    assert span_of(TRACE, span_hex("o1"), []) is None
    assert span_of(TRACE, span_hex("o1"), [piece("score-create", 0), piece("nonsense", 0)]) is None


JSON_TEXT = st.sampled_from(["{", "[1", '{"a":{"b":[1]}}', '["a","a"]', "[[]]", '{"input":-5}', "{}", "null", '{"":1}'])
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | JSON_TEXT
FIELDS = st.sampled_from(
    ["name", "startTime", "endTime", "timestamp", "metadata", "tags", "usage", "usageDetails", "level", "type",
     "parentObservationId", "input", "model", "statusMessage", "completionStartTime", "sessionId"]
)  # fmt: skip
BODIES = st.dictionaries(FIELDS, VALUES | st.lists(VALUES, max_size=2), max_size=8) | VALUES
KINDS = st.sampled_from(["trace-create", "span-create", "generation-update", "observation-create", "event-create"])


@given(st.lists(st.tuples(KINDS, BODIES), min_size=1, max_size=4), st.booleans())
def test_confused_bodies_make_a_storable_span(told: list[tuple[str, Any]], about_trace: bool) -> None:
    span_id = root_hex(TRACE) if about_trace else span_hex("o1")
    pieces = []
    for at, (kind, body) in enumerate(told):
        log = piece(kind, at, span_id)
        log.body = body
        pieces.append(log)
    span = made(pieces, span_id)
    assert span.end_ns >= span.start_ns > 0
    assert rows.dump(rows.span_row("default", 1, 0, normalise(span)))
