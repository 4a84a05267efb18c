"""Good records: every field arrives, carelessness is mended and flagged."""

from typing import Any

import orjson
import pytest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S
from spanhouse_server.decode import check, decode
from spanhouse_server.decode.metrics import MAX_EXEMPLARS
from spanhouse_server.model.raw import Exemplar, RawEvent, RawLink, RawLog, RawMetricPoint, RawSpan, Scope
from tests.otlp import attributes
from tests.unit.decode import samples
from tests.unit.decode.samples import (
    ATTRIBUTES,
    END_NS,
    PARENT_ID,
    RECEIVED_NS,
    SPAN_ID,
    START_NS,
    TRACE_ID,
    add_span,
    logs,
    metrics,
    traces,
)


def span_of(**fields: Any) -> RawSpan:
    decoded = decode("traces", traces(**fields), RECEIVED_NS)
    assert not decoded.rejected
    (span,) = decoded.spans
    return span


def test_every_field_of_a_span_arrives() -> None:
    assert span_of() == RawSpan(
        trace_id=TRACE_ID.hex(),
        span_id=SPAN_ID.hex(),
        parent_span_id=PARENT_ID.hex(),
        name="chat gpt-4o",
        kind="client",
        start_ns=START_NS,
        end_ns=END_NS,
        status_code="error",
        status_message="boom",
        attributes=ATTRIBUTES,
        events=[RawEvent("exception", START_NS + 5, {"exception.type": "ValueError"})],
        links=[RawLink(TRACE_ID[::-1].hex(), PARENT_ID.hex(), "c=d", {"why": "retry"})],
        resource={"service.name": "shop", "host.name": "h1"},
        scope=Scope("openai", "1.2", {"k": 1}),
        trace_state="a=b",
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
        flags=[],
    )


def test_spans_of_a_batch_share_resource_and_scope() -> None:
    message = traces()
    add_span(message.resource_spans[0].scope_spans[0].spans)
    first, second = decode("traces", message, RECEIVED_NS).spans
    assert first.resource is second.resource
    assert first.scope is second.scope
    assert first.attributes is not second.attributes


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "mended", "flags"),
    [
        (START_NS, START_NS, (START_NS, START_NS), []),
        (END_NS, START_NS, (END_NS, END_NS), ["end_before_start"]),
        (0, END_NS, (END_NS, END_NS), ["missing_start_time"]),
        (START_NS, 0, (START_NS, START_NS), ["missing_end_time"]),
        (0, 0, (RECEIVED_NS, RECEIVED_NS), ["missing_start_time", "missing_end_time"]),
        (1, 2, (1, 2), ["unusual_time"]),
        (START_NS, RECEIVED_NS + 86_401 * NS_PER_S, (START_NS, RECEIVED_NS + 86_401 * NS_PER_S), ["unusual_time"]),
        (START_NS, RECEIVED_NS + 86_399 * NS_PER_S, (START_NS, RECEIVED_NS + 86_399 * NS_PER_S), []),
        (MAX_TIME_NS, 1, (MAX_TIME_NS, MAX_TIME_NS), ["end_before_start", "unusual_time"]),
    ],
)
def test_times_are_mended_and_flagged(start_ns: int, end_ns: int, mended: tuple[int, int], flags: list[str]) -> None:
    span = span_of(start_time_unix_nano=start_ns, end_time_unix_nano=end_ns)
    assert ((span.start_ns, span.end_ns), span.flags) == (mended, flags)


@pytest.mark.parametrize(
    ("parent_id", "kept", "flags"),
    [(b"", "", []), (bytes(8), "", []), (b"abc", "", ["invalid_parent_span_id"]), (PARENT_ID, PARENT_ID.hex(), [])],
)
def test_parents(parent_id: bytes, kept: str, flags: list[str]) -> None:
    span = span_of(parent_span_id=parent_id)
    assert (span.parent_span_id, span.flags) == (kept, flags)


