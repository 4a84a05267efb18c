"""Where spend leads by the end of a period: seasonal naive where there is history enough, else linear.

Seasonal naive: what is left of the period costs, hour by hour, what the same hours of the week cost in the last weeks,
newer weeks weighing more. How good that is says the past: the same forecast is made from earlier days of the history,
and the interval is as wide as 8 of 10 of them would have needed. With less than ``SEASONAL_HOURS`` of history the mean rate
goes on, and its interval comes from how far days differ. With less than ``LEAST_HOURS`` there is no forecast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

HOURS_OF_WEEK = 168
LEAST_HOURS = 6
SEASONAL_HOURS = 14 * 24
#: Weeks that make the pattern, and the days of history a linear forecast goes by.
PATTERN_WEEKS = 4
LINEAR_HOURS = 14 * 24
#: Earlier forecasts that an interval of their own errors needs, and those that are enough.
LEAST_ORIGINS = 10
MOST_ORIGINS = 30
COVERAGE = 0.8
#: 90th percentiles of Student's t by degrees of freedom, from 1.
_T90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372)
_Z90 = 1.2816

Method = Literal["seasonal", "linear"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The spend of the whole period in USD, and where it ends in ``COVERAGE`` of cases."""

    total_usd: float
    low_usd: float
    high_usd: float
    method: Method
    history_hours: int


def forecast(history: Sequence[float], first_hour: int, used_usd: float, hours_left: float) -> Forecast | None:
    """Return where a period ends that has spent ``used_usd``, nothing where the history is too short.

    ``history`` is the spend by hour up to now, whole hours only; ``first_hour`` is the number (unix time / 3600) of
    the first. Hours before the first spend are no history.
    """
    start = next((index for index, value in enumerate(history) if value > 0), len(history))
    known, first = history[start:], first_hour + start
    if len(known) < LEAST_HOURS:
        return None
    hours_left = max(hours_left, 0.0)
    if len(known) < SEASONAL_HOURS:
        rate = fmean(known[-LINEAR_HOURS:])
        rest = rate * hours_left
        low, high = _by_days(known[-LINEAR_HOURS:], rest, hours_left)
        return Forecast(used_usd + rest, used_usd + low, used_usd + high, "linear", len(known))
    rest = _seasonal(known, first, hours_left)
    low, high = _by_errors(known, first, hours_left, rest) or _by_days(known, rest, hours_left)
    return Forecast(used_usd + rest, used_usd + low, used_usd + high, "seasonal", len(known))


def _seasonal(known: Sequence[float], first: int, hours_left: float) -> float:
    """Return what the hours after ``known`` will cost by the pattern of its last weeks."""
    pattern = _pattern(known, first)
    begin = first + len(known)
    whole = int(hours_left)
    weeks, rest = divmod(whole, HOURS_OF_WEEK)
    total = weeks * sum(pattern)
    total += sum(pattern[(begin + offset) % HOURS_OF_WEEK] for offset in range(rest))
    return total + (hours_left - whole) * pattern[(begin + whole) % HOURS_OF_WEEK]


def _pattern(known: Sequence[float], first: int) -> list[float]:
    """Return the spend to expect by hour of the week (unix hour modulo 168)."""
    weeks = min(len(known) // HOURS_OF_WEEK, PATTERN_WEEKS)
    sums = [0.0] * HOURS_OF_WEEK
    weights = 0
    for back in range(1, weeks + 1):
        weight = weeks + 1 - back
        weights += weight
        begin = len(known) - back * HOURS_OF_WEEK
        for offset in range(HOURS_OF_WEEK):
            sums[(first + begin + offset) % HOURS_OF_WEEK] += weight * known[begin + offset]
    return [value / weights for value in sums]


def _by_errors(known: Sequence[float], first: int, hours_left: float, rest: float) -> tuple[float, float] | None:
    """Return the interval that forecasts from earlier days would have needed; nothing with too few of them.

    Where the history is too short for the whole way ahead, shorter ways are judged and their errors widened.
    """
    longest = len(known) - SEASONAL_HOURS - (LEAST_ORIGINS - 1) * 24
    ahead = min(math.ceil(hours_left), longest)
    if ahead < 24 and ahead < hours_left:
        return None
    ahead = max(ahead, 1)
    latest = len(known) - ahead
    days_apart = -(-(latest - SEASONAL_HOURS) // (24 * MOST_ORIGINS)) or 1
    ratios = []
    for origin in range(latest, SEASONAL_HOURS - 1, -24 * days_apart):
        expected = _seasonal(known[:origin], first, ahead)
        if expected > 0:
            ratios.append(sum(known[origin : origin + ahead]) / expected)
    if len(ratios) < LEAST_ORIGINS:
        return None
    widen = math.sqrt(max(hours_left / ahead, 1.0))
    # Ways ahead that overlap tell the same thing twice: only so many of the errors are independent.
    independent = max(min(len(ratios) * 24 * days_apart // ahead, len(ratios)), 2)
    spread = _t90(independent) * math.sqrt(fmean((ratio - 1) ** 2 for ratio in ratios))
    ratios.sort()
    below = max(1 - _quantile(ratios, (1 - COVERAGE) / 2), spread) * widen
    above = max(_quantile(ratios, (1 + COVERAGE) / 2) - 1, spread) * widen
    return max(rest * (1 - below), 0.0), rest * (1 + above)


def _t90(count: int) -> float:
    """Return how many standard deviations hold 8 of 10 cases, of a deviation known from ``count`` values."""
    return _T90[count - 2] if count - 2 < len(_T90) else _Z90 * (1 + 0.66 / (count - 1))


def _by_days(known: Sequence[float], rest: float, hours_left: float) -> tuple[float, float]:
    """Return the interval by how far days differ; a very wide one for less than three of them."""
    days = len(known) // 24
    if days < 3:
        return 0.0, max(rest * 3, max(known) * hours_left)
    sums = [sum(known[len(known) - (day + 1) * 24 : len(known) - day * 24]) for day in range(days)]
    ahead = hours_left / 24
    spread = stdev(sums) * math.sqrt(ahead + ahead * ahead / days)
    return max(rest - _t90(days) * spread, 0.0), rest + _t90(days) * spread


def _quantile(ordered: Sequence[float], level: float) -> float:
    at = level * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)
