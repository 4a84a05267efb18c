"""Time ranges as people and programs write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_MS, NS_PER_S
from spanhouse_server.errors import BadQuery

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_RELATIVE = re.compile(r"^(?:now)?\s*([+-])\s*(\d{1,9})\s*([smhdw])$")
_NUMBER = re.compile(r"^\d{1,19}(\.\d{1,9})?$")
_RFC3339 = re.compile(
    r"^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?)?\s*([Zz]|[+-]\d\d:?\d\d)?$", re.ASCII
)
_HINT = "use RFC 3339 (2026-01-31T12:00:00Z), unix seconds or milliseconds, now, or relative such as -1h or -7d"

#: Unix times above are milliseconds, above the second limit nanoseconds (year 5138 in seconds).
_MILLISECONDS_FROM = 100_000_000_000
_NANOSECONDS_FROM = 100_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """Start times from ``from_ns`` (inclusive) to ``to_ns`` (exclusive); ``None`` leaves an end open."""

    from_ns: int | None = None
    to_ns: int | None = None


def parse_window(from_text: str, to_text: str, now_ns: int) -> Window:
    """Return the range between two written times; empty texts leave an end open.

    Raises ``BadQuery`` for times that cannot be read and for a range that ends before it begins.
    """
    window = Window(
        parse_time(from_text, now_ns, "from") if from_text.strip() else None,
        parse_time(to_text, now_ns, "to") if to_text.strip() else None,
    )
    if window.from_ns is not None and window.to_ns is not None and window.from_ns > window.to_ns:
        raise BadQuery("the time range ends before it begins", "swap from and to")
    return window


def parse_time(text: str, now_ns: int, name: str = "time") -> int:
    """Return nanoseconds since 1970 for a written time; raise ``BadQuery`` naming the parameter."""
    written = text.strip()
    if written.lower() == "now":
        return now_ns
    if relative := _RELATIVE.match(written.lower()):
        sign, count, unit = relative.groups()
        offset_ns = int(count) * _UNITS_S[unit] * NS_PER_S
        return _bounded(now_ns + (offset_ns if sign == "+" else -offset_ns))
    if _NUMBER.match(written) and written.isascii():
        return _bounded(_unix_ns(written))
    if found := _RFC3339.match(written):
        return _bounded(_rfc3339_ns(found, name, text))
    raise BadQuery(f"{name}: cannot read the time {text[:60]!r}", _HINT)


def _unix_ns(text: str) -> int:
    whole, _, fraction = text.partition(".")
    number = int(whole)
    if number >= _NANOSECONDS_FROM:
        return number
    if number >= _MILLISECONDS_FROM:
        return number * NS_PER_MS
    return number * NS_PER_S + int(fraction.ljust(9, "0") or 0)


def _rfc3339_ns(found: re.Match[str], name: str, text: str) -> int:
    day, clock, fraction, zone = found.groups()
    clock = clock or "00:00:00"
    if len(clock) == 5:
        clock += ":00"
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadQuery(f"{name}: there is no such time as {text[:60]!r}", _HINT) from None
    seconds = since.days * 86_400 + since.seconds
    return seconds * NS_PER_S + int((fraction or "").ljust(9, "0"))


def _bounded(time_ns: int) -> int:
    return min(max(time_ns, 0), MAX_TIME_NS)