def test_unknown_kinds_and_codes_of_later_versions_are_tolerated() -> None:
    message = traces(kind=77)
    message.resource_spans[0].scope_spans[0].spans[0].status.code = 9
    (span,) = decode("traces", message, RECEIVED_NS).spans
    assert (span.kind, span.status_code) == ("unspecified", "unset")


def test_bad_links_and_event_times_cost_only_themselves() -> None:
    message = traces()
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.links.add(trace_id=b"x", span_id=SPAN_ID)
    span.links.add(trace_id=TRACE_ID, span_id=bytes(8))
    span.events.add(name="late", time_unix_nano=2**64 - 1)
    span.events.add(name="timeless")
    (raw,) = decode("traces", message, RECEIVED_NS).spans
    assert (len(raw.links), raw.dropped_links) == (1, 5)
    assert [event.time_ns for event in raw.events] == [START_NS + 5, START_NS, START_NS]
    assert sorted(raw.flags) == ["invalid_event_time", "invalid_link"]


def test_attribute_values() -> None:
    message = traces()
    pairs = message.resource_spans[0].scope_spans[0].spans[0].attributes
    del pairs[:]
    pairs.extend(attributes({"twice": "first", "other": 1}))
    pairs.add(key="nan").value.double_value = float("nan")
    pairs.add(key="inf").value.double_value = float("inf")
    pairs.add(key="-inf").value.double_value = float("-inf")
    pairs.add(key="bytes").value.bytes_value = b"\x00\xff"
    pairs.add(key="none")
    pairs.add(key="index").value.string_value_strindex = 4
    pairs.add(key="list").value.array_value.values.add().double_value = float("nan")
    pairs.add(key="map").value.kvlist_value.values.extend([KeyValue(key="a"), *attributes({"a": 2})])
    pairs.extend(attributes({"twice": "last"}))
    (span,) = decode("traces", message, RECEIVED_NS).spans
    assert span.attributes == {
        "twice": "last",
        "other": 1,
        "nan": "NaN",
        "inf": "Infinity",
        "-inf": "-Infinity",
        "bytes": "AP8=",
        "none": None,
        "index": None,
        "list": ["NaN"],
        "map": {"a": 2},
    }
    assert orjson.loads(orjson.dumps(span))["attributes"] == span.attributes


def log_of(**fields: Any) -> RawLog:
    (log,) = decode("logs", logs(**fields), RECEIVED_NS).logs
    return log


def test_every_field_of_a_log_record_arrives() -> None:
    assert log_of() == RawLog(
        time_ns=START_NS,
        observed_ns=END_NS,
        severity_number=9,
        severity_text="INFO",
        event_name="gen_ai.choice",
        body={"content": "hello", "parts": [1, "x"]},
        attributes=ATTRIBUTES,
        resource={"service.name": "shop"},
        scope=Scope("openai"),
        trace_id=TRACE_ID.hex(),
        span_id=SPAN_ID.hex(),
    )


def test_older_senders_name_the_event_in_an_attribute() -> None:
    message = logs(event_name="")
    record = message.resource_logs[0].scope_logs[0].log_records[0]
    assert decode("logs", message, RECEIVED_NS).logs[0].event_name == ""
    record.attributes.extend(attributes({"event.name": "gen_ai.user.message"}))
    assert decode("logs", message, RECEIVED_NS).logs[0].event_name == "gen_ai.user.message"
    record.event_name = "newer"
    assert decode("logs", message, RECEIVED_NS).logs[0].event_name == "newer"


def test_log_times_and_ids_have_stand_ins() -> None:
    log = log_of(time_unix_nano=0, trace_id=bytes(16), span_id=b"")
    assert (log.time_ns, log.trace_id, log.span_id) == (END_NS, "", "")
    log = log_of(time_unix_nano=0, observed_time_unix_nano=0)
    assert (log.time_ns, log.observed_ns) == (RECEIVED_NS, RECEIVED_NS)


