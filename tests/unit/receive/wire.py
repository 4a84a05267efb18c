"""OTLP requests for the receiver's tests, good and bad, and readers of its answers."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

RESPONSES: dict[str, Any] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def traces(count: int = 1, *, attribute: AnyValue | None = None, **fields: Any) -> ExportTraceServiceRequest:
    """Return ``count`` spans; ``fields`` replace those of every span."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.append(KeyValue(key="service.name", value=text("tests")))
    scoped = group.scope_spans.add()
    for number in range(count):
        given = {
            "trace_id": os.urandom(16),
            "span_id": os.urandom(8),
            "name": f"span {number}",
            "start_time_unix_nano": time.time_ns() - 1_000_000,
            "end_time_unix_nano": time.time_ns(),
        } | fields
        span = scoped.spans.add(**given)
        if attribute is not None:
            span.attributes.append(KeyValue(key="big", value=attribute))
    return message


def logs(count: int = 1, **fields: Any) -> ExportLogsServiceRequest:
    message = ExportLogsServiceRequest()
    scoped = message.resource_logs.add().scope_logs.add()
    for _ in range(count):
        scoped.log_records.add(**({"time_unix_nano": time.time_ns(), "body": text("said")} | fields))
    return message


def metrics(count: int = 1, name: str = "gen_ai.client.token.usage") -> ExportMetricsServiceRequest:
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name=name, unit="{token}")
    for number in range(count):
        metric.sum.data_points.add(as_int=number, time_unix_nano=time.time_ns())
    return message


def nested(depth: int) -> AnyValue:
    """Return a value of lists in lists."""
    value = text("core")
    for _ in range(depth):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    return value


def json_span(**fields: Any) -> dict[str, Any]:
    return {
        "traceId": os.urandom(16).hex(),
        "spanId": os.urandom(8).hex(),
        "name": "json span",
        "kind": 3,
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": time.time_ns(),
        "attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}}],
    } | fields


def json_traces(*spans: dict[str, Any], **extra: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]} | extra).encode()


def status_of(body: bytes, media_type: str) -> tuple[int, str]:
    """Return code and message of a ``google.rpc.Status`` in either encoding."""
    if media_type == "application/json":
        read = json.loads(body)
        return read["code"], read["message"]
    status = Status.FromString(body)
    return status.code, status.message
