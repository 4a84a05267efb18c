"""Alert rules about budgets: one alert per threshold and period, whatever the spend does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.derive.alerts.kinds.budget import BudgetKind
from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.machine import advance
from spanhouse_server.derive.series import MemorySeries, Series
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Alert, Rule
from spanhouse_server.model.budgets import Budget

MONDAY = 1_768_176_000
"""2026-01-12T00:00:00Z"""
HOUR_S, DAY_S = 3600, 86_400


def budget(**more: Any) -> Budget:
    given = {"id": "b1", "project_id": "p", "name": "team", "limit_usd": Decimal(10), "period": "day"} | more
    return Budget(**given)


def kind_and_rule(budgets: list[Budget], /, **params: Any) -> tuple[BudgetKind, Rule]:
    kind = BudgetKind(lambda project: [each for each in budgets if each.project_id == project])
    return kind, Rule("r", "p", "budgets", "budget", params=kind.check(params))


def spend(
    usd_of: Any, days: int, first_s: int = MONDAY, width_s: int = 300, groups: Iterable[str] = ("",)
) -> MemorySeries:
    """Return spend by piece of time and user, held as back-tests hold it."""
    starts = range(first_s, first_s + days * DAY_S, width_s)
    series = [
        Series({"user": group} if group else {}, [(at_s, usd_of(at_s, group)) for at_s in starts]) for group in groups
    ]
    return MemorySeries({"cost_usd": series}, width_s)


def states(found: list[Observation]) -> dict[str, str]:
    return {each.labels["threshold"]: each.state for each in found}


def test_thresholds_as_the_day_goes() -> None:
    """A dollar an hour, of a budget of ten a day."""
    kind, rule = kind_and_rule([budget()], forecast="off")
    source = spend(lambda at_s, _: 1 / 12, 2)
    seen = dict(kind.observe_over(rule, source, MONDAY, MONDAY + 2 * DAY_S - 300, 300))
    assert states(seen[MONDAY + 5 * HOUR_S - 300]) == {"50": "ok", "80": "ok", "100": "ok"}
    assert states(seen[MONDAY + 5 * HOUR_S]) == {"50": "warning", "80": "ok", "100": "ok"}
    assert states(seen[MONDAY + 8 * HOUR_S]) == {"50": "warning", "80": "warning", "100": "ok"}
    assert states(seen[MONDAY + 10 * HOUR_S]) == {"50": "warning", "80": "warning", "100": "breach"}
    assert states(seen[MONDAY + DAY_S]) == {"50": "ok", "80": "ok", "100": "ok"}
    last = seen[MONDAY + 10 * HOUR_S][2]
    assert last.labels == {"budget": "team", "budget_id": "b1", "period": "2026-01-12", "threshold": "100"}
    assert last.value == pytest.approx(10)
    assert last.evidence["points"][-1][1] == pytest.approx(10)
    assert len(last.evidence["points"]) <= 60


def test_each_threshold_fires_once_a_period() -> None:
    kind, rule = kind_and_rule(
        [budget(), budget(id="b2", name="ann", per="user", limit_usd=Decimal(4))], forecast="off"
    )
    source = spend(lambda at_s, user: 1 / 12 if user == "ann" else 0.01, 3, groups=["ann", "bob"])
    numbers = itertools.count()
    active: dict[str, Alert] = {}
    fired: list[tuple[str, ...]] = []
    for at_s, found in kind.observe_over(rule, source, MONDAY, MONDAY + 3 * DAY_S - 300, 300):
        done = advance(rule, active.values(), found, at_s, lambda: str(next(numbers)))
        active |= done.alerts
        fired += [tuple(active[each.alert_id].labels.values()) for each in done.transitions if each.to == "firing"]
        active = {key: alert for key, alert in active.items() if alert.state != "resolved"}
    assert len(fired) == len(set(fired))
    # Each of three days: all thresholds of all, and of ann; bob spends 2.88 of 4 a day, which is one.
    assert len(fired) == 3 * (3 + 3 + 1)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize("period", [{"period": "day"}, {"period": "week"}, {"period": "rolling", "rolling_hours": 14}])
def test_step_by_step_and_at_once_are_the_same(zone: str, period: dict[str, Any]) -> None:
    dice = random.Random(5)
    amounts = {at_s: dice.random() for at_s in range(MONDAY - 7 * DAY_S, MONDAY + 3 * DAY_S, 60)}
    source = spend(lambda at_s, _: amounts[at_s], 10, MONDAY - 7 * DAY_S, 60)
    kind, rule = kind_and_rule([budget(limit_usd=Decimal(500), time_zone=zone, **period)])
    begin, end, step = MONDAY + 600, MONDAY + 2 * DAY_S, 4500
    at_once = list(kind.observe_over(rule, source, begin, end, step))
    for at_s, found in at_once:
        single = kind.observe(rule, source, at_s)
        assert [(each.labels, each.state) for each in single] == [(each.labels, each.state) for each in found]
        assert [each.value for each in single] == [
            value if (value := each.value) is None else pytest.approx(value) for each in found
        ]
    assert {each.state for _, found in at_once for each in found} >= {"ok", "warning"}


def test_a_projected_overrun_is_told_early_and_not_twice() -> None:
    """Twenty dollars a day are 620 a month, of 500."""
    kind, rule = kind_and_rule([budget(limit_usd=Decimal(500), period="month")])
    first = 1_767_225_600 - 40 * DAY_S
    source = spend(lambda at_s, _: 20 / 96, 75, first, 900)
    january = 1_767_225_600
    seen = {
        at_s: states(found)["forecast"]
        for at_s, found in kind.observe_over(rule, source, january, january + 30 * DAY_S, 12 * HOUR_S)
    }
    assert seen[january] == "unknown"
    assert set(list(seen.values())[4:]) == {"warning"}
    ((_, (*_, late)),) = kind.observe_over(rule, source, january + 10 * DAY_S, january + 10 * DAY_S, HOUR_S)
    assert late.value == pytest.approx(620)
    assert "heading for 620.00 USD of 500" in late.evidence["reason"]
    kind, rule = kind_and_rule([budget(limit_usd=Decimal(630), period="month")])
    ((_, (*_, near)),) = kind.observe_over(rule, source, january + 10 * DAY_S, january + 10 * DAY_S, HOUR_S)
    assert (near.state, near.holds) == ("ok", True)


def test_a_period_that_begins_within_an_hour_has_a_forecast_of_its_own() -> None:
    """Midnight in Kolkata is half past six in the evening in London: what was spent by then is the day before's."""
    kind, rule = kind_and_rule([budget(limit_usd=Decimal(100), time_zone="Asia/Kolkata")])
    # A dollar an hour but for the last day, of ten dollars an hour.
    source = spend(lambda at_s, _: (10 if at_s >= MONDAY + 19 * DAY_S else 1) / 12, 21)
    midnight_s = MONDAY + 19 * DAY_S + 18 * HOUR_S + 1800
    seen = {
        at_s: next(each for each in found if each.labels["threshold"] == "forecast")
        for at_s, found in kind.observe_over(rule, source, midnight_s - 300, midnight_s + 4 * HOUR_S, 300)
    }
    before, after = seen[midnight_s - 300], seen[midnight_s + 2 * HOUR_S]
    # Five and a half hours at a dollar an hour, then 18 hours at ten, as of the last whole hour, and half an hour to come.
    assert (before.labels["period"], before.state) == ("2026-01-31", "warning")
    assert before.value == pytest.approx(5.5 + 180 + 0.5, abs=1)
    assert (after.labels["period"], after.value) == ("2026-02-01", pytest.approx(1.5 * 10 + 22.5, abs=1))
    assert seen[midnight_s].state == "unknown", "the period has only just begun"


