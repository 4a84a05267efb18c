"""Starts, ends and fails the spans of decorators and context managers.

This is the hot path. A decorated call costs two attribute sets and one context switch over a bare
OpenTelemetry span; one that is not recorded costs no OpenTelemetry call at all.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanhouse import _ambient
from spanhouse import _attributes as a
from spanhouse._log import warn_rarely
from spanhouse._serialize import safe, well_formed
from spanhouse._state import STATE

KINDS = (
    "workflow",
    "task",
    "agent",
    "tool",
    "llm",
    "embedding",
    "retriever",
    "reranker",
    "guardrail",
    "evaluator",
    "span",
)

_OPERATIONS = {
    "workflow": "invoke_workflow",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "llm": "chat",
    "embedding": "embeddings",
    "retriever": "retrieval",
}
_NAME_KEYS = {"workflow": a.WORKFLOW_NAME, "agent": a.AGENT_NAME, "tool": a.TOOL_NAME}
#: Kinds whose span is named "{operation} {name}" by the conventions and in every trace view. Workflows
#: keep their plain name: they are mostly roots, and a list of traces should read as what was done.
_PREFIXED = frozenset({"agent", "tool", "llm", "embedding", "retriever"})


@dataclass(frozen=True)
class Kind:
    """What one kind of span looks like, computed once per decorator or span."""

    kind: str
    span_name: str
    span_kind: SpanKind
    static: dict[str, Any] = field(default_factory=dict)
    input_key: str = a.INPUT
    output_key: str = a.OUTPUT


def describe(kind: str, name: str, attributes: Mapping[str, Any] | None = None) -> Kind:
    """Return the description of a span of ``kind`` called ``name``; an unknown kind becomes ``span``."""
    if kind not in KINDS:
        warn_rarely("kind", "unknown kind %s, use one of %s", safe(repr, kind), ", ".join(KINDS))
        kind = "span"
    static: dict[str, Any] = {a.KIND: kind}
    operation = _OPERATIONS.get(kind)
    if operation:
        static[a.OPERATION] = operation
    if kind in _NAME_KEYS:
        static[_NAME_KEYS[kind]] = name
    static.update(attributes or {})
    return Kind(
        kind=kind,
        span_name=f"{operation} {name}" if kind in _PREFIXED else name,
        span_kind=SpanKind.CLIENT if kind in ("llm", "embedding") else SpanKind.INTERNAL,
        static=static,
        input_key=a.TOOL_ARGUMENTS if kind == "tool" else a.INPUT,
        output_key=a.TOOL_RESULT if kind == "tool" else a.OUTPUT,
    )


class NotSampled(NonRecordingSpan):
    """The root of a trace that is not recorded; its ids are made only if somebody asks for them."""

    def __init__(self) -> None:
        # The base class wants the context at once, and making it is what this class avoids.
        self._lazy: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Return a valid, unsampled context, so that everything below is not recorded either."""
        if self._lazy is None:
            self._lazy = SpanContext(random.getrandbits(128) or 1, random.getrandbits(64) or 1, False, TraceFlags(0))
        return self._lazy

    def __repr__(self) -> str:
        return f"NotSampled({self.get_span_context()!r})"


_INVALID = trace.INVALID_SPAN


def decide(context: Context) -> bool | None:
    """Tell whether a span starting in ``context`` is recorded; ``None``: it is not, and neither is its parent."""
    parent = trace.get_current_span(context)
    if parent is not _INVALID:
        if type(parent) is NotSampled:
            return None
        parent_context = parent.get_span_context()
        if parent_context.is_valid:
            return True if parent_context.trace_flags & 1 or STATE.sampler_decides else None
    rate = STATE.sample_rate
    return rate >= 1.0 or STATE.sampler_decides or random.random() < rate


def not_sampled_context(context: Context) -> Context:
    """Return ``context`` with a root in it that is not recorded."""
    return trace.set_span_in_context(NotSampled(), context)


def start(
    kind: Kind, context: Context, attributes: Mapping[str, Any] | None = None, start_time_ns: int | None = None
) -> trace.Span:
    """Start a span; when OpenTelemetry fails at that, the application goes on without one."""
    tracer = STATE.tracer
    if tracer is None:
        return _INVALID
    try:
        merged = {**kind.static, **attributes} if attributes else kind.static
        return tracer.start_span(kind.span_name, context, kind.span_kind, merged, start_time=start_time_ns)
    except Exception as error:
        warn_rarely("start", "a span could not be started: %s: %s", type(error).__name__, error)
        return _INVALID


def finish(span: trace.Span, attributes: dict[str, Any] | None = None, end_time_ns: int | None = None) -> None:
    """End a span that went well; never raises. ``attributes`` is used up."""
    try:
        if attributes:
            if len(attributes) == 1:
                # The usual case, and half the price of a mapping.
                span.set_attribute(*attributes.popitem())
            else:
                span.set_attributes(attributes)
    except Exception as error:
        warn_rarely("finish", "what a call returned could not be recorded: %s", type(error).__name__)
    _end(span, end_time_ns)


def fail(
    span: trace.Span, error: BaseException, attributes: Mapping[str, Any] | None = None, end_time_ns: int | None = None
) -> None:
    """End a span whose body raised; never raises itself."""
    try:
        if attributes:
            span.set_attributes(attributes)
        mark_failed(span, error, end_time_ns)
    except Exception as problem:
        warn_rarely("fail", "a failure could not be recorded: %s", type(problem).__name__)
    _end(span, end_time_ns)


def _end(span: trace.Span, end_time_ns: int | None) -> None:
    try:
        span.end(end_time_ns)
    except Exception as error:
        warn_rarely("end", "a span could not be ended: %s: %s", type(error).__name__, error)


def mark_failed(span: trace.Span, error: BaseException, time_ns: int | None = None) -> None:
    """Record an exception and its status; a clean exit of the process is no failure."""
    if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return
    if not span.is_recording():
        return
    name = _qualified_name(error)
    span.set_attribute(a.ERROR_TYPE, name)
    if isinstance(error, asyncio.CancelledError):
        # Somebody stopped waiting: worth seeing, but its stack tells nothing.
        span.set_status(Status(StatusCode.ERROR, "cancelled"))
        return
    message = _message(error)
    span.set_status(Status(StatusCode.ERROR, f"{name}: {message}" if message else name))
    try:
        span.record_exception(error, timestamp=time_ns)
    except Exception:
        # Its message or stack cannot be written; that it failed can.
        span.add_event("exception", {"exception.type": name, "exception.message": message}, time_ns)


def _qualified_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return well_formed(str(error)[:4000])
    except Exception:
        return ""


def enter(context: Context, span: trace.Span) -> Token[Context]:
    """Make ``span`` current and return what ``_ambient.detach`` needs to undo it."""
    return _ambient.attach(trace.set_span_in_context(span, context))
