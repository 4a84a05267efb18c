"""GenAI log events (prompts and answers of some instrumentations) on the same way as spans.

OpenTelemetry's Python log API still moves between releases, so everything here is optional: where
it does not fit, spans are exported all the same. Only GenAI events are taken; the host's own logs
are none of our business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from spanhouse._log import logger, warn_rarely
from spanhouse._processor import overlay_resource, value_bytes
from spanhouse._state import STATE

_installed: list[Any] = []


def install() -> Any | None:
    """Hook into the global logger provider, creating one where there is none; return the provider."""
    if _installed:
        return _installed[0]
    try:
        from opentelemetry._logs import get_logger_provider, set_logger_provider
        from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor

        class GenAiLogProcessor(LogRecordProcessor):
            """Queues GenAI events; the class is made here because its base may not exist."""

            def on_emit(self, log_record: Any) -> None:
                _queue(log_record)

            def shutdown(self) -> None:
                """Do nothing: the sender outlives providers."""

            def force_flush(self, timeout_millis: int = 30000) -> bool:
                return True

        provider = get_logger_provider()
        if not isinstance(provider, LoggerProvider):
            from spanhouse._processor import new_resource

            provider = LoggerProvider(resource=new_resource(), shutdown_on_exit=False)
            set_logger_provider(provider)
        provider.add_log_record_processor(GenAiLogProcessor())
    except Exception as error:
        logger.info("GenAI log events are not exported: %s: %s", type(error).__name__, error)
        return None
    _installed.append(provider)
    return provider


def _queue(record: Any) -> None:
    state = STATE
    if not state.active or state.sender is None or "logs" not in state.lanes:
        return
    try:
        log = record.log_record
        name = log.event_name or (log.attributes or {}).get("event.name") or ""
        if not str(name).startswith("gen_ai."):
            return
        if log.trace_flags is not None and log.span_id and not int(log.trace_flags) & 1:
            return
        size = 200 + value_bytes(log.body) + value_bytes(dict(log.attributes or {}))
        state.sender.put(state.lanes["logs"], record, size)
    except Exception as error:
        warn_rarely("on_emit", "a log event could not be queued: %s: %s", type(error).__name__, error)


def encode_log_batch(records: Sequence[Any]) -> bytes:
    """Return the OTLP request of log records, content stripped or masked as asked."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import ReadableLogRecord

    policy = STATE.policy
    readable = []
    for record in records:
        log = record.log_record
        if not policy.passes_everything:
            log = _copy(log)
            log.attributes = policy.attributes(log.attributes or {})
            log.body = policy.masked("body", log.body) if policy.capture and log.body is not None else None
        readable.append(
            ReadableLogRecord(
                log_record=log,
                resource=record.resource,
                instrumentation_scope=record.instrumentation_scope,
                limits=getattr(record, "limits", None),
            )
        )
    request = encode_logs(readable)
    for resource_logs in request.resource_logs:
        overlay_resource(resource_logs.resource)
    body: bytes = request.SerializeToString()
    return body


def _copy(log: Any) -> Any:
    try:
        return replace(log)
    except TypeError:
        import copy

        return copy.copy(log)
