"""Our hooks in OpenTelemetry's pipeline: context onto starting spans, ended spans into the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from spanhouse import _attributes as a
from spanhouse._ambient import current
from spanhouse._context import ASSOCIATIONS_KEY
from spanhouse._log import warn_rarely
from spanhouse._settings import default_service_name
from spanhouse._state import STATE

_SPAN_OVERHEAD_BYTES = 200
_VALUE_OVERHEAD_BYTES = 40


class SpanhouseProcessor(SpanProcessor):
    """Sees every span of the provider, whoever made it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Give the span the session, user, tags and so on that are in force."""
        if STATE.forked_at_ns and (span.start_time or 0) < STATE.forked_at_ns and span.context is not None:
            STATE.backdated.add(span.context.span_id)
        associations = (current() if parent_context is None else parent_context).get(ASSOCIATIONS_KEY)
        if associations:
            span.set_attributes(associations)  # type: ignore[arg-type]

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span; never raises."""
        state = STATE
        if not state.active or state.sender is None:
            return
        context = span.context
        if context is None or not context.trace_flags & 1:
            return
        if state.sampler_decides and not _in_share(context.trace_id, state.sample_rate):
            return
        if state.forked_at_ns and _belongs_to_parent_process(span, context.span_id):
            return
        try:
            state.sender.put(state.lanes["spans"], span, span_size_bytes(span))
        except Exception as error:
            warn_rarely("on_end", "a span could not be queued: %s: %s", type(error).__name__, error)


def _belongs_to_parent_process(span: ReadableSpan, span_id: int) -> bool:
    """Tell whether the span was open during the fork: it ends in both processes and is the parent's to send."""
    if (span.start_time or 0) >= STATE.forked_at_ns:
        return False
    if span_id in STATE.backdated:
        STATE.backdated.discard(span_id)
        return False
    return True


def _in_share(trace_id: int, rate: float) -> bool:
    """Decide by the trace id, as OpenTelemetry's ratio sampler does, so that a trace is kept whole."""
    return rate >= 1.0 or (trace_id & (2**64 - 1)) < rate * 2**64


def span_size_bytes(span: ReadableSpan) -> int:
    """Return about how much memory and body a span takes; cheap, not exact."""
    size = _SPAN_OVERHEAD_BYTES + _mapping_bytes(span.attributes)
    if span.events:
        for event in span.events:
            size += _SPAN_OVERHEAD_BYTES + _mapping_bytes(event.attributes)
    return size


def _mapping_bytes(attributes: Mapping[str, Any] | None) -> int:
    if attributes is None:
        return 0
    try:
        # Reaches the plain dict behind OpenTelemetry's bounded one: iterating that takes a lock per key.
        plain = attributes.copy()  # type: ignore[attr-defined]
    except AttributeError:
        plain = dict(attributes)
    size = _VALUE_OVERHEAD_BYTES * len(plain)
    for value in plain.values():
        kind = type(value)
        if kind is str:
            size += len(value)
        elif kind is not int and kind is not bool and kind is not float:
            size += value_bytes(value)
    return size


def value_bytes(value: Any) -> int:
    """Return about how many bytes a nested attribute value takes."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(key) + value_bytes(item) + _VALUE_OVERHEAD_BYTES for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return sum(value_bytes(item) + 8 for item in value)
    return 8


def encode_span_batch(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the OTLP request of ended spans, content stripped or masked as asked."""
    policy = STATE.policy
    leaving = spans if policy.passes_everything else [policy.span(span) for span in spans]
    request = encode_spans(leaving)
    for resource_spans in request.resource_spans:
        overlay_resource(resource_spans.resource)
    body: bytes = request.SerializeToString()
    return body


def overlay_resource(resource: Any) -> None:
    """Put explicitly asked-for resource attributes over those of the provider.

    The provider may be the host's, or may stem from an earlier ``init``: OpenTelemetry allows only
    one per process, with its resource fixed.
    """
    asked = dict(STATE.settings.resource) if STATE.settings else {}
    for attribute in list(resource.attributes):
        if attribute.key in asked:
            attribute.value.string_value = asked.pop(attribute.key)
    for key, value in asked.items():
        resource.attributes.add(key=key).value.string_value = value


def span_complaint(body: bytes) -> str:
    """Return what a ``partial_success`` answer says was rejected, or an empty string."""
    if not body:
        return ""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:
        # Some backends answer OTLP with JSON or text; a success is a success.
        return ""
    return f"{partial.rejected_spans} rejected: {partial.error_message}" if partial.rejected_spans else ""


def new_resource() -> Resource:
    """Return the resource of a provider that we create, named after the program where nobody named it."""
    resource = Resource.create()
    if str(resource.attributes.get(a.SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        resource = resource.merge(Resource({a.SERVICE_NAME: default_service_name()}))
    return resource
