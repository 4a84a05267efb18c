"""One look of a worker: what settled since the last one, then a piece of the past, then backfills."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, now_ns
from spanhouse_server.derive.contract import Lease, Marking, Tick, TimeWindow, Worker
from spanhouse_server.derive.holder import Holder
from spanhouse_server.derive.status import Status
from spanhouse_server.derive.windows import SLOT_NS, Settled, Step, changed, settled_since, stretch_before, together
from spanhouse_server.errors import LeaseLost, SpanhouseError, Unavailable
from spanhouse_server.model.leases import OPEN_BACKFILLS, Backfill, LeaseState
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

log = logging.getLogger("spanhouse.derive")

#: Rows may appear this much after the stamp they settled under: a batch on its way, or another server's clock.
OVERLAP_NS = 300 * NS_PER_S
#: Windows that fail before a look is given up; the others of the same look are still derived.
MAX_FAILURES = 10
#: Prints remembered; beyond, some windows are derived again for nothing.
MAX_SEEN = 1_000_000


class Stopped(Exception):  # noqa: N818 - not an error
    """The server stops; what is left is done after the next start."""


class WorkerPass:
    """Drives one worker. Used by one thread; ``due`` tells whether to go on at once."""

    def __init__(
        self,
        worker: Worker,
        store: ColumnarStore,
        records: RecordsStore,
        holder: Holder,
        status: Status,
        stopping: threading.Event,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self._worker = worker
        self._store = store
        self._records = records
        self._holder = holder
        self._status = status
        self._stopping = stopping
        self._clock_ns = clock_ns
        self._state: LeaseState | None = None
        self._seen: dict[tuple[int, Step], tuple[int, int, int]] = {}

    def step(self) -> bool:
        """Do one look; return whether more is waiting. Raises what the worker raises, and ``LeaseLost``."""
        if self._state is None or not self._holder.still_held():
            self._seen.clear()
            self._state = self._holder.acquire(self._clock_ns(), MAX_TIME_NS if self._worker.past else 0)
            if self._state is None:
                self._status.stands_by()
                return False
        try:
            self._follow(self._state)
            return self._catch_up() | self._backfill()
        except LeaseLost:
            self._state = None
            self._holder.lose()
            raise

    def _follow(self, state: LeaseState) -> None:
        """Derive what settled since the last look and move the cursor behind it."""
        begun_ns = self._clock_ns()
        lease = self._holder.next()
        # A clock set back makes stamps that lie before the cursor.
        since_ns = min(state.position_ns, begun_ns) - OVERLAP_NS
        failures: list[Exception] = []
        for page in settled_since(self._store, since_ns, self._worker.window_s):
            lease = self._derive_page(page, failures) or lease
        if failures:
            raise failures[0]
        self._moved(lease, begun_ns, state.covered_ns)
        oldest = (begun_ns - OVERLAP_NS) // SLOT_NS
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] >= oldest}

    def _derive_page(self, page: Iterable[Settled], failures: list[Exception]) -> Lease | None:
        due = changed(page, self._seen)
        width_ns = self._worker.window_s * NS_PER_S
        by_step: dict[Step, list[Settled]] = {}
        for each in due:
            by_step.setdefault(each.step, []).append(each)
        lease = None
        for window in together(by_step, self._worker.window_s):
            try:
                lease = self._derive(window)
            except (LeaseLost, Unavailable, Stopped):
                raise
            except Exception as error:
                failures.append(error)
                log.warning("%s cannot derive %s: %s", self._worker.name, window, error)
                if len(failures) >= MAX_FAILURES:
                    raise
                continue
            if len(self._seen) > MAX_SEEN:
                self._seen.clear()
            for number in range(window.from_ns // width_ns, window.to_ns // width_ns):
                step = Step(window.project_id, number)
                self._seen |= {(each.slot, step): each.print for each in by_step.get(step, ())}
        return lease

    def _derive(self, window: TimeWindow) -> Lease:
        if self._stopping.is_set():
            raise Stopped
        lease = self._holder.next()
        self._status.made(self._worker.derive(window, lease))
        return lease

    def _moved(self, lease: Lease, position_ns: int, covered_ns: int) -> None:
        if not lease.still_held():
            raise LeaseLost(f"the lease of {self._worker.name} ran out", "nothing to do: it is taken again")
        if isinstance(self._worker, Marking):
            self._worker.mark(position_ns, covered_ns, lease)
        self._records.move_cursor(self._worker.name, lease.fence, position_ns, covered_ns)
        assert self._state is not None, "only a holder moves the cursor"
        self._state = replace(self._state, position_ns=position_ns, covered_ns=covered_ns)

    def _catch_up(self) -> bool:
        """Derive the newest stretch of the past that is not covered; return whether there may be more."""
        assert self._state is not None, "only a holder catches up"
        if not self._worker.past or not self._state.covered_ns:
            return False
        stretch = stretch_before(self._store, "", 0, self._state.covered_ns, self._worker.window_s)
        lease = self._holder.next()
        for window in stretch.windows if stretch else ():
            lease = self._derive(window)
        self._moved(lease, self._state.position_ns, stretch.from_ns if stretch else 0)
        return bool(stretch and stretch.from_ns)

    def _backfill(self) -> bool:
        """Derive a stretch of the oldest backfill that waits; return whether there may be more."""
        waiting = self._records.backfills(self._worker.name, OPEN_BACKFILLS)
        if not waiting:
            return False
        backfill = waiting[0]
        try:
            made, lease = self._stretch_of(backfill)
        except (LeaseLost, Unavailable, Stopped):
            raise
        except Exception as error:
            reason = error.message if isinstance(error, SpanhouseError) else f"{type(error).__name__}: {error}"
            made, lease = replace(backfill, state="failed", error=reason), self._holder.next()
            log.warning("a backfill of %s failed: %s", self._worker.name, reason)
        self._records.move_backfill(made, lease.fence)
        return True

    def _stretch_of(self, backfill: Backfill) -> tuple[Backfill, Lease]:
        stretch = stretch_before(
            self._store, backfill.project_id, backfill.from_ns, backfill.position_ns, self._worker.window_s
        )
        lease = self._holder.next()
        if stretch is None:
            return replace(backfill, state="done", position_ns=backfill.from_ns), lease
        rows = 0
        for window in stretch.windows:
            if self._stopping.is_set():
                raise Stopped
            lease = self._holder.next()
            rows += self._worker.derive(window, lease)
        self._status.made(rows)
        return (
            replace(
                backfill,
                state="running",
                position_ns=stretch.from_ns,
                windows=backfill.windows + len(stretch.windows),
                rows=backfill.rows + rows,
            ),
            lease,
        )


class TickPass:
    """Drives one tick. Used by one thread."""

    def __init__(
        self, tick: Tick, records: RecordsStore, holder: Holder, status: Status, clock_ns: Callable[[], int] = now_ns
    ) -> None:
        self._tick = tick
        self._records = records
        self._holder = holder
        self._status = status
        self._clock_ns = clock_ns

    def step(self) -> bool:
        """Run the tick if this process holds its lease; nothing more waits then."""
        begun_ns = self._clock_ns()
        if not self._holder.still_held() and self._holder.acquire(begun_ns, 0) is None:
            self._status.stands_by()
            return False
        try:
            lease = self._holder.next()
            self._tick.run(begun_ns, lease)
            self._records.move_cursor(self._tick.name, lease.fence, begun_ns, 0)
        except LeaseLost:
            self._holder.lose()
            raise
        return False
