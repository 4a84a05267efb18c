"""OTLP bodies for tests: small real requests with known content."""

from __future__ import annotations

import os
import time
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def any_value(value: Any) -> AnyValue:
    """Return plain Python as an OTLP value."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        result = AnyValue()
        result.array_value.values.extend(any_value(each) for each in value)
        return result
    if isinstance(value, dict):
        result = AnyValue()
        result.kvlist_value.values.extend(attributes(value))
        return result
    return AnyValue(string_value=value)


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    """Return a dict as OTLP attributes."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def span(
    trace_id: str = "",
    span_id: str = "",
    parent_id: str = "",
    name: str = "work",
    start_ns: int = 0,
    duration_ns: int = 1_000_000,
    status: int = 0,
    **values: Any,
) -> dict[str, Any]:
    """Return one span as keyword arguments of ``request``; ids and times are made up when absent."""
    return {
        "trace_id": bytes.fromhex(trace_id) if trace_id else os.urandom(16),
        "span_id": bytes.fromhex(span_id) if span_id else os.urandom(8),
        "parent_span_id": bytes.fromhex(parent_id),
        "name": name,
        "kind": 1,
        "start_time_unix_nano": start_ns or time.time_ns(),
        "duration_ns": duration_ns,
        "status": status,
        "attributes": values.get("attributes", {}),
    }


def request(*spans: dict[str, Any], resource: dict[str, Any] | None = None, scope: str = "tests") -> bytes:
    """Return a trace export request in protobuf."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.extend(attributes(resource or {"service.name": "tests"}))
    scoped = group.scope_spans.add()
    scoped.scope.name = scope
    for each in spans:
        made = scoped.spans.add(
            trace_id=each["trace_id"],
            span_id=each["span_id"],
            parent_span_id=each["parent_span_id"],
            name=each["name"],
            kind=each["kind"],
            start_time_unix_nano=each["start_time_unix_nano"],
            end_time_unix_nano=each["start_time_unix_nano"] + each["duration_ns"],
            attributes=attributes(each["attributes"]),
        )
        made.status.code = each["status"]
    return message.SerializeToString()


def log_request(trace_id: str, span_id: str, *records: tuple[str, Any, dict[str, Any]]) -> bytes:
    """Return a log export request; a record is (event name, body, attributes)."""
    message = ExportLogsServiceRequest()
    scoped = message.resource_logs.add().scope_logs.add()
    for offset, (event_name, body, values) in enumerate(records):
        scoped.log_records.add(
            time_unix_nano=time.time_ns() + offset,
            trace_id=bytes.fromhex(trace_id),
            span_id=bytes.fromhex(span_id),
            event_name=event_name,
            body=any_value(body),
            attributes=attributes(values),
        )
    return message.SerializeToString()
