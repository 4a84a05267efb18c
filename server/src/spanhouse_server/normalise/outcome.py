"""How a span ended and how fast it began to answer: reasons to stop, error type, status, time to first token."""

from __future__ import annotations

from dataclasses import replace

from spanhouse_server.model.raw import RawEvent
from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects.otel_content import EXCEPTION, log_event_name
from spanhouse_server.normalise.names import fold_finish_reason
from spanhouse_server.normalise.values import name_of, seconds_to_ns, text_of
from spanhouse_server.normalise.view import View

#: Added to a span's flags when its status was unset and is an error by other evidence.
STATUS_INFERRED = "status_inferred"
UNKNOWN_ERROR = "unknown"
#: Where Langfuse's SDK for JavaScript says what went wrong; it leaves the span's own status as it is.
LANGFUSE_MESSAGE = "langfuse.observation.status_message"

#: Attributes with a time to first token in seconds, and what that measures.
TTFT_KEYS = (
    ("gen_ai.response.time_to_first_chunk", "client_chunk"),
    ("gen_ai.client.operation.time_to_first_chunk", "client_chunk"),
    ("gen_ai.server.time_to_first_token", "server_token"),
    ("gen_ai.latency.time_to_first_token", "server_token"),
)
_TTFT_KEYS = frozenset(key for key, _ in TTFT_KEYS)
TTFT_EVENTS = frozenset(
    {
        "First Token Stream Event",
        "gen_ai.content.completion.chunk",
        "llm.content.completion.chunk",
        "ai.stream.firstChunk",
    }
)
_GENAI_EXCEPTIONS = frozenset({"exception", EXCEPTION})


def read_outcome(view: View, span: Span) -> None:
    """Fold why the model stopped; fill in the error type, and the status where only other evidence tells of an error.

    An exception event alone does not turn a span into an error that its sender ended as ``ok``.
    """
    if span.finish_reasons:
        span.finish_reasons = [fold_finish_reason(reason) for reason in span.finish_reasons]
    for message in span.output_messages:
        if "finish_reason" in message:
            message["finish_reason"] = fold_finish_reason(message["finish_reason"])
    raw = span.raw
    said_type = view.get("error.type")
    error_type = "" if said_type is None else name_of(said_type)
    if not error_type and raw.status_code != "ok" and (raw.events or view.logs):
        error_type = _exception_type(view)
    if not error_type and raw.status_code == "error":
        error_type = UNKNOWN_ERROR
    span.error_type = error_type
    if error_type and raw.status_code == "unset":
        said = raw.status_message or text_of(view.get(LANGFUSE_MESSAGE))
        span.raw = replace(raw, status_code="error", status_message=said, flags=[*raw.flags, STATUS_INFERRED])


def _exception_type(view: View) -> str:
    for event in reversed(view.raw.events):
        if event.name in _GENAI_EXCEPTIONS:
            return name_of(event.attributes.get("exception.type")) or UNKNOWN_ERROR
    for log in view.logs:
        if log_event_name(log) == EXCEPTION:
            return name_of(log.attributes.get("exception.type")) or UNKNOWN_ERROR
    return ""


def read_ttft(view: View, span: Span) -> None:
    """Fill in the time to the first token: the emitter's own figure, else that of a span event."""
    if span.ttft_ns is not None:
        return
    if view.among(_TTFT_KEYS):
        for key, source in TTFT_KEYS:
            value = view.get(key)
            if value is not None:
                ttft_ns = seconds_to_ns(value)
                if ttft_ns is not None:
                    span.ttft_ns, span.ttft_source = ttft_ns, source
                    return
    first = _first_token_event(view.raw.events) if view.raw.events else None
    if first is not None and first.time_ns >= view.raw.start_ns > 0:
        span.ttft_ns, span.ttft_source = first.time_ns - view.raw.start_ns, "event"


def _first_token_event(events: list[RawEvent]) -> RawEvent | None:
    found = [event for event in events if event.name in TTFT_EVENTS]
    return min(found, key=lambda event: event.time_ns) if found else None
