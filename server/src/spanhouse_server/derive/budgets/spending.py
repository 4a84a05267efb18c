"""What was spent of budgets, read so that asking often stays cheap.

A month of spans is not added up every few seconds: what lies more than an hour back is added up now and then and
remembered, only the rest is read each time. Late spans of the part remembered show at its next turn.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from spanhouse_server.derive.budgets.periods import Period, to_ns
from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.cost.by_value import NOTHING, ByValue, spent_by_value
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
    """Reads what budgets have spent. Thread-safe."""

    def __init__(self, store: ColumnarStore) -> None:
        self._store = store
        self._remembered: OrderedDict[tuple[object, ...], tuple[int, int, ByValue]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, budget: Budget, period: Period, at_s: int) -> ByValue:
        """Return what was spent from the start of the period until ``at_s``, late spans at most ten minutes late."""
        split_s = at_s - FRESH_PART_S
        # The start of a rolling period moves on: there is no part that stays.
        if budget.period == "rolling" or split_s - period.start_s < 2 * FRESH_PART_S:
            return read_spent(self._store, budget, period.start_s, at_s)
        key = (budget.id, budget.updated_ns, budget.q, budget.per, period.start_s)
        with self._lock:
            known = self._remembered.get(key)
        if known is None or not known[1] <= at_s < known[1] + REMEMBERED_S:
            known = (split_s, at_s, read_spent(self._store, budget, period.start_s, split_s))
            with self._lock:
                self._remembered[key] = known
                self._remembered.move_to_end(key)
                while len(self._remembered) > MAX_REMEMBERED:
                    self._remembered.popitem(last=False)
        return added(known[2], read_spent(self._store, budget, known[0], at_s))


def read_spent(store: ColumnarStore, budget: Budget, from_s: int, to_s: int) -> ByValue:
    """Return what was spent on calls that began in ``[from_s, to_s)``, exactly; raise ``BadQuery``."""
    window = Window(max(to_ns(from_s), 0), max(to_ns(to_s), 0))
    found = spent_by_value(store, budget.project_id, CostQuery(window, budget.q), budget.per, MAX_VALUES)
    if budget.per:
        # What names no user (tag, key …) is nobody's.
        found.pop("", None)
    return found


def added(left: ByValue, right: ByValue) -> ByValue:
    """Return the sums of both by value."""
    total = dict(left)
    for value, spent in right.items():
        total[value] = total.get(value, NOTHING).plus(spent)
    return total
