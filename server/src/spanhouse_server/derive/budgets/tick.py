"""Notes, once, when a budget reaches a threshold: a ``Tick`` of the runner.

What it notes is history (``GET /budgets/{id}`` lists it); telling people is the alert engine's, whose rules of type
``budget`` look at the same figures.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.budgets.spending import Spending
from spanhouse_server.derive.budgets.state import BudgetState, budget_states
from spanhouse_server.derive.contract import Lease
from spanhouse_server.errors import SpanhouseError
from spanhouse_server.model.budgets import Budget, Crossing
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

log = logging.getLogger("spanhouse.derive")

#: Values of one budget whose crossings are noted, the most used.
MAX_VALUES = 1000
#: Crossings remembered as noted.
MAX_NOTED = 100_000


class BudgetTick:
    """Looks at every budget that is enabled. A budget that cannot be read is logged and holds up no other."""

    name = "budgets"

    def __init__(self, store: ColumnarStore, records: RecordsStore, every_s: float = 30.0) -> None:
        self.every_s = every_s
        self._records = records
        self._spending = Spending(store)
        #: What this process has noted already; the records store knows for certain.
        self._noted: set[tuple[str, str, str, int]] = set()

    def run(self, now_ns: int, lease: Lease) -> None:
        """Note what was crossed by now. Raises ``SpanhouseError`` when no budget at all could be read."""
        at_s = now_ns // NS_PER_S
        fault: SpanhouseError | None = None
        read = 0
        for budget in self._records.budgets():
            if not budget.enabled:
                continue
            if not lease.still_held():
                return
            try:
                states = budget_states(self._spending, budget, at_s, limit=MAX_VALUES)
                read += 1
            except SpanhouseError as error:
                log.warning("the budget %s of %s cannot be read: %s", budget.id, budget.project_id, error.message)
                fault = error
                continue
            self._note(budget, states, now_ns)
        if fault is not None and not read:
            raise fault

    def _note(self, budget: Budget, states: Sequence[BudgetState], now_ns: int) -> None:
        found = [
            Crossing(
                budget.id,
                budget.project_id,
                state.value,
                state.period.key,
                threshold,
                now_ns,
                state.spent.used_usd,
            )
            for state in states
            for threshold in state.reached
            if (budget.id, state.period.key, state.value, threshold) not in self._noted
        ]
        for crossing in self._records.record_crossings(found):
            log.info(
                "the budget %s of %s reached %d %% of its limit", budget.name, budget.project_id, crossing.threshold
            )
        if len(self._noted) > MAX_NOTED:
            self._noted.clear()
        self._noted.update((each.budget_id, each.period_key, each.value, each.threshold) for each in found)
