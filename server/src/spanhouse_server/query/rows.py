"""From columns to the API's names and units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.clock import NS_PER_MS, rfc3339

Row = dict[str, Any]


def milliseconds(value_ns: int | None) -> float | None:
    """Return a duration in milliseconds, exact to the nanosecond."""
    return None if value_ns is None else value_ns / NS_PER_MS


def dollars(value: Decimal | None) -> str | None:
    """Return money as a plain decimal string without trailing zeros."""
    if value is None:
        return None
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def tokens_per_s(output_tokens: int | None, duration_ns: int, ttft_ns: int | None) -> float | None:
    """Return output tokens per second of writing: the duration but for the wait for the first."""
    writing_ns = duration_ns - (ttft_ns or 0)
    if not output_tokens or writing_ns <= 0:
        return None
    return round(output_tokens * 1e9 / writing_ns, 3)


def times(row: Row) -> Row:
    """Return start, end and duration of a row with ``start_ns``, ``end_ns``, ``duration_ns``."""
    return {
        "start_time": rfc3339(row["start_ns"]),
        "end_time": rfc3339(row["end_ns"]),
        "duration_ms": row["duration_ns"] / NS_PER_MS,
    }
