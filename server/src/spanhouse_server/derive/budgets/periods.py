"""The periods of budgets: days, weeks and months of a time zone, or the last hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.budgets import Budget, BudgetPeriod

MAX_ROLLING_HOURS = 366 * 24
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time ``[start_s, end_s)`` in unix seconds; ``key`` names it for all time (``2026-11-01``)."""

    start_s: int
    end_s: int
    key: str

    @property
    def length_s(self) -> int:
        """Return how long it is."""
        return self.end_s - self.start_s


@lru_cache(maxsize=200)
def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name in the tz database; raise ``BadRequest`` for one there is not."""
    if name == "UTC":
        # Needs no database, which small images do not have.
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise BadRequest(
            f"time_zone: there is no time zone {name[:60]!r}", "use a name such as UTC, Europe/Berlin or Asia/Kolkata"
        ) from None


def period_at(budget: Budget, at_s: int) -> Period:
    """Return the period of a budget that a moment lies in; the hours before it for a rolling one."""
    if budget.period == "rolling":
        start_s = at_s - budget.rolling_hours * _HOUR_S
        # A rolling period has no end to begin anew at; a name that lasts as long as it is, in turn.
        return Period(start_s, at_s, f"rolling-{at_s // (budget.rolling_hours * _HOUR_S)}")
    zone = zone_of(budget.time_zone)
    day = datetime.fromtimestamp(at_s, zone).date()
    first, after = _bounds(budget.period, day)
    return Period(_midnight_s(first, zone), _midnight_s(after, zone), first.isoformat())


def _bounds(period: BudgetPeriod, day: date) -> tuple[date, date]:
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _midnight_s(day: date, zone: tzinfo) -> int:
    """Return when a day begins. Where a clock change skips midnight, the offset before it holds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def to_ns(at_s: int) -> int:
    """Return unix seconds in nanoseconds."""
    return at_s * NS_PER_S
