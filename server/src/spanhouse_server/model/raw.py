"""Records as received: OTLP without protobuf, before anyone has interpreted them.

Attribute values are plain Python: ``str | bool | int | float | list | dict | None``; bytes arrive
as base64 text, NaN and infinities as the strings ``"NaN"``, ``"Infinity"``, ``"-Infinity"`` (JSON
has no such numbers). Ids are lower-case hex; times are integer nanoseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Attributes = dict[str, Any]

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS_CODES = ("unset", "ok", "error")


@dataclass(slots=True)
class Scope:
    """The instrumentation scope that emitted a record."""

    name: str = ""
    version: str = ""
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class RawEvent:
    """A span event."""

    name: str
    time_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class RawLink:
    """A span link."""

    trace_id: str
    span_id: str
    trace_state: str = ""
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class RawSpan:
    """One span as its sender wrote it.

    ``resource`` and ``scope`` are shared between the spans of a batch: read, never write.
    ``flags`` names what decoding had to mend, e.g. ``end_before_start``, ``missing_start_time``.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status_code: str
    status_message: str
    attributes: Attributes
    events: list[RawEvent]
    links: list[RawLink]
    resource: Attributes
    scope: Scope
    trace_state: str = ""
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0
    flags: list[str] = field(default_factory=list)


@dataclass(slots=True)
class RawLog:
    """One log record. ``body`` is any attribute value; ids are empty when outside a trace."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    event_name: str
    body: Any
    attributes: Attributes
    resource: Attributes
    scope: Scope
    trace_id: str = ""
    span_id: str = ""


@dataclass(slots=True)
class Exemplar:
    """One measurement that went into a data point.

    ``trace_id`` and ``span_id`` (hex) are of the span that was active, empty where there was none.
    ``attributes`` are those that the point itself was aggregated over.
    """

    time_ns: int
    value: float
    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(slots=True)
class RawMetricPoint:
    """One data point of a metric.

    ``type`` is ``gauge sum histogram exponential_histogram summary``; ``temporality`` is
    ``unspecified delta cumulative``. Fields that a type does not have stay at their default.
    Bucket arrays follow OTLP: ``len(bucket_counts) == len(explicit_bounds) + 1``.
    """

    name: str
    description: str
    unit: str
    type: str
    temporality: str
    monotonic: bool
    start_ns: int
    time_ns: int
    attributes: Attributes
    resource: Attributes
    scope: Scope
    value: float | None = None
    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    explicit_bounds: list[float] = field(default_factory=list)
    bucket_counts: list[int] = field(default_factory=list)
    scale: int = 0
    zero_count: int = 0
    positive_offset: int = 0
    positive_counts: list[int] = field(default_factory=list)
    negative_offset: int = 0
    negative_counts: list[int] = field(default_factory=list)
    quantiles: list[tuple[float, float]] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)


@dataclass(slots=True)
class Decoded:
    """What one request body held, and what of it had to be refused.

    ``rejected`` counts refused records by reason (``invalid_trace_id`` …); ``message`` is one
    sentence for the sender about them, empty when nothing was refused.
    """

    spans: list[RawSpan] = field(default_factory=list)
    logs: list[RawLog] = field(default_factory=list)
    points: list[RawMetricPoint] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)
    message: str = ""
