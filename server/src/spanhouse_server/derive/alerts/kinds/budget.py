"""Rules about budgets: one alert for each threshold that a budget reaches in a period, and for where it leads.

What is spent is read as a series, so that back-tests judge the past by the same code. An alert's labels name budget,
period and threshold, so each is told once per period; when the period ends the alert does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import gcd
from typing import Any
from weakref import WeakKeyDictionary

from spanhouse_server.derive.alerts.kinds.chosen import chosen, names_in
from spanhouse_server.derive.alerts.kinds.contract import Observation, State
from spanhouse_server.derive.alerts.kinds.parameters import Parameters
from spanhouse_server.derive.budgets.forecast import HOURS_OF_WEEK, SEASONAL_HOURS, Forecast, forecast
from spanhouse_server.derive.budgets.periods import Period, period_at
from spanhouse_server.derive.budgets.state import HISTORY_WEEKS
from spanhouse_server.derive.series import MemorySeries, Point, SeriesQuery, SeriesSource
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Rule
from spanhouse_server.model.budgets import Budget

#: Gives the budgets of a project.
BudgetsOf = Callable[[str], Sequence[Budget]]

#: What was forecast, by budget: in which hour (unix time / 3600), for which version and period of it, by value.
Forecasts = dict[str, tuple[tuple[int, int, str], dict[str, Forecast | None]]]

#: Values of a budget's ``per`` that are watched, the largest; a back-test holds months of each in memory.
MAX_GROUPS = 500
MAX_HELD_GROUPS = 50
EVIDENCE_POINTS = 60
#: A linear forecast needs as much history before anyone is told of it, and any forecast this part of its period.
LEAST_LINEAR_HOURS = 72
LEAST_ELAPSED = 0.05
#: A forecast that fell below the limit again ends its alert only below this part of it.
FORECAST_CLEARS_AT = 0.95
#: Spend comes as floats from a series: a sum that is the threshold but for the last digits has reached it.
_ROUNDING = 1e-12
_HOUR_S = 3600
_FINE_S = 60


@dataclass(frozen=True, slots=True)
class BudgetParams:
    """Which budgets, by name or id (none: all that are enabled), and whether forecasts count."""

    budgets: tuple[str, ...]
    forecast: bool


class BudgetKind:
    """Fires when spend reaches a threshold of a budget, and when the forecast ends above the limit.

    Thresholds below 100 % and forecasts are warnings. Parameters: ``budgets``, names or ids with commas between
    (default all of the project); ``forecast``, ``on`` or ``off`` (default ``on``).
    """

    name = "budget"
    metric_use = "optional"
    #: What is spent stays spent: a reminder every few hours until the month ends says nothing.
    told_once = True

    def __init__(self, budgets_of: BudgetsOf | None = None) -> None:
        self._budgets_of = budgets_of
        self._forecasts: WeakKeyDictionary[SeriesSource, Forecasts] = WeakKeyDictionary()

    def bind(self, budgets_of: BudgetsOf) -> None:
        """Say where budgets are found; a server does when it opens."""
        self._budgets_of = budgets_of

    def check(self, params: Mapping[str, Any]) -> BudgetParams:
        """Return the parameters; raise ``BadRequest``."""
        given = Parameters(params)
        names = names_in(given.text("budgets"))
        use_forecast = given.choice("forecast", "on", ("on", "off")) == "on"
        given.finish()
        return BudgetParams(names, use_forecast)

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge every threshold of the chosen budgets as of the last whole minute."""
        run = _Run(source, _FINE_S, self._forecasts.setdefault(source, {}))
        return [
            each
            for budget in self._chosen(rule)
            for each in _observed(rule, budget, lambda: run, at_s // _FINE_S * _FINE_S)
        ]

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Judge at every step from one read of each budget."""
        budgets = self._chosen(rule)
        fine_s = gcd(from_s, step_s, 900)
        fine_s = fine_s if fine_s % _FINE_S == 0 else _FINE_S
        runs: dict[str, _Run] = {}

        def run_of(budget: Budget) -> _Run:
            if budget.id not in runs:
                runs[budget.id] = _held(budget, source, from_s, to_s, fine_s)
            return runs[budget.id]

        for at_s in range(from_s, to_s + 1, step_s):
            whole_s = at_s // _FINE_S * _FINE_S
            yield (
                at_s,
                [each for budget in budgets for each in _observed(rule, budget, partial(run_of, budget), whole_s)],
            )

    def _chosen(self, rule: Rule) -> list[Budget]:
        if self._budgets_of is None:
            raise BadRequest("rules of type budget need the server's budgets", "run them on a server")
        params: BudgetParams = rule.params
        return chosen(self._budgets_of(rule.project_id), params.budgets, "budget", "/api/v1/budgets")


@dataclass(slots=True)
class _Run:
    """Reads of one evaluation, or of one back-test. What was forecast in an hour holds until the next."""

    source: SeriesSource
    fine_s: int
    forecasts: Forecasts = field(default_factory=dict)

    def spent(self, budget: Budget, start_s: int, at_s: int) -> dict[str, list[Point]]:
        """Return the spend of each value by piece from the start of a period: hours, and the last in fine steps."""
        wide_s = _HOUR_S if start_s % _HOUR_S == 0 else 900
        first_s = min(-(-start_s // wide_s) * wide_s, at_s)
        last_s = max(at_s // wide_s * wide_s, first_s)
        found: dict[str, list[Point]] = {}
        for begin_s, end_s, width_s in (
            (first_s, last_s, wide_s),
            (start_s, first_s, self.fine_s),
            (last_s, at_s, self.fine_s),
        ):
            if begin_s < end_s:
                query = _query(budget, width_s)
                if budget.per:
                    # Who spent much before need not be among the largest spenders of the last minutes.
                    query = replace(query, known=[(value,) for value in found])
                for line in self.source.read(budget.project_id, query, begin_s, end_s):
                    value = line.labels.get(budget.per, "")
                    if value or not budget.per:
                        found.setdefault(value, []).extend(line.points)
        for points in found.values():
            points.sort(key=lambda point: point[0])
        if not found and not budget.per:
            found[""] = []
        return found

    def forecasts_of(
        self, budget: Budget, period: Period, spent: Mapping[str, Sequence[Point]], at_s: int
    ) -> Mapping[str, Forecast | None]:
        """Return where the period leads for each value, as seen at the last whole hour, given what ``spent`` gave."""
        hour = at_s // _HOUR_S
        kept = self.forecasts.get(budget.id)
        # Periods of zones half an hour off begin within an hour.
        of = (hour, budget.updated_ns, period.key)
        if kept is None or kept[0] != of:
            first = max(hour - HISTORY_WEEKS * HOURS_OF_WEEK, 0)
            seen_s = max(hour * _HOUR_S, period.start_s)
            query = _query(budget, _HOUR_S)
            if budget.per:
                query = replace(query, known=[(value,) for value in spent])
            by_value = {}
            for line in self.source.read(budget.project_id, query, first * _HOUR_S, hour * _HOUR_S):
                value = line.labels.get(budget.per, "")
                history = [amount or 0.0 for _, amount in line.points]
                used = _used([point for point in spent.get(value, ()) if point[0] < seen_s])
                by_value[value] = forecast(history, first, used, (period.end_s - seen_s) / _HOUR_S)
            kept = self.forecasts[budget.id] = (of, by_value)
        return kept[1]


BUDGET = BudgetKind()


def _observed(rule: Rule, budget: Budget, run_of: Callable[[], _Run], at_s: int) -> list[Observation]:
    """Judge one budget. One that can no longer be read is unknown, and holds up no other."""
    params: BudgetParams = rule.params
    named = {"budget": budget.name, "budget_id": budget.id}
    found = []
    try:
        run, period = run_of(), period_at(budget, at_s)
        spent = run.spent(budget, period.start_s, at_s)
        projected = params.forecast and budget.period != "rolling"
        forecasts = run.forecasts_of(budget, period, spent, at_s) if projected else {}
        for value, line in spent.items():
            labels = {**named, "period": period.key}
            if budget.per:
                labels[budget.per] = value
            found += [_threshold(budget, each, labels, line) for each in budget.thresholds]
            if projected:
                found.append(_projected(budget, period, labels, line, forecasts.get(value), at_s))
    except BadRequest as error:
        return [Observation(named, "unknown", None, {"reason": f"the budget cannot be read: {error.message}"})]
    return found


def _held(budget: Budget, source: SeriesSource, from_s: int, to_s: int, fine_s: int) -> _Run:
    """Read all that judging a budget from ``from_s`` to ``to_s`` needs."""
    begin_s = min(period_at(budget, from_s).start_s, from_s - HISTORY_WEEKS * HOURS_OF_WEEK * _HOUR_S)
    begin_s = max(begin_s, 0) // _HOUR_S * _HOUR_S
    end_s = (to_s // _HOUR_S + 1) * _HOUR_S
    held = source.read(budget.project_id, _query(budget, fine_s, MAX_HELD_GROUPS), begin_s, end_s)
    return _Run(MemorySeries({"cost_usd": held}, fine_s), fine_s)


def _query(budget: Budget, width_s: int, limit: int = MAX_GROUPS) -> SeriesQuery:
    group_by = (budget.per,) if budget.per else ()
    return SeriesQuery("cost_usd", group_by, budget.q, width_s, limit=limit)


def _used(line: Sequence[Point]) -> float:
    return sum(amount or 0.0 for _, amount in line)


def _threshold(budget: Budget, threshold: int, labels: Mapping[str, str], line: Sequence[Point]) -> Observation:
    used, limit = _used(line), float(budget.limit_usd)
    bound = limit * threshold / 100
    state: State = "ok"
    if used >= bound * (1 - _ROUNDING):
        state = "breach" if threshold >= 100 else "warning"
    places = max(2, 1 - budget.limit_usd.adjusted())  # two digits of a limit below a dollar, too
    reason = f"{used:.{places}f} of {limit:.{places}f} USD are spent, {used / limit:.0%} of the budget {budget.name}"
    evidence = {"reason": reason, "points": _sums(line), "threshold": bound, "budget_id": budget.id}
    return Observation({**labels, "threshold": str(threshold)}, state, used, evidence)


def _projected(
    budget: Budget,
    period: Period,
    labels: Mapping[str, str],
    line: Sequence[Point],
    expected: Forecast | None,
    at_s: int,
) -> Observation:
    labels = {**labels, "threshold": "forecast"}
    limit = float(budget.limit_usd)
    if expected is None or (expected.method == "linear" and expected.history_hours < LEAST_LINEAR_HOURS):
        needed = f"a forecast needs {LEAST_LINEAR_HOURS // 24} days of spend, a seasonal one {SEASONAL_HOURS // 24}"
        return Observation(labels, "unknown", None, {"reason": needed})
    if at_s - period.start_s < LEAST_ELAPSED * period.length_s:
        return Observation(labels, "unknown", None, {"reason": "the period has only just begun"})
    total = expected.total_usd
    reason = (
        f"the budget {budget.name} is heading for {total:.2f} USD of {limit:.2f}"
        f" ({expected.low_usd:.2f} to {expected.high_usd:.2f} in 8 of 10 cases)"
    )
    evidence = {
        "reason": reason,
        "points": _sums(line),
        "threshold": limit,
        "baseline": [[period.end_s, total, expected.low_usd, expected.high_usd]],
        "budget_id": budget.id,
        "method": expected.method,
    }
    over = total > limit
    holds = not over and total > limit * FORECAST_CLEARS_AT
    return Observation(labels, "warning" if over else "ok", total, evidence, holds=holds)


def _sums(line: Sequence[Point]) -> list[tuple[int, float]]:
    """Return the running sum at up to ``EVIDENCE_POINTS`` moments, the last one included."""
    total = 0.0
    sums = []
    for start_s, amount in line:
        total += amount or 0.0
        sums.append((start_s, total))
    every = -(-len(sums) // EVIDENCE_POINTS) or 1
    return sums[(len(sums) - 1) % every :: every] if sums else []
