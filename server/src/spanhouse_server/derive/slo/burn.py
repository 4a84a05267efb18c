"""Burn rates: how many times faster than allowed errors use up their budget, over several windows.

A pair of windows burns when both the long and the short one do, so that an alert neither comes from one bad minute
nor stays for hours after the end of an incident. At 14.4 times the budget of 30 days loses 2 % in an hour, at 6 times
5 % in six hours, at 1 times 10 % in three days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from spanhouse_server.derive.series import Point, SeriesQuery, SeriesSource
from spanhouse_server.derive.slo.events import events_of
from spanhouse_server.model.budgets import Slo

#: A rate that is the bound but for the last digits of a float burns.
_ROUNDING = 1e-9

Urgency = Literal["page", "ticket"]


@dataclass(frozen=True, slots=True)
class BurnPair:
    """Two windows (s) and the rate at which they burn; their ends lie on multiples of ``grain_s``."""

    name: str
    rate: float
    long_s: int
    short_s: int
    grain_s: int
    urgency: Urgency


PAIRS = (
    BurnPair("1h/5m", 14.4, 3600, 300, 60, "page"),
    BurnPair("6h/30m", 6.0, 6 * 3600, 1800, 300, "page"),
    BurnPair("3d/6h", 1.0, 3 * 86_400, 6 * 3600, 1800, "ticket"),
)


@dataclass(frozen=True, slots=True)
class Count:
    """Events in a window."""

    total: float
    bad: float


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows that ends at ``end_s`` (unix s). Rates are ``None`` where there was no event.

    ``enough`` tells whether the long window holds as many events, and bad ones, as the level asks for before it is
    judged.
    """

    pair: BurnPair
    end_s: int
    long: Count
    short: Count
    long_rate: float | None
    short_rate: float | None
    enough: bool

    @property
    def burning(self) -> bool:
        """Tell whether both windows burn at the pair's rate or faster, and there is enough to go by."""
        if not self.enough or self.long_rate is None or self.short_rate is None:
            return False
        return min(self.long_rate, self.short_rate) >= self.pair.rate * (1 - _ROUNDING)


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What is left over the window of a level; ``left_share`` falls below 0 when it is overdrawn.

    ``attained`` is the share of good events, ``None`` without any. ``points`` are [unix s, share of good events] by
    day.
    """

    total: float
    bad: float
    allowed: float
    left_share: float
    attained: float | None
    points: Sequence[Point]


def burn_rates(source: SeriesSource, slo: Slo, at_s: int) -> list[Burn]:
    """Return all pairs of windows that end at ``at_s``, or just before, at their grain."""
    return [burn_rate(source, slo, pair, at_s) for pair in PAIRS]


def burn_rate(source: SeriesSource, slo: Slo, pair: BurnPair, at_s: int) -> Burn:
    """Return one pair of windows."""
    end_s = at_s // pair.grain_s * pair.grain_s
    long, short = (_count(source, slo, end_s - width_s, width_s) for width_s in (pair.long_s, pair.short_s))
    enough = long.total >= slo.min_events and long.bad >= slo.min_bad_events
    return Burn(pair, end_s, long, short, _rate(slo, long), _rate(slo, short), enough)


def burn_line(source: SeriesSource, slo: Slo, burn: Burn) -> list[Point]:
    """Return the share of bad events over the long window: what a burn rate is told with."""
    pair = burn.pair
    total, bad = read_counts(source, slo, pair.short_s, burn.end_s - pair.long_s, burn.end_s)
    return [
        (start_s, (value or 0.0) / count if count else None)
        for (start_s, count), (_, value) in zip(total, bad, strict=True)
    ]


def error_budget(source: SeriesSource, slo: Slo, at_s: int) -> ErrorBudget:
    """Return the error budget over the level's window, which ends with the hour of ``at_s``."""
    end_s = (at_s // 3600 + 1) * 3600
    begin_s = end_s - slo.window_days * 86_400
    total, bad = read_counts(source, slo, 3600, begin_s, end_s)
    count = Count(_sum(total), _sum(bad))
    allowed = count.total * float(1 - slo.objective)
    days = []
    for first in range(0, len(total), 24):
        day = Count(_sum(total[first : first + 24]), _sum(bad[first : first + 24]))
        days.append((total[first][0], 1 - day.bad / day.total if day.total else None))
    return ErrorBudget(
        count.total,
        count.bad,
        allowed,
        1 - count.bad / allowed if allowed else 1.0,
        1 - count.bad / count.total if count.total else None,
        days,
    )


def read_counts(
    source: SeriesSource, slo: Slo, grain_s: int, begin_s: int, end_s: int
) -> tuple[Sequence[Point], Sequence[Point]]:
    """Return the events and the bad ones in ``[begin_s, end_s)``, by pieces of ``grain_s``."""
    events = events_of(slo)
    query = SeriesQuery(events.all_metric, q=events.all_q, interval_s=grain_s, offset_s=begin_s % grain_s)
    bad_query = replace(query, metric=events.bad_metric, q=events.bad_q)
    total = source.read(slo.project_id, query, begin_s, end_s)[0].points
    return total, source.read(slo.project_id, bad_query, begin_s, end_s)[0].points


def _count(source: SeriesSource, slo: Slo, begin_s: int, width_s: int) -> Count:
    total, bad = read_counts(source, slo, width_s, begin_s, begin_s + width_s)
    return Count(_sum(total), _sum(bad))


def _sum(points: Sequence[Point]) -> float:
    return sum(value or 0.0 for _, value in points)


def _rate(slo: Slo, count: Count) -> float | None:
    return count.bad / count.total / float(1 - slo.objective) if count.total else None
