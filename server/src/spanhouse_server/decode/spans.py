"""OTLP spans to raw spans. This is the hottest loop of the server: keep it lean."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_server.clock import MAX_TIME_NS
from spanhouse_server.decode.common import UNUSUAL_AHEAD_NS, UNUSUAL_BEFORE_NS, scope_of
from spanhouse_server.decode.pending import SPAN_TYPE, SPAN_TYPE_KEY, announce
from spanhouse_server.decode.refuse import ZERO_SPAN_ID, ZERO_TRACE_ID, Tally, describe_span, refuse_span
from spanhouse_server.decode.values import attributes
from spanhouse_server.model.raw import KINDS, STATUS_CODES, Attributes, Decoded, RawEvent, RawLink, RawSpan, Scope


def decode_spans(message: Any, received_ns: int, large: bool, decoded: Decoded) -> Tally:
    """Append the good spans of an ``ExportTraceServiceRequest`` to ``decoded.spans``."""
    tally = Tally("spans")
    append = decoded.spans.append
    for resource_spans in message.resource_spans:
        resource = attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_of(scope_spans.scope)
            for span in scope_spans.spans:
                reason = refuse_span(span, large)
                if reason:
                    tally.refuse(reason, describe_span, span)
                else:
                    append(_span(span, resource, scope, received_ns))
    tally.accepted = len(decoded.spans)
    return tally


def _span(span: Span, resource: Attributes, scope: Scope, received_ns: int) -> RawSpan:
    flags: list[str] = []
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    if not start_ns or end_ns < start_ns:
        start_ns, end_ns = _mend_times(start_ns, end_ns, received_ns, flags)
    if start_ns < UNUSUAL_BEFORE_NS or end_ns > received_ns + UNUSUAL_AHEAD_NS:
        flags.append("unusual_time")
    parent_id = span.parent_span_id
    if parent_id and (len(parent_id) != 8 or parent_id == ZERO_SPAN_ID):
        if parent_id != ZERO_SPAN_ID:
            flags.append("invalid_parent_span_id")
        parent_id = b""
    status = span.status
    kind, code = span.kind, status.code
    dropped_links = span.dropped_links_count
    events: list[RawEvent] = []
    if pb_events := span.events:
        events = _events(pb_events, start_ns, flags)
    links: list[RawLink] = []
    if pb_links := span.links:
        links = [_link(link) for link in pb_links if _is_link(link)]
        if bad := len(pb_links) - len(links):
            dropped_links += bad
            flags.append("invalid_link")
    raw = RawSpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        parent_id.hex(),
        span.name,
        KINDS[kind] if 0 <= kind < 6 else "unspecified",
        start_ns,
        end_ns,
        STATUS_CODES[code] if 0 <= code < 3 else "unset",
        status.message,
        attributes(span.attributes),
        events,
        links,
        resource,
        scope,
        span.trace_state,
        span.dropped_attributes_count,
        span.dropped_events_count,
        dropped_links,
        flags,
    )
    if raw.attributes.get(SPAN_TYPE_KEY) == SPAN_TYPE:
        announce(raw)
    return raw


def _mend_times(start_ns: int, end_ns: int, received_ns: int, flags: list[str]) -> tuple[int, int]:
    if not start_ns:
        flags.append("missing_start_time")
        start_ns = end_ns or received_ns
    if not end_ns:
        flags.append("missing_end_time")
        end_ns = start_ns
    elif end_ns < start_ns:
        flags.append("end_before_start")
        end_ns = start_ns
    return start_ns, end_ns


def _events(events: Any, start_ns: int, flags: list[str]) -> list[RawEvent]:
    plain = []
    for event in events:
        time_ns = event.time_unix_nano
        if not 0 < time_ns <= MAX_TIME_NS:
            time_ns = start_ns
            if "invalid_event_time" not in flags:
                flags.append("invalid_event_time")
        plain.append(RawEvent(event.name, time_ns, attributes(event.attributes)))
    return plain


def _is_link(link: Span.Link) -> bool:
    trace_id, span_id = link.trace_id, link.span_id
    return len(trace_id) == 16 and len(span_id) == 8 and trace_id != ZERO_TRACE_ID and span_id != ZERO_SPAN_ID


def _link(link: Span.Link) -> RawLink:
    return RawLink(link.trace_id.hex(), link.span_id.hex(), link.trace_state, attributes(link.attributes))
