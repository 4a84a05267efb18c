"""OTLP log records to raw logs."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from spanhouse_server.decode.common import scope_of
from spanhouse_server.decode.refuse import ZERO_SPAN_ID, ZERO_TRACE_ID, Tally, describe_log, refuse_log
from spanhouse_server.decode.values import any_value, attributes
from spanhouse_server.model.raw import Attributes, Decoded, RawLog, Scope


def decode_logs(message: Any, received_ns: int, large: bool, decoded: Decoded) -> Tally:
    """Append the good records of an ``ExportLogsServiceRequest`` to ``decoded.logs``."""
    tally = Tally("log records")
    for resource_logs in message.resource_logs:
        resource = attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_of(scope_logs.scope)
            for record in scope_logs.log_records:
                reason = refuse_log(record, large)
                if reason:
                    tally.refuse(reason, describe_log, record)
                else:
                    decoded.logs.append(_log(record, resource, scope, received_ns))
    tally.accepted = len(decoded.logs)
    return tally


def _log(record: LogRecord, resource: Attributes, scope: Scope, received_ns: int) -> RawLog:
    observed_ns = record.observed_time_unix_nano
    plain = attributes(record.attributes)
    event_name = record.event_name or plain.get("event.name")
    trace_id, span_id = record.trace_id, record.span_id
    return RawLog(
        time_ns=record.time_unix_nano or observed_ns or received_ns,
        observed_ns=observed_ns or received_ns,
        severity_number=max(record.severity_number, 0),
        severity_text=record.severity_text,
        # Senders older than LogRecord.event_name put it into this attribute.
        event_name=event_name if isinstance(event_name, str) else "",
        body=any_value(record.body),
        attributes=plain,
        resource=resource,
        scope=scope,
        trace_id="" if trace_id == ZERO_TRACE_ID else trace_id.hex(),
        span_id="" if span_id == ZERO_SPAN_ID else span_id.hex(),
    )
