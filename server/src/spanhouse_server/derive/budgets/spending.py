"""What was spent of budgets, read so that asking often stays cheap.

A month of spans is not added up every few seconds: what lies more than an hour back is added up now and then and
remembered, only the rest is read each time. Late spans of the part remembered show at its next turn.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from spanhouse_server.derive.budgets.periods import Period, to_ns
from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.cost.by_value import NOTHING, ByValue, Spent, spent_by_value, spent_so_far
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

#: Of a budget per value the largest values; the others are nobody's.
MAX_VALUES = 10_000
#: How far back is read anew each time, and how long the rest is remembered.
FRESH_PART_S = 3600
REMEMBERED_S = 600
MAX_REMEMBERED = 2000


class Spending:
    """Reads what budgets have spent; without ``unpriced`` nothing of what has no price. Thread-safe."""

    def __init__(self, store: ColumnarStore, *, unpriced: bool = True) -> None:
        self._store = store
        self._unpriced = unpriced
        self._remembered: OrderedDict[tuple[object, ...], tuple[int, int, ByValue]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, budget: Budget, period: Period, at_s: int) -> ByValue:
        """Return what was spent from the start of the period until ``at_s``, late spans at most ten minutes late.

        Exact to the last decimal; raise ``BadQuery``. What names no user (tag, key …) is nobody's.
        """
        split_s = at_s - FRESH_PART_S
        # The start of a rolling period moves on: there is no part that stays.
        if budget.period == "rolling":
            return self._earlier(budget, period.start_s, at_s)
        if split_s - period.start_s < 2 * FRESH_PART_S:
            return self._lately(budget, period.start_s, at_s)
        key = (budget.id, budget.updated_ns, budget.q, budget.per, period.start_s)
        with self._lock:
            known = self._remembered.get(key)
        if known is None or not known[1] <= at_s < known[1] + REMEMBERED_S:
            known = (split_s, at_s, self._earlier(budget, period.start_s, split_s))
            with self._lock:
                self._remembered[key] = known
                self._remembered.move_to_end(key)
                while len(self._remembered) > MAX_REMEMBERED:
                    self._remembered.popitem(last=False)
        return added(known[2], self._lately(budget, known[0], at_s))

    def _earlier(self, budget: Budget, from_s: int, to_s: int) -> ByValue:
        """Return what was spent in ``[from_s, to_s)``, a long time of which spans may have expired."""
        query = CostQuery(_window(from_s, to_s), budget.q)
        return _owned(
            budget,
            spent_so_far(self._store, budget.project_id, query, budget.per, MAX_VALUES, unpriced=self._unpriced),
        )

    def _lately(self, budget: Budget, from_s: int, to_s: int) -> ByValue:
        """Return what was spent in ``[from_s, to_s)``, a short and recent time."""
        query = CostQuery(_window(from_s, to_s), budget.q)
        return _owned(budget, spent_by_value(self._store, budget.project_id, query, budget.per, MAX_VALUES))


def _window(from_s: int, to_s: int) -> Window:
    return Window(max(to_ns(from_s), 0), max(to_ns(to_s), 0))


def _owned(budget: Budget, found: dict[str, Spent]) -> ByValue:
    if budget.per:
        found.pop("", None)
    return found


def added(left: ByValue, right: ByValue) -> ByValue:
    """Return the sums of both by value."""
    total = dict(left)
    for value, spent in right.items():
        total[value] = total.get(value, NOTHING).plus(spent)
    return total
