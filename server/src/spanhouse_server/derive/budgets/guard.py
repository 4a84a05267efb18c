"""Tells the proxy, at once and from memory, whether a caller's budget is used up.

The states are read in a thread of their own while calls ask: never more often than ``refresh_s``, and not at all when
nobody asks. What was spent since the last reading is not known yet, so a budget overshoots by what calls in flight
cost and by what was answered within the last seconds (``refresh_s``, and the second or two in which spans are stored).
When the stores are away the last states hold; with none at all nobody is refused.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.budgets.callers import Caller, can_enforce, fits, values_of
from spanhouse_server.derive.budgets.periods import Period, period_at
from spanhouse_server.derive.budgets.spending import Spending
from spanhouse_server.errors import SpanhouseError
from spanhouse_server.model.budgets import Budget
from spanhouse_server.query.cost.by_value import ByValue
from spanhouse_server.query.filter import Node, parse_filter
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

log = logging.getLogger("spanhouse.derive")

REFRESH_S = 3.0


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A budget that is used up for a caller. ``until_s`` (unix s) is when it begins anew, ``None`` if it rolls."""

    name: str
    value: str
    limit_usd: Decimal
    used_usd: Decimal
    until_s: int | None


@dataclass(frozen=True, slots=True)
class Closed:
    """An enforced budget that is used up, with what was spent (USD) by each value of its ``per`` that is at the limit.

    ``node`` is its filter as parsed. ``until_s`` (unix s) is when it begins anew, ``None`` if it rolls.
    """

    budget: Budget
    node: Node | None
    spent_usd: Mapping[str, Decimal]
    until_s: int | None


@dataclass(frozen=True, slots=True)
class _Enforced:
    budget: Budget
    node: Node | None
    period: Period
    spent: ByValue


@dataclass(slots=True)
class _Known:
    by_project: Mapping[str, Sequence[_Enforced]] = field(default_factory=dict)
    read_s: float = float("-inf")


class BudgetGuard:
    """Answers about enforced budgets. Thread-safe; asking never waits for a store."""

    def __init__(
        self,
        store: ColumnarStore,
        records: RecordsStore,
        *,
        refresh_s: float = REFRESH_S,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._spending = Spending(store, unpriced=False)
        self._refresh_s = refresh_s
        self._now_ns = now_ns
        self._monotonic_s = monotonic_s
        self._known = _Known()
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._reading = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the states once and begin to keep them fresh."""
        self._refresh_quietly()
        self._thread = threading.Thread(target=self._run, name="budget-guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def watches(self, project_id: str) -> bool:
        """Tell whether any budget of a project is enforced; asks for fresh states."""
        known = self._known
        if self._monotonic_s() - known.read_s >= self._refresh_s:
            self._asked.set()
        return project_id in known.by_project

    def used_up(self, caller: Caller) -> UsedUp | None:
        """Return a budget that is used up for a caller, nothing when none is."""
        at_s = self._now_ns() // NS_PER_S
        for each in self._known.by_project.get(caller.project_id, ()):
            if each.budget.period != "rolling" and at_s >= each.period.end_s:
                # A new period has begun, and nothing is known of it yet.
                continue
            if not fits(each.node, caller):
                continue
            for value in values_of(each.budget, caller):
                spent = each.spent.get(value)
                if spent is None or spent.used_usd < each.budget.limit_usd:
                    continue
                until_s = None if each.budget.period == "rolling" else each.period.end_s
                return UsedUp(each.budget.name, value, each.budget.limit_usd, spent.used_usd, until_s)
        return None

    def closed(self, project_id: str) -> list[Closed]:
        """Return the enforced budgets of a project that are used up, as of the last ``refresh_s`` seconds.

        Unlike the others it reads what is too old: whoever polls asks too seldom to be answered from memory. Who asks
        while another's question is being read gets what was known before, so that a slow store holds up one caller
        and no more. When the stores are away the last states hold.
        """
        if self._monotonic_s() - self._known.read_s >= self._refresh_s and self._reading.acquire(blocking=False):
            try:
                self._refresh_quietly()
            finally:
                self._reading.release()
        at_s = self._now_ns() // NS_PER_S
        found = []
        for each in self._known.by_project.get(project_id, ()):
            rolls = each.budget.period == "rolling"
            if not rolls and at_s >= each.period.end_s:
                continue
            spent_usd = {
                value: spent.used_usd for value, spent in each.spent.items() if spent.used_usd >= each.budget.limit_usd
            }
            if spent_usd:
                found.append(Closed(each.budget, each.node, spent_usd, None if rolls else each.period.end_s))
        return found

    def refresh(self) -> None:
        """Read the budgets and their states now; raise ``SpanhouseError``."""
        at_s = self._now_ns() // NS_PER_S
        by_project: dict[str, list[_Enforced]] = {}
        fault: SpanhouseError | None = None
        for budget in self._records.budgets():
            if not (budget.enabled and budget.enforce and can_enforce(budget)):
                continue
            try:
                period = period_at(budget, at_s)
                spent = self._spending.read(budget, period, at_s)
            except SpanhouseError as error:
                fault = error
                by_project.setdefault(budget.project_id, []).extend(self._before(budget))
                continue
            entry = _Enforced(budget, parse_filter(budget.q), period, spent)
            by_project.setdefault(budget.project_id, []).append(entry)
        self._known = _Known(by_project, self._monotonic_s())
        if fault is not None:
            raise fault

    def _before(self, budget: Budget) -> list[_Enforced]:
        known = self._known.by_project.get(budget.project_id, ())
        return [each for each in known if each.budget.id == budget.id]

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._asked.wait()
            self._asked.clear()
            if self._stopping.is_set():
                return
            self._refresh_quietly()
            self._stopping.wait(self._refresh_s)

    def _refresh_quietly(self) -> None:
        try:
            self.refresh()
        except SpanhouseError as error:
            log.warning("enforced budgets cannot be read, going by what was known: %s", error.message)
            self._known.read_s = self._monotonic_s()
        except Exception:
            # Whatever it is must not end the thread: budgets would silently never be enforced again.
            log.exception("enforced budgets cannot be read, going by what was known")
            self._known.read_s = self._monotonic_s()
