"""Days, weeks and months of a time zone, through clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.derive.budgets.periods import period_at, zone_of
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.budgets import Budget

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kathmandu",
)


def budget(period: str, zone: str = "UTC", hours: int = 0) -> Budget:
    return Budget("b", "p", "n", Decimal(1), period, hours, zone)  # type: ignore[arg-type]


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("day", "UTC", "2026-11-23T23:59:59", "2026-11-23", "2026-11-24"),
        ("day", "Asia/Kolkata", "2026-11-23T00:00:00", "2026-11-23", "2026-11-24"),
        ("week", "UTC", "2026-11-22T23:00:00", "2026-11-16", "2026-11-23"),
        ("week", "UTC", "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        ("month", "Europe/Berlin", "2026-10-31T23:59:59", "2026-10-01", "2026-11-01"),
        ("month", "America/New_York", "2026-12-31T20:00:00", "2026-12-01", "2027-01-01"),
        ("month", "UTC", "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_bounds(period: str, zone: str, now: str, start: str, end: str) -> None:
    found = period_at(budget(period, zone), at(now, zone))
    assert (found.start_s, found.end_s, found.key) == (at(start, zone), at(end, zone), start)


def test_days_of_clock_changes_are_shorter_and_longer() -> None:
    assert period_at(budget("day", "Europe/Berlin"), at("2026-03-29T12:00:00", "Europe/Berlin")).length_s == 23 * 3600
    assert period_at(budget("day", "Europe/Berlin"), at("2026-10-25T12:00:00", "Europe/Berlin")).length_s == 25 * 3600


@given(
    st.sampled_from(["day", "week", "month"]), st.sampled_from(ZONES),
    st.datetimes(datetime(1975, 1, 1), datetime(2037, 1, 1)),
)  # fmt: skip
def test_periods_hold_the_moment_and_follow_each_other(period: str, zone: str, moment: datetime) -> None:
    at_s = int((moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1))
    found = period_at(budget(period, zone), at_s)
    assert found.start_s <= at_s < found.end_s
    assert found == period_at(budget(period, zone), found.start_s)
    following = period_at(budget(period, zone), found.end_s)
    assert following.start_s == found.end_s
    assert following.key > found.key


def test_rolling() -> None:
    now = at("2026-11-23T10:20:30")
    found = period_at(budget("rolling", hours=24), now)
    assert (found.start_s, found.end_s) == (now - 86_400, now)
    assert period_at(budget("rolling", hours=24), now + 86_400).key != found.key


@pytest.mark.parametrize("name", ["", "Mars/Base", "../../etc/passwd", "/etc/localtime", "Europe", "\0", "x" * 5000])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(BadRequest, match="time_zone"):
        zone_of(name)
