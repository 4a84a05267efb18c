"""Any value of any type under any key of a real recording: nothing breaks, and no number is made up.

The mutants are made of the protobuf that was recorded, so they pass decoding, mapping, pricing and settling as
a request would.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from spanhouse_server.decode import decode
from spanhouse_server.decode.values import any_value
from spanhouse_server.drain.transform import priced_span
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.raw import RawLog, RawSpan
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise import is_genai_log
from spanhouse_server.normalise.settle import settle
from spanhouse_server.store.rows import dump, facts_in, span_values
from tests.golden.case import HERE, RECEIVED_NS, all_cases

#: Raised by hand for a longer search: ``SPANHOUSE_TEST_EXAMPLES=20000 pytest tests/golden/test_golden_types.py``.
EXAMPLES = int(os.environ.get("SPANHOUSE_TEST_EXAMPLES", "120"))

NO_NUMBER = st.one_of(
    st.just(AnyValue()),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.sampled_from(["", "x", "NaN", "-inf", "1e999", "true", "null", "[]", "{}", "\x00", "é" * 300, "0x1f", "-7", "1_0"])
    .map(lambda value: AnyValue(string_value=value)),
    st.binary(max_size=8).map(lambda value: AnyValue(bytes_value=b"\xff" + value)),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), -1.0, -0.5, 1e300])
    .map(lambda value: AnyValue(double_value=value)),
    st.sampled_from([-1, -(2**63), 2**63 - 1]).map(lambda value: AnyValue(int_value=value)),
)  # fmt: skip
NESTED = st.recursive(
    NO_NUMBER,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: AnyValue(array_value=ArrayValue(values=values)))
        | st.dictionaries(
            st.sampled_from(["", "role", "content", "type", "input", "total", "usage", "x.y"]), inner
        ).map(
            lambda values: AnyValue(
                kvlist_value=KeyValueList(values=[KeyValue(key=key, value=value) for key, value in values.items()])
            )
        )
    ),
    max_leaves=5,
)
#: Of two attributes in three the one that is changed tells a number.
MUTATIONS = st.lists(
    st.tuples(st.sampled_from([True, True, False]), st.integers(0, 10**6), st.integers(0, 10**6), NESTED),
    min_size=1,
    max_size=4,
)
Mutation = tuple[bool, int, int, AnyValue]
Payloads = list[tuple[str, Message]]


@cache
def recorded(case: str) -> tuple[tuple[str, bytes], ...]:
    """Return signal and body of the requests of a case."""
    return tuple(
        (path.stem.partition("-")[2], path.read_bytes()) for path in sorted((HERE / "payloads" / case).iterdir())
    )


def payloads(case: str) -> Payloads:
    """Return the requests of a case that hold spans or logs, to be changed."""
    kinds: dict[str, type[Message]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
    return [(signal, kinds[signal].FromString(body)) for signal, body in recorded(case) if signal in kinds]


def attributes_of(requests: Payloads) -> list[KeyValue]:
    """Return every attribute of a case: of resources, scopes, spans, events, links and log records."""
    return [each for _, request in requests for each in _key_values(request)]


def _key_values(message: Message) -> Iterator[KeyValue]:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for each in value if field.is_repeated else [value]:
            if isinstance(each, KeyValue):
                yield each
            elif not isinstance(each, AnyValue):
                yield from _key_values(each)


def records_of(requests: Payloads) -> tuple[list[RawSpan], list[RawLog]]:
    """Return what is decoded of requests; all of it must be."""
    spans: list[RawSpan] = []
    logs: list[RawLog] = []
    for signal, request in requests:
        found = decode(signal, request, RECEIVED_NS)
        assert not found.rejected, found.message
        spans += found.spans
        logs += found.logs
    return spans, logs


def read(requests: Payloads) -> list[Span]:
    """Return the canonical spans of requests, each with its own log events."""
    spans, logs = records_of(requests)
    return [
        priced_span(raw, [log for log in logs if log.span_id == raw.span_id and is_genai_log(log)]) for raw in spans
    ]


def settled(spans: list[Span]) -> None:
    """Make the rows of spans and of their traces, as the drain does."""
    traces: dict[str, list[SpanFacts]] = {}
    for span in spans:
        values = span_values("p", RECEIVED_NS, 0, span)
        assert orjson.loads(dump(list(values)))
        traces.setdefault(span.raw.trace_id, []).append(facts_in(values, span))
    for facts in traces.values():
        whole = settle("p", facts, 1)
        assert whole.trace.span_count == len({fact.span_id for fact in facts})
        for name in ("input_tokens", "output_tokens", "cache_read_tokens"):
            told = [getattr(row, name) for row in whole.spans if row.counted and getattr(row, name) is not None]
            assert getattr(whole.trace, name) == (sum(told) if told else None)


COUNTS = [each.name for each in fields(Usage) if each.name not in ("basis", "service_tier")]


def counts(span: Span) -> dict[str, int]:
    """Return what a span says was used."""
    return {name: count for name in COUNTS if (count := getattr(span.usage, name)) is not None}


def mutate(requests: Payloads, mutations: list[Mutation], replace: bool) -> None:
    """Put each of the values in the place of an attribute, or of a value within its JSON; else take that away."""
    attributes = attributes_of(requests)
    telling = [each for each in attributes if _tells_a_number(each)] or attributes
    taken: set[int] = set()
    for of_numbers, at, leaf, value in mutations:
        among = telling if of_numbers else attributes
        attribute = among[at % len(among)]
        if id(attribute) in taken:
            continue
        taken.add(id(attribute))
        document = _document(attribute.value)
        if document is not None and leaf % 4:
            attribute.value.string_value = _changed(document, leaf, any_value(value), replace)
        elif replace:
            attribute.value.CopyFrom(value)
        else:
            attribute.key = f"without.{at}"


def _tells_a_number(attribute: KeyValue) -> bool:
    if attribute.value.WhichOneof("value") in ("int_value", "double_value"):
        return True
    text = f"{attribute.key} {attribute.value.string_value}"
    return any(word in text for word in ("token", "Token", "usage", "cost")) and any(each.isdigit() for each in text)


def _document(value: AnyValue) -> Any:
    try:
        document = orjson.loads(value.string_value)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document else None


def _changed(document: dict[str, Any], at: int, value: Any, replace: bool) -> str:
    """Return JSON with one of its values replaced, or taken away; numbers first."""
    places = list(_places(document))
    numbers = [(held, key) for held, key in places if isinstance(held[key], (int, float)) and held[key] is not True]
    held, key = (numbers or places)[at % len(numbers or places)]
    if replace:
        held[key] = value
    else:
        held[f"without.{at}"] = held.pop(key)
    return orjson.dumps(document).decode()


def _places(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for each in document:
            yield from _places(each)


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(case=st.sampled_from(all_cases()), mutations=MUTATIONS)
def test_any_value_under_any_key_of_any_recording(case: str, mutations: list[Mutation]) -> None:
    """A value that is no count adds no count.

    Each count was said before, or would be without the key; or it is told as it stands, where what it should be
    added to is gone.
    """
    changed, without = payloads(case), payloads(case)
    mutate(changed, mutations, replace=True)
    mutate(without, mutations, replace=False)
    before, bare, after = read(payloads(case)), read(without), read(changed)
    settled(after)
    for span, old, other in zip(after, before, bare, strict=True):
        assert "unmapped" not in span.raw.flags
        known, spared = counts(old), counts(other)
        told = {each for each in old.raw.attributes.values() if type(each) is int and each > 0}
        for name, count in counts(span).items():
            assert type(count) is int
            assert count in {known.get(name), spared.get(name), *told}, (span.dialect, name, count, known, spared)
        reported = span.cost.reported_usd
        prices = {Decimal(str(each)) for each in old.raw.attributes.values() if type(each) in (int, float)}
        assert reported in {None, old.cost.reported_usd, other.cost.reported_usd, *prices}
        assert span.ttft_ns is None or span.ttft_ns in (old.ttft_ns, other.ttft_ns)
