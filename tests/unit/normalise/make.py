"""Raw spans and logs for tests, with only what a test cares about spelled out."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.raw import RawEvent, RawLog, RawSpan, Scope

START_NS = 1_800_000_000_000_000_000


def raw_span(
    attributes: dict[str, Any] | None = None,
    *,
    name: str = "work",
    scope: str = "test",
    events: list[RawEvent] | None = None,
    resource: dict[str, Any] | None = None,
    status_code: str = "unset",
    kind: str = "internal",
    status_message: str = "",
) -> RawSpan:
    """Return a span that took a second."""
    return RawSpan(
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "1",
        parent_span_id="",
        name=name,
        kind=kind,
        start_ns=START_NS,
        end_ns=START_NS + 1_000_000_000,
        status_code=status_code,
        status_message=status_message,
        attributes=attributes or {},
        events=events or [],
        links=[],
        resource=resource or {},
        scope=Scope(scope),
    )


def event(name: str, after_ns: int = 0, **attributes: Any) -> RawEvent:
    """Return a span event some time after the start; ``__`` in a name stands for a dot."""
    return RawEvent(name, START_NS + after_ns, {key.replace("__", "."): value for key, value in attributes.items()})


def log(name: str, body: Any = None, after_ns: int = 0, attributes: dict[str, Any] | None = None) -> RawLog:
    """Return a log event of the span above."""
    return RawLog(
        time_ns=START_NS + after_ns,
        observed_ns=START_NS + after_ns,
        severity_number=9,
        severity_text="",
        event_name=name,
        body=body,
        attributes=attributes or {},
        resource={},
        scope=Scope("test"),
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "1",
    )
