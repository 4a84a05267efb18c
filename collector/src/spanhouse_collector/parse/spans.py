"""A record of a call as OpenTelemetry spans in the GenAI conventions.

Attributes under ``spanhouse.`` are ours: what no convention has a name for. Content is JSON text within
bounds. ``gen_ai.response.time_to_first_chunk`` is the time to the first generated content, not to the
first bytes; calls that do not stream have none.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from spanhouse_collector.parse.attributes import key_values
from spanhouse_collector.parse.content import Trim
from spanhouse_collector.parse.contract import CallRecord, CallStart, Limits, Reading, Turn, Usage
from spanhouse_collector.parse.ids import SpanContext, span_context, turn_span_id
from spanhouse_collector.parse.jsontext import dumps, mend
from spanhouse_collector.parse.providers import address, provider_name

_NS = 1_000_000_000
_REMOTE_PARENT_FLAGS = 0x300
_MAX_NAME_CHARACTERS = 256
_SERVED_BYTES = 4096
#: Bounds tried in turn on each text of a content attribute that is too large as a whole.
_TIGHTER_CHARACTERS = (32_768, 4_096, 512, 64)
_OUTCOME_MESSAGES = {
    "client_disconnected": "the client went away before the answer was complete",
    "timeout": "the upstream did not answer in time",
    "upstream_error": "the upstream could not be reached or broke off",
    "refused": "the proxy refused the call",
}


def call_spans(record: CallRecord) -> list[Span]:
    """Return the span of a call and, for a WebSocket, one below it for each answer."""
    start, end = record.start, record.end
    context = span_context(start.call_id, start.traceparent)
    attributes = _http(record)
    reading = record.reading
    if reading.operation:
        attributes |= _genai(start, reading, record.limits, record.truncated)
        attributes |= _usage(reading, complete=end.outcome == "complete", cache_hit=bool(end.cache_hit))
    attributes |= _context(start, reading.session_id, reading.user_id)
    attributes |= _proxy(record)
    error_type, message = _failure(record)
    attributes["error.type"] = error_type
    name = _name(reading, f"{start.method} {start.path}")
    span = _span(context, context.span_id, context.parent_span_id, name, start.started_ns, end.at_ns, attributes)
    span.trace_state = _trace_state(start) if context.parent_span_id else ""
    if error_type:
        span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=mend(message)))
    return [span, *turn_spans(start, record.turns, record.limits, end.error_type)]


def turn_spans(start: CallStart, turns: list[Turn], limits: Limits, cut_by: str = "") -> list[Span]:
    """Return the spans of answers over a WebSocket, children of their connection's span.

    ``cut_by`` is the ``error.type`` of what ended the connection, if not the client.
    """
    context = span_context(start.call_id, start.traceparent)
    spans = []
    for turn in turns:
        reading = turn.reading
        cut: set[str] = set()
        attributes = _address(start) | _genai(start, reading, limits, cut)
        attributes |= _usage(reading, complete=turn.complete, cache_hit=False)
        attributes |= _timing(reading, turn.started_ns)
        attributes |= _context(start, reading.session_id, reading.user_id)
        attributes["spanhouse.proxy.turn"] = turn.number
        attributes["spanhouse.proxy.truncated"] = sorted(cut)
        error_type = reading.error_type or ("" if turn.complete else cut_by or "client_disconnected")
        attributes["error.type"] = error_type
        span_id = turn_span_id(start.call_id, turn.number)
        name = _name(reading, start.path)
        span = _span(context, span_id, context.span_id, name, turn.started_ns, turn.ended_ns, attributes)
        if error_type:
            message = "" if start.context.omit_response else reading.error_message
            message = message or ("" if turn.complete else "the connection ended before the answer was complete")
            span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=mend(message)))
        spans.append(span)
    return spans


def _span(
    context: SpanContext,
    span_id: str,
    parent_span_id: str,
    name: str,
    start_ns: int,
    end_ns: int,
    attributes: dict[str, Any],
) -> Span:
    remote = _REMOTE_PARENT_FLAGS if parent_span_id and parent_span_id == context.parent_span_id else 0
    return Span(
        trace_id=bytes.fromhex(context.trace_id),
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(parent_span_id),
        flags=context.trace_flags | remote,
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=max(0, start_ns),
        end_time_unix_nano=max(0, start_ns, end_ns),
        attributes=key_values(attributes),
    )


def _name(reading: Reading, otherwise: str) -> str:
    name = f"{reading.operation} {reading.request_model or reading.response_model}" if reading.operation else otherwise
    return mend(name.strip()[:_MAX_NAME_CHARACTERS])


def _address(start: CallStart) -> dict[str, Any]:
    host, port = address(start.upstream_url)
    return {"server.address": host, "server.port": port if host else None}


def _http(record: CallRecord) -> dict[str, Any]:
    start = record.start
    agent = next((value for name, value in start.request_headers if name.lower() == "user-agent"), "")
    return {
        **_address(start),
        "http.request.method": start.method,
        "url.path": start.path,
        "http.response.status_code": record.status,
        "http.request.body.size": record.request_bytes,
        "http.response.body.size": record.response_bytes,
        "http.request.resend_count": record.end.retry_count or None,
        "user_agent.original": agent[:512],
    }


def _genai(start: CallStart, reading: Reading, limits: Limits, cut: set[str]) -> dict[str, Any]:
    """Return identity, parameters and content; adds to ``cut`` what had to be shortened."""
    context = start.context
    attributes: dict[str, Any] = {
        "spanhouse.kind": reading.kind,
        "gen_ai.operation.name": reading.operation,
        "gen_ai.provider.name": provider_name(start.provider, start.upstream_url),
        "gen_ai.request.model": reading.request_model,
        "gen_ai.response.model": reading.response_model,
        "gen_ai.response.id": reading.response_id,
        "gen_ai.response.finish_reasons": reading.finish_reasons,
        "gen_ai.request.stream": True if reading.streaming else None,
        **reading.parameters,
        **reading.attributes,
    }
    if not context.omit_request:
        attributes["gen_ai.system_instructions"] = _content(reading.system_instructions, limits, cut, "request")
        attributes["gen_ai.input.messages"] = _content(reading.input_messages, limits, cut, "request")
        attributes["gen_ai.tool.definitions"] = _content(reading.tool_definitions, limits, cut, "request")
    if not context.omit_response:
        attributes["gen_ai.output.messages"] = _content(reading.output_messages, limits, cut, "response")
    if not (context.omit_request or context.omit_response):
        attributes["gen_ai.retrieval.documents"] = _content(reading.documents, limits, cut, "response")
    return attributes


def _content(value: list[Any], limits: Limits, cut: set[str], side: str) -> str:
    """Return content as JSON text within bounds: texts get shorter first, then the middle goes."""
    if not value:
        return ""
    trim = Trim(limits)
    kept = trim.value(value)
    text = dumps(kept)
    for characters in _TIGHTER_CHARACTERS:
        if _fits(text, trim, limits):
            break
        trim = Trim(limits, min(characters, limits.text_characters))
        kept = trim.value(value)
        text = dumps(kept)
    while not _fits(text, trim, limits) and len(kept) > 1:
        half = len(kept) // 2
        # The beginning sets the scene, the end is what was asked: the middle is missed least.
        kept = [*kept[: half // 2], *kept[len(kept) - (half - half // 2) :]]
        text, trim.cut = dumps(kept), True
    if not _fits(text, trim, limits):
        text, trim.cut = "", True
    if trim.cut:
        cut.add(side)
    return text


def _fits(text: str, trim: Trim, limits: Limits) -> bool:
    room = limits.attribute_bytes + trim.media_bytes
    return len(text) <= room and len(text.encode()) <= room


def _usage(reading: Reading, *, complete: bool, cache_hit: bool) -> dict[str, Any]:
    """Return token counts as served. An answer from our own cache consumed none: its counts are savings."""
    usage = reading.usage
    if cache_hit:
        saved = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        attributes: dict[str, Any] = {f"spanhouse.cache.saved_{key}": value for key, value in saved.items()}
        zero = Usage(input_tokens=0, output_tokens=0)
        return attributes | _counts(zero) | {"spanhouse.usage.source": "cache"}
    if not usage.known:
        source = "not_served" if complete else "incomplete"
        return {"spanhouse.usage.source": source, "spanhouse.usage.served": _served(usage)}
    source = "served" if complete else "partial"
    return _counts(usage) | {"spanhouse.usage.source": source, "spanhouse.usage.served": _served(usage)}


def _counts(usage: Usage) -> dict[str, Any]:
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        # Both spellings, for backends that know only one.
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "spanhouse.usage.cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "gen_ai.usage.audio.input_tokens": usage.audio_input_tokens,
        "gen_ai.usage.audio.output_tokens": usage.audio_output_tokens,
        "gen_ai.usage.image.input_tokens": usage.image_input_tokens,
        "gen_ai.usage.image.output_tokens": usage.image_output_tokens,
        "gen_ai.usage.cost": float(usage.cost_usd) if usage.cost_usd is not None else None,
    }


def _served(usage: Usage) -> str:
    text = dumps(usage.served) if usage.served else ""
    return text if len(text) <= _SERVED_BYTES else ""


def _timing(reading: Reading, started_ns: int) -> dict[str, Any]:
    """Return time to the first content and, from there, the time each further token took; seconds."""
    first_ns, last_ns = reading.first_token_ns, reading.last_token_ns
    if first_ns is None or last_ns is None or first_ns < started_ns:
        return {}
    ttft_s = (first_ns - started_ns) / _NS
    timing: dict[str, Any] = {"gen_ai.response.time_to_first_chunk": ttft_s}
    timing["gen_ai.server.time_to_first_token"] = ttft_s
    tokens = reading.usage.output_tokens
    if tokens is not None and tokens > 1 and last_ns > first_ns:
        timing["gen_ai.server.time_per_output_token"] = (last_ns - first_ns) / _NS / (tokens - 1)
    return timing


def _context(start: CallStart, session_id: str, user_id: str) -> dict[str, Any]:
    context = start.context
    metadata = dict(context.properties)
    for key, value in (("session_name", context.session_name), ("session_path", context.session_path)):
        if value:
            metadata.setdefault(key, value)
    return {
        "session.id": session_id,
        "user.id": user_id,
        "spanhouse.tags": list(context.tags),
        "gen_ai.prompt.name": context.prompt_name,
        "gen_ai.prompt.version": context.prompt_version,
        "deployment.environment.name": context.environment,
        **{f"spanhouse.metadata.{key}": value for key, value in metadata.items()},
    }


def _proxy(record: CallRecord) -> dict[str, Any]:
    start, end = record.start, record.end
    first_ns = record.first_byte_ns
    request_id = next((value for name, value in record.response_headers if name.lower().endswith("request-id")), "")
    attributes: dict[str, Any] = {
        "spanhouse.proxy.call_id": start.call_id,
        "spanhouse.proxy.upstream": start.provider,
        "spanhouse.proxy.outcome": end.outcome,
        "spanhouse.proxy.overhead_ms": end.overhead_ns / 1e6 if end.overhead_ns is not None else None,
        "spanhouse.proxy.cache_hit": end.cache_hit,
        "spanhouse.proxy.fallback_index": end.fallback_index,
        "spanhouse.proxy.request_id": request_id[:256],
        "spanhouse.proxy.truncated": sorted(record.truncated),
        "spanhouse.proxy.unread": dumps(record.faults) if record.faults else "",
    }
    if first_ns is not None and first_ns >= start.started_ns:
        attributes["spanhouse.proxy.time_to_first_byte_ms"] = (first_ns - start.started_ns) / 1e6
    if record.websocket:
        attributes["spanhouse.proxy.websocket"] = True
        attributes["spanhouse.proxy.messages_in"] = record.messages_in
        attributes["spanhouse.proxy.messages_out"] = record.messages_out
        attributes["spanhouse.proxy.dropped_turns"] = record.dropped_turns or None
    return attributes | _timing(record.reading, start.started_ns)


def _failure(record: CallRecord) -> tuple[str, str]:
    """Return error type and message of a call, both empty when it went well."""
    end, reading = record.end, record.reading
    said = "" if record.start.context.omit_response else reading.error_message
    if end.outcome != "complete":
        kind = end.error_type or reading.error_type or end.outcome
        return kind, end.error_message or said or _OUTCOME_MESSAGES.get(end.outcome, "")
    if record.status is not None and record.status >= 400:
        return reading.error_type or str(record.status), said or f"the upstream answered with status {record.status}"
    return reading.error_type, said


def _trace_state(start: CallStart) -> str:
    return mend(next((value for name, value in start.request_headers if name.lower() == "tracestate"), "")[:512])
