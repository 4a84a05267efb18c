"""Forecasts against spend that went on: how far off they are, and how often the interval holds the end."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.budgets.forecast import COVERAGE, LEAST_HOURS, SEASONAL_HOURS, forecast

FIRST = 480_000
"""Unix hours: some day in 2024."""


def seasonal(hours: int, dice: random.Random, growth: float = 0.0) -> list[float]:
    """Busy days, quiet nights and weekends, bursts, and days that differ."""
    values = []
    day_factor = 1.0
    for hour in range(hours):
        if hour % 24 == 0:
            day_factor = dice.lognormvariate(0, 0.15)
        of_week = (FIRST + hour) % 168
        shape = 1 + 0.8 * math.sin(of_week % 24 / 24 * 2 * math.pi)
        weekend = 0.3 if of_week >= 120 else 1.0
        values.append(shape * weekend * day_factor * (1 + growth) ** (hour / 168) * dice.lognormvariate(0, 0.3))
    return values


def trial(history_hours: int, ahead: int, seed: int, growth: float = 0.0) -> tuple[float, bool, str]:
    """Return the relative error, whether the interval held the end, and the method."""
    values = seasonal(history_hours + ahead, random.Random(seed), growth)
    found = forecast(values[:history_hours], FIRST, 100.0, ahead)
    assert found is not None
    assert found.low_usd <= found.total_usd <= found.high_usd
    truth = 100 + sum(values[history_hours:])
    return abs(found.total_usd - truth) / truth, found.low_usd <= truth <= found.high_usd, found.method


@pytest.mark.parametrize(("history_hours", "ahead"), [(84 * 24, 15 * 24), (60 * 24 + 7, 5 * 24), (30 * 24, 3 * 24 + 5)])
def test_seasonal_forecasts_are_near_and_their_interval_holds(history_hours: int, ahead: int) -> None:
    trials = [trial(history_hours, ahead, seed) for seed in range(40)]
    assert all(method == "seasonal" for _, _, method in trials)
    assert sum(error for error, _, _ in trials) / 40 < 0.05
    held = sum(inside for _, inside, _ in trials) / 40
    assert held >= COVERAGE - 0.1


def test_a_weekend_ahead_is_known_to_be_quiet() -> None:
    """From Friday night to Monday: the mean rate would expect twice as much."""
    history = 28 * 24 + (120 - FIRST % 168) % 168
    values = seasonal(history + 48, random.Random(1))
    truth = sum(values[history:])
    found = forecast(values[:history], FIRST, 0.0, 48)
    assert found is not None
    assert found.total_usd == pytest.approx(truth, rel=0.25)
    assert sum(values[:history]) / history * 48 > 1.8 * truth


def test_growth_is_followed_within_its_interval_or_near_it() -> None:
    trials = [trial(84 * 24, 7 * 24, seed, growth=0.05) for seed in range(10)]
    assert sum(error for error, _, _ in trials) / 10 < 0.15


@pytest.mark.parametrize("days", [4, 10])
def test_without_enough_weeks_the_mean_rate_goes_on(days: int) -> None:
    dice = random.Random(days)
    held = 0
    for _ in range(60):
        values = [dice.lognormvariate(0, 0.5) for _ in range(days * 24 + 240)]
        found = forecast(values[: days * 24], FIRST, 0.0, 240)
        assert found is not None
        assert found.method == "linear"
        held += found.low_usd <= sum(values[days * 24 :]) <= found.high_usd
    assert held / 60 >= COVERAGE - 0.15


def test_too_little_history_gives_none_and_little_a_wide_interval() -> None:
    assert forecast([], FIRST, 5.0, 100) is None
    assert forecast([0.0] * 500, FIRST, 5.0, 100) is None
    assert forecast([0.0] * 500 + [1.0] * (LEAST_HOURS - 1), FIRST, 5.0, 100) is None
    found = forecast([1.0] * LEAST_HOURS, FIRST, 6.0, 100)
    assert found is not None
    assert (found.low_usd, found.total_usd, found.high_usd) == (6.0, 106.0, 306.0)


def test_an_even_pattern_is_continued_exactly() -> None:
    values = [float((FIRST + hour) % 168) for hour in range(1, 6 * 168 + 1)]
    found = forecast(values, FIRST + 1, 10.0, 168 + 2.5)
    assert found is not None
    following = [float((FIRST + 1 + len(values) + hour) % 168) for hour in range(3)]
    assert found.total_usd == pytest.approx(10 + sum(range(168)) + following[0] + following[1] + following[2] / 2)
    assert found.low_usd == pytest.approx(found.total_usd) == pytest.approx(found.high_usd)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1e6), max_size=SEASONAL_HOURS + 400), st.integers(0, 10**6), st.floats(0, 1e9),
    st.floats(-5, 800),
)  # fmt: skip
def test_any_history(history: list[float], first: int, used: float, left: float) -> None:
    found = forecast(history, first, used, left)
    if found is None:
        return
    assert all(math.isfinite(each) for each in (found.low_usd, found.total_usd, found.high_usd))
    slack = 1e-9 * max(found.high_usd, 1.0)
    assert used - slack <= found.low_usd <= found.total_usd + slack <= found.high_usd + 2 * slack
