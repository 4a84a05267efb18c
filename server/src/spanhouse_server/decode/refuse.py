"""Which single records are refused, and how the sender is told.

One function per kind of record returns the reason, or an empty string for a good one. Both
``check`` (before the acknowledgement) and ``decode`` (after it) call the same functions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_server.clock import MAX_TIME_NS

#: A single span, log record or data point above this many protobuf bytes is refused.
MAX_RECORD_BYTES = 16 * 1024 * 1024

#: Stands in an id for what the JSON reader could not read; longer than any id, so never valid.
NOT_HEX = b"id is not hexadecimal: "
#: Stands in ``trace_id`` (metrics: ``description``) of a record whose JSON could not be read at all.
UNREADABLE = "record cannot be read: "
_UNREADABLE_BYTES = UNREADABLE.encode()

ZERO_TRACE_ID = bytes(16)
ZERO_SPAN_ID = bytes(8)


def refuse_span(span: Span, large: bool) -> str:
    """Return why this span cannot be kept; ``large`` asks to measure it as well."""
    trace_id = span.trace_id
    if len(trace_id) != 16 or trace_id == ZERO_TRACE_ID:
        return "unreadable_span" if trace_id.startswith(_UNREADABLE_BYTES) else "invalid_trace_id"
    span_id = span.span_id
    if len(span_id) != 8 or span_id == ZERO_SPAN_ID:
        return "invalid_span_id"
    if span.start_time_unix_nano > MAX_TIME_NS or span.end_time_unix_nano > MAX_TIME_NS:
        return "invalid_time"
    if large and span.ByteSize() > MAX_RECORD_BYTES:
        return "span_too_large"
    return ""


def refuse_log(record: LogRecord, large: bool) -> str:
    """Return why this log record cannot be kept. Logs may have no ids; wrong ones are refused."""
    trace_id = record.trace_id
    if trace_id and len(trace_id) != 16:
        return "unreadable_log_record" if trace_id.startswith(_UNREADABLE_BYTES) else "invalid_trace_id"
    span_id = record.span_id
    if span_id and len(span_id) != 8:
        return "invalid_span_id"
    if record.time_unix_nano > MAX_TIME_NS or record.observed_time_unix_nano > MAX_TIME_NS:
        return "invalid_time"
    if large and record.ByteSize() > MAX_RECORD_BYTES:
        return "log_record_too_large"
    return ""


def refuse_metric(metric: Metric) -> str:
    """Return why no data point of this metric can be kept."""
    if metric.name:
        return ""
    return "unreadable_metric" if metric.description.startswith(UNREADABLE) else "missing_metric_name"


def refuse_point(kind: str, point: Any, large: bool) -> str:
    """Return why this data point cannot be kept; ``kind`` is the metric's ``data`` member."""
    if point.time_unix_nano > MAX_TIME_NS or point.start_time_unix_nano > MAX_TIME_NS:
        return "invalid_time"
    if kind == "histogram":
        counts, bounds = len(point.bucket_counts), len(point.explicit_bounds)
        if counts != bounds + 1 and (counts or bounds):
            return "invalid_histogram"
        # NaN and infinities never compare as smaller than the largest float.
        if bounds and not all(-1.8e308 < bound < 1.8e308 for bound in point.explicit_bounds):
            return "invalid_histogram"
    if large and point.ByteSize() > MAX_RECORD_BYTES:
        return "data_point_too_large"
    return ""


class Tally:
    """Counts what is accepted and refused, and remembers the first offender."""

    __slots__ = ("accepted", "first", "noun", "rejected")

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.accepted = 0
        self.rejected: dict[str, int] = {}
        self.first = ""

    def refuse(self, reason: str, describe: Callable[[Any, str], str], record: Any, count: int = 1) -> None:
        """Count refused records; ``describe`` is asked about the very first one only."""
        if not self.first:
            self.first = describe(record, reason)
        self.rejected[reason] = self.rejected.get(reason, 0) + count

    def message(self) -> str:
        """Return one sentence for the sender, empty when nothing was refused."""
        if not self.rejected:
            return ""
        refused = sum(self.rejected.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())
        total = refused + self.accepted
        return f"{refused} of {total} {self.noun} rejected ({reasons}); the first: {self.first}"


def describe_span(span: Span, reason: str) -> str:
    """Return what is wrong with a refused span."""
    return f"span {_quote(span.name)}{_ids(span, reason)}" if span.name else f"a span{_ids(span, reason)}"


def describe_log(record: LogRecord, reason: str) -> str:
    """Return what is wrong with a refused log record."""
    name = f" {_quote(record.event_name)}" if record.event_name else ""
    return f"log record{name}{_ids(record, reason)}"


def describe_metric(metric: Metric, reason: str) -> str:
    """Return what is wrong with a refused metric or one of its data points."""
    if reason == "unreadable_metric":
        return f"metric {metric.description.removeprefix(UNREADABLE)}"
    what = {
        "missing_metric_name": "has no name",
        "invalid_time": "has a data point with a time after the year 2262",
        "invalid_histogram": "has a histogram that needs finite bounds and one more bucket than bounds",
    }.get(reason, f"has a data point above {MAX_RECORD_BYTES} bytes")
    return f"metric {_quote(metric.name)} {what}" if metric.name else f"a metric {what}"


def _ids(record: Any, reason: str) -> str:
    if reason.startswith("unreadable"):
        return f" {record.trace_id.removeprefix(_UNREADABLE_BYTES).decode(errors='replace')}"
    if reason == "invalid_trace_id":
        return f" has a trace_id that is {_bad_id(record.trace_id, 16)}"
    if reason == "invalid_span_id":
        return f" has a span_id that is {_bad_id(record.span_id, 8)}"
    if reason == "invalid_time":
        return " has a time that is negative, no number or after the year 2262"
    return f" is larger than {MAX_RECORD_BYTES} bytes"


def _bad_id(raw: bytes, length: int) -> str:
    if raw.startswith(NOT_HEX):
        text = raw.removeprefix(NOT_HEX).decode(errors="replace")
        return f"not {2 * length} hexadecimal digits: {_quote(text)}{_base64_hint(text, length)}"
    if not raw:
        return "missing"
    if len(raw) == length:
        return "all zero"
    hint = ""
    if len(raw) in (2 * length, length * 3 // 2):  # hex sent as text, or decoded as if it were base64
        hint = "; was hexadecimal text sent as it is or read as base64?"
    return f"{len(raw)} bytes long instead of {length}{hint}"


def _base64_hint(text: str, length: int) -> str:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return " (this looks like base64; OTLP/JSON ids are hexadecimal)" if len(decoded) == length else ""


def _quote(text: str) -> str:
    return '"' + (text if len(text) <= 80 else text[:79] + "…") + '"'
