"""Logfire's pending spans: records of spans that have begun, sent before these end.

A pending record has a span id of its own, is a child of the span it announces, and keeps that span's true
parent in an attribute. Here it becomes what it stands for: a first version of the announced span, without
length. So it shows while the work runs (and for good when the process dies), and the finished span replaces it
as any later version does. Since it is older than the finished one by what it says, whenever it arrives, it is
stamped as if it had come a day before.
"""

from __future__ import annotations

from spanhouse_server.model.raw import RawSpan

#: The flag of a span of which only its beginning is known.
PENDING = "pending"
SPAN_TYPE_KEY = "logfire.span_type"
SPAN_TYPE = "pending_span"
PARENT_KEY = "logfire.pending_parent_id"
#: Longer than any sender retries, so that a pending record that comes late never replaces a finished span.
PENDING_AGE_NS = 24 * 3600 * 1_000_000_000


def announce(raw: RawSpan) -> None:
    """Turn a pending record into the first version of the span it announces, in place."""
    announced = raw.parent_span_id
    if not announced:  # announces nothing that could be found: a span like any other
        return
    raw.span_id = announced
    raw.parent_span_id = _span_id(raw.attributes.get(PARENT_KEY))
    raw.flags.append(PENDING)


def stamp_ns(raw: RawSpan, received_ns: int) -> int:
    """Return the version of a span that was received at this time: a pending one is older than its finish."""
    return received_ns - PENDING_AGE_NS if PENDING in raw.flags else received_ns


def _span_id(value: object) -> str:
    """Return a span id in hex, empty for none (all zeros) and for anything else."""
    if not isinstance(value, str) or len(value) != 16 or not value.isascii():
        return ""
    try:
        number = int(value, 16)
    except ValueError:
        return ""
    return f"{number:016x}" if number else ""