def test_every_metric_type_arrives() -> None:
    points = decode("metrics", metrics(), RECEIVED_NS).points
    shared: dict[str, Any] = {
        "start_ns": START_NS,
        "time_ns": END_NS,
        "attributes": {"k": "v"},
        "resource": {"service.name": "shop"},
        "scope": Scope(),
    }

    def point(name: str, unit: str, kind: str, temporality: str = "unspecified", **rest: Any) -> RawMetricPoint:
        fields = {"description": "", "monotonic": False, **shared, **rest}
        return RawMetricPoint(name=name, unit=unit, type=kind, temporality=temporality, **fields)

    example = Exemplar(1, 2.0, TRACE_ID.hex(), SPAN_ID.hex(), {"f": 1})
    assert points == [
        point("hw.gpu.utilization", "1", "gauge", description="busy", value=0.5),
        point("hw.gpu.utilization", "1", "gauge", description="busy", value=-7.0),
        point("hw.gpu.utilization", "1", "gauge", description="busy"),
        point("tokens", "{token}", "sum", "cumulative", monotonic=True, value=12.0, exemplars=[example]),
        point(
            "duration", "s", "histogram", "delta",
            count=6, sum=3.5, min=0.1, max=2.0, explicit_bounds=[0.5, 1.0], bucket_counts=[1, 2, 3],
        ),
        point(
            "ttft", "s", "exponential_histogram", "delta",
            count=9, sum=4.5, scale=-2, zero_count=1, positive_offset=-3, positive_counts=[4, 0, 4],
            negative_offset=2, negative_counts=[0],
        ),
        point("old", "s", "summary", count=2, sum=2.5, quantiles=[(0.5, 1.0)]),
    ]  # fmt: skip


def test_points_that_say_there_is_no_value_leave_nothing() -> None:
    message = samples.metrics()
    for metric in message.resource_metrics[0].scope_metrics[0].metrics:
        getattr(metric, metric.WhichOneof("data")).data_points[0].flags |= 1
    decoded = decode("metrics", message, 1)
    assert [(point.name, point.value) for point in decoded.points] == [
        ("hw.gpu.utilization", -7.0),
        ("hw.gpu.utilization", None),
    ]
    assert (decoded.rejected, check("metrics", message).accepted) == ({}, 7)


def test_numbers_json_does_not_know_are_left_out_of_points() -> None:
    message = metrics()
    message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].as_double = float("nan")
    point = decode("metrics", message, RECEIVED_NS).points[0]
    assert point.value is None


def test_exemplars_that_cannot_be_kept_are_left_out_or_lose_their_ids() -> None:
    request = metrics()
    [_, tokens, duration, *_] = request.resource_metrics[0].scope_metrics[0].metrics
    given = duration.histogram.data_points[0].exemplars
    given.add(as_double=float("nan"), time_unix_nano=5, trace_id=TRACE_ID, span_id=SPAN_ID)
    given.add(time_unix_nano=6, trace_id=TRACE_ID, span_id=SPAN_ID)
    given.add(as_int=3, time_unix_nano=2**64 - 1, trace_id=TRACE_ID, span_id=SPAN_ID[:4])
    given.add(as_double=1.5, trace_id=bytes(16), span_id=bytes(8))
    found = {point.name: point.exemplars for point in decode("metrics", request, RECEIVED_NS).points}
    assert found["duration"] == [Exemplar(END_NS, 1.5, "", "", {}), Exemplar(END_NS, 3.0, "", "", {})]
    del tokens.sum.data_points[0].exemplars[:]
    for at in range(1, 2 * MAX_EXEMPLARS + 1):
        tokens.sum.data_points[0].exemplars.add(as_int=at, time_unix_nano=at)
    newest = next(point for point in decode("metrics", request, RECEIVED_NS).points if point.name == "tokens").exemplars
    assert [example.value for example in newest] == [
        float(at) for at in range(MAX_EXEMPLARS + 1, 2 * MAX_EXEMPLARS + 1)
    ]
