"""How budgets stand: used, left, thresholds reached, and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from spanhouse_server.derive.budgets.forecast import HOURS_OF_WEEK, Forecast, forecast
from spanhouse_server.derive.budgets.periods import Period, period_at
from spanhouse_server.derive.budgets.spending import Spending
from spanhouse_server.derive.series import SeriesQuery, SeriesSource
from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.cost.by_value import NOTHING, Spent

#: Weeks of hourly spend that a forecast looks back at.
HISTORY_WEEKS = 12
#: Values of a budget's ``per`` that get a forecast, the largest.
MAX_FORECASTS = 20
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget, or one value of its ``per``, at a moment. ``forecast`` is of the whole period."""

    budget: Budget
    period: Period
    value: str
    spent: Spent
    forecast: Forecast | None = None

    @property
    def left_usd(self) -> Decimal:
        """Return what may still be spent, below 0 when it is overrun."""
        return self.budget.limit_usd - self.spent.used_usd

    @property
    def used_share(self) -> float:
        """Return the part of the limit that is used, above 1 when it is overrun."""
        return float(Fraction(self.spent.used_usd) / Fraction(self.budget.limit_usd))

    @property
    def reached(self) -> tuple[int, ...]:
        """Return the thresholds that were reached, in per cent, ascending."""
        return tuple(each for each in self.budget.thresholds if reached(self.spent.used_usd, self.budget, each))

    @property
    def used_up(self) -> bool:
        """Tell whether the limit is reached."""
        return self.spent.used_usd >= self.budget.limit_usd

    @property
    def projected_overrun(self) -> bool:
        """Tell whether the forecast ends above the limit."""
        return self.forecast is not None and self.forecast.total_usd > float(self.budget.limit_usd)


def reached(used_usd: Decimal, budget: Budget, threshold: int) -> bool:
    """Tell whether spend is at a threshold (per cent of the limit) or above, exactly."""
    return used_usd * 100 >= budget.limit_usd * threshold


def budget_states(
    spending: Spending, budget: Budget, at_s: int, source: SeriesSource | None = None, limit: int = 100
) -> list[BudgetState]:
    """Return how a budget stands: one state, or one per value of its ``per``, the most used first.

    With a ``source`` the states have forecasts, as far as there is history. At most ``limit`` values are given.
    """
    period = period_at(budget, at_s)
    found = spending.read(budget, period, at_s)
    ranked = sorted(found.items(), key=lambda item: (-item[1].used_usd, item[0]))[:limit]
    if not ranked and not budget.per:
        ranked = [("", NOTHING)]
    forecasts = {} if source is None else forecasts_of(source, budget, period, at_s, ranked)
    return [BudgetState(budget, period, value, spent, forecasts.get(value)) for value, spent in ranked]


def forecasts_of(
    source: SeriesSource, budget: Budget, period: Period, at_s: int, spent: Sequence[tuple[str, Spent]]
) -> dict[str, Forecast]:
    """Return the forecasts of a period's end by value; none for rolling periods, which have no end."""
    if budget.period == "rolling":
        return {}
    hour = at_s // _HOUR_S
    first = hour - HISTORY_WEEKS * HOURS_OF_WEEK
    query = SeriesQuery(
        metric="cost_usd",
        group_by=(budget.per,) if budget.per else (),
        q=budget.q,
        interval_s=_HOUR_S,
        limit=MAX_FORECASTS,
    )
    series = source.read(budget.project_id, query, max(first, 0) * _HOUR_S, hour * _HOUR_S)
    used = {value: float(each.used_usd) for value, each in spent}
    found = {}
    for line in series:
        value = line.labels.get(budget.per, "") if budget.per else ""
        if value not in used:
            continue
        history = [amount or 0.0 for _, amount in line.points]
        # The hour that has begun counts with the part of it that is left.
        result = forecast(history, line.points[0][0] // _HOUR_S if line.points else hour, used[value],
                          (period.end_s - at_s) / _HOUR_S)  # fmt: skip
        if result is not None:
            found[value] = result
    return found
