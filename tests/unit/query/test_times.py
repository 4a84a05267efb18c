"""Time ranges as people and programs write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.metrics import bounded_range, buckets_of, pick_interval_s
from spanhouse_server.query.times import Window, parse_time, parse_window

NOW = 1_768_478_400 * NS_PER_S  # 2026-01-15T12:00:00Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", 0),
        ("-1h", -3600),
        ("now-1h", -3600),
        ("now - 90s", -90),
        ("-7d", -7 * 86_400),
        ("+5m", 300),
        ("2026-01-15T12:00:00Z", 0),
        ("2026-01-15T13:00:00+01:00", 0),
        ("2026-01-15 12:00", 0),
        ("2026-01-15", -12 * 3600),
        ("1768478400", 0),
        ("1768478400.5", 0.5),
        ("1768478400000", 0),
        ("1768478400000000000", 0),
    ],
)
def test_reads_times(text: str, seconds: float) -> None:
    assert parse_time(text, NOW) == NOW + round(seconds * NS_PER_S)


def test_keeps_nanoseconds() -> None:
    assert parse_time("2026-01-15T12:00:00.123456789Z", NOW) == NOW + 123_456_789


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-02-30T00:00:00Z", "-1x", "1e9", "", "٣", "12:00"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_time(text, NOW)


def test_a_range_must_not_end_before_it_begins() -> None:
    assert parse_window("", "", NOW) == Window()
    with pytest.raises(BadQuery, match="ends before"):
        parse_window("now", "-1h", NOW)


@given(st.integers(0, MAX_TIME_NS))
def test_reads_back_what_the_api_writes(time_ns: int) -> None:
    assert parse_time(rfc3339(time_ns), NOW) == time_ns


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadQuery):
        assert 0 <= parse_time(text, NOW) <= MAX_TIME_NS


def test_buckets_cover_the_range_and_are_bounded() -> None:
    start, end = bounded_range(Window(NOW - 3600 * NS_PER_S, NOW), 0)
    assert pick_interval_s(start, end) == 60
    assert len(buckets_of(start, end, 60)) == 60
    assert len(buckets_of(start, start, 60)) == 1
    with pytest.raises(BadQuery, match="buckets"):
        buckets_of(0, NOW, 1)


@given(st.integers(0, MAX_TIME_NS), st.integers(0, MAX_TIME_NS))
def test_the_picked_interval_always_fits(one: int, other: int) -> None:
    start, end = sorted((one, other))
    assert 1 <= len(buckets_of(start, end, pick_interval_s(start, end))) <= 100