def test_a_day_of_history_projects_nothing() -> None:
    kind, rule = kind_and_rule([budget(period="month", limit_usd=Decimal(1))])
    source = spend(lambda at_s, _: 5.0, 3, MONDAY, HOUR_S)
    found = kind.observe(rule, source, MONDAY + DAY_S)[-1]
    assert (found.labels["threshold"], found.state) == ("forecast", "unknown")


def test_which_budgets() -> None:
    budgets = [budget(), budget(id="b2", name="two"), budget(id="b3", enabled=False), budget(id="b4", project_id="q")]
    source = spend(lambda at_s, _: 1.0, 1, width_s=60)

    def names(**params: Any) -> set[str]:
        kind, rule = kind_and_rule(budgets, forecast="off", **params)
        return {each.labels["budget_id"] for each in kind.observe(rule, source, MONDAY + 600)}

    assert names() == {"b1", "b2"}
    assert names(budgets="two, b1") == {"b1", "b2"}
    assert names(budgets="two") == {"b2"}
    for missing in ("b3", "b4", "nope"):
        with pytest.raises(BadRequest, match="no enabled budget"):
            names(budgets=missing)


@pytest.mark.parametrize("params", [{"budget": "x"}, {"forecast": True}, {"budgets": 5}, {"forecast": "maybe"}])
def test_bad_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="params"):
        BudgetKind().check(params)


def test_without_a_server_there_are_no_budgets() -> None:
    kind = BudgetKind()
    with pytest.raises(BadRequest, match="server"):
        kind.observe(Rule("r", "p", "n", "budget", params=kind.check({})), spend(lambda *_: 1.0, 1), MONDAY)
