"""Full OTLP requests: every field set, so that a reader that forgets one is found out."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp import any_value, attributes

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SPAN_ID = bytes.fromhex("eee19b7ec3c1b174")
PARENT_ID = bytes.fromhex("eee19b7ec3c1b173")
RECEIVED_NS = 1_780_000_000_000_000_000
START_NS = RECEIVED_NS - 5_000_000_000
END_NS = RECEIVED_NS - 1_000_000_000

ATTRIBUTES = {
    "text": "grüße 🌍\n",
    "empty": "",
    "yes": True,
    "no": False,
    "zero": 0,
    "big": 2**63 - 1,
    "small": -(2**63),
    "float": 0.25,
    "list": ["a", 1, [True, {"deep": "er"}], {}],
    "map": {"inner": {"x": [1.5]}, "n": 3},
}


def traces(**overrides: Any) -> ExportTraceServiceRequest:
    """Return a request with one full span; overrides replace span fields."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.30.0")
    group.resource.attributes.extend(attributes({"service.name": "shop", "host.name": "h1"}))
    scoped = group.scope_spans.add(schema_url="x")
    scoped.scope.name = "openai"
    scoped.scope.version = "1.2"
    scoped.scope.attributes.extend(attributes({"k": 1}))
    add_span(scoped.spans, **overrides)
    return request


def add_span(spans: Any, **overrides: Any) -> Any:
    """Add a full span to a repeated field and return it."""
    fields: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "parent_span_id": PARENT_ID,
        "trace_state": "a=b",
        "flags": 0x101,
        "name": "chat gpt-4o",
        "kind": 3,
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": END_NS,
        "attributes": attributes(ATTRIBUTES),
        "dropped_attributes_count": 1,
        "dropped_events_count": 2,
        "dropped_links_count": 3,
    }
    span = spans.add(**fields)
    span.status.code = 2
    span.status.message = "boom"
    event = span.events.add(time_unix_nano=START_NS + 5, name="exception", dropped_attributes_count=4)
    event.attributes.extend(attributes({"exception.type": "ValueError"}))
    link = span.links.add(trace_id=TRACE_ID[::-1], span_id=PARENT_ID, trace_state="c=d", flags=1)
    link.attributes.extend(attributes({"why": "retry"}))
    for name, value in overrides.items():
        setattr(span, name, value)
    return span


def logs(**overrides: Any) -> ExportLogsServiceRequest:
    """Return a request with one full log record."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(attributes({"service.name": "shop"}))
    scoped = group.scope_logs.add()
    scoped.scope.name = "openai"
    record = scoped.log_records.add(
        time_unix_nano=START_NS,
        observed_time_unix_nano=END_NS,
        severity_number=9,
        severity_text="INFO",
        body=any_value({"content": "hello", "parts": [1, "x"]}),
        attributes=attributes(ATTRIBUTES),
        dropped_attributes_count=1,
        flags=1,
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        event_name="gen_ai.choice",
    )
    for name, value in overrides.items():
        setattr(record, name, value)
    return request


def metrics() -> ExportMetricsServiceRequest:
    """Return a request with one metric of every type."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(attributes({"service.name": "shop"}))
    all_metrics = group.scope_metrics.add().metrics
    base: dict[str, Any] = {
        "start_time_unix_nano": START_NS,
        "time_unix_nano": END_NS,
        "attributes": attributes({"k": "v"}),
    }
    gauge = all_metrics.add(name="hw.gpu.utilization", description="busy", unit="1").gauge
    gauge.data_points.add(as_double=0.5, **base)
    gauge.data_points.add(as_int=-7, **base)
    gauge.data_points.add(**base)
    total = all_metrics.add(name="tokens", unit="{token}").sum
    total.aggregation_temporality = 2
    total.is_monotonic = True
    exemplar = total.data_points.add(as_int=12, flags=2, **base).exemplars.add(as_double=2.0, time_unix_nano=1)
    exemplar.span_id = SPAN_ID
    exemplar.trace_id = TRACE_ID
    exemplar.filtered_attributes.extend(attributes({"f": 1}))
    histogram = all_metrics.add(name="duration", unit="s").histogram
    histogram.aggregation_temporality = 1
    histogram.data_points.add(
        count=6, sum=3.5, min=0.1, max=2.0, bucket_counts=[1, 2, 3], explicit_bounds=[0.5, 1.0], **base
    )
    exponential = all_metrics.add(name="ttft", unit="s").exponential_histogram
    exponential.aggregation_temporality = 1
    point = exponential.data_points.add(count=9, sum=4.5, scale=-2, zero_count=1, zero_threshold=0.001, **base)
    point.positive.offset = -3
    point.positive.bucket_counts.extend([4, 0, 4])
    point.negative.offset = 2
    point.negative.bucket_counts.append(0)
    summary = all_metrics.add(name="old", unit="s").summary
    at = summary.data_points.add(count=2, sum=2.5, **base).quantile_values
    at.add(quantile=0.5, value=1.0)
    at.add(quantile=1.0, value=float("nan"))
    return request


FULL = {"traces": traces, "logs": logs, "metrics": metrics}


def as_json(message: Any) -> dict[str, Any]:
    """Return a message as OTLP/JSON: protobuf's own JSON with the ids in hex."""

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex() if key in ("traceId", "spanId", "parentSpanId") else walk(item)
            for key, item in value.items()
        }

    made = walk(MessageToDict(message, use_integers_for_enums=True))
    assert isinstance(made, dict)
    return made


def json_span(**fields: Any) -> dict[str, Any]:
    """Return a small good OTLP/JSON span."""
    return {
        "traceId": TRACE_ID.hex(),
        "spanId": SPAN_ID.hex(),
        "name": "work",
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(END_NS),
        **fields,
    }


def json_traces(*spans: Any) -> bytes:
    """Return an OTLP/JSON trace request with these spans."""
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]})


def wrap_value(depth: int, kind: str = "array_value") -> ExportTraceServiceRequest:
    """Return a request whose span has an attribute nested this deep."""
    request = traces()
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="deep").value
    for _ in range(depth):
        inner = getattr(value, kind).values.add()
        value = inner if kind == "array_value" else inner.value
    value.int_value = 1
    return request
