"""Runs background work: one thread per worker and tick, each under its own lease.

Several servers on one records store share the work: each worker runs in one of them, and another takes
over when that one falls silent. Nothing here is waited for by the ingest, and no worker waits for another.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from spanhouse_server.clock import now_ns
from spanhouse_server.derive.contract import Tick, Worker
from spanhouse_server.derive.holder import TTL_S, Holder
from spanhouse_server.derive.passes import Stopped, TickPass, WorkerPass
from spanhouse_server.derive.status import Status, WorkerState
from spanhouse_server.errors import ConfigError, LeaseLost, NotFound, SpanhouseError
from spanhouse_server.model.leases import Backfill, LeaseState
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.store.contract import ColumnarStore, RecordsStore

log = logging.getLogger("spanhouse.derive")

#: Pause after a failure, doubled with each further one, up to the longest.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
#: A server that stands by looks this often whether the other is still there.
STANDBY_S = 5.0
LONGEST_NAME = 100


@dataclass(slots=True)
class _Loop:
    name: str
    kind: Literal["worker", "tick"]
    every_s: float
    holder: Holder
    status: Status
    step: Callable[[], bool]
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Runner:
    """Starts and stops background work and tells how it goes. Thread-safe.

    ``instance`` names the data folder, which one process has open at a time; without one the process is its own.
    """

    def __init__(
        self,
        store: ColumnarStore,
        records: RecordsStore,
        metrics: Metrics | None = None,
        workers: Sequence[Worker] = (),
        ticks: Sequence[Tick] = (),
        instance: str = "",
        ttl_s: float = TTL_S,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        self._records = records
        self._clock_ns = clock_ns
        self._ttl_s = ttl_s
        self._stopping = threading.Event()
        self._loops: list[_Loop] = []
        self._backfilling = {worker.name for worker in workers}
        holder_id = f"{instance or secrets.token_hex(8)}/{secrets.token_hex(8)}"
        for worker in workers:
            holder, status = Holder(records, worker.name, holder_id, ttl_s), Status()
            step = WorkerPass(worker, store, records, holder, status, self._stopping, clock_ns).step
            self._add(_Loop(worker.name, "worker", worker.every_s, holder, status, step))
        for tick in ticks:
            holder, status = Holder(records, tick.name, holder_id, ttl_s), Status()
            step = TickPass(tick, records, holder, status, clock_ns).step
            self._add(_Loop(tick.name, "tick", tick.every_s, holder, status, step))
        self._heart = threading.Thread(target=self._beat, name="spanhouse-leases", daemon=True)
        if metrics is not None:
            metrics.watch_workers(self.states)

    def _add(self, loop: _Loop) -> None:
        if any(loop.name == each.name for each in self._loops):
            raise ConfigError(f"two workers are named {loop.name!r}")
        if not 0 < len(loop.name) <= LONGEST_NAME:
            raise ConfigError(f"a worker's name has 1 to {LONGEST_NAME} characters, not {len(loop.name)}")
        self._loops.append(loop)

    def start(self) -> None:
        """Start all threads."""
        for loop in self._loops:
            loop.thread = threading.Thread(target=self._run, args=(loop,), name=f"spanhouse-{loop.name}", daemon=True)
            loop.thread.start()
        self._heart.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the windows in hand; what is left is done after the next start, or by another server."""
        self._stopping.set()
        for loop in self._loops:
            loop.wake.set()
        deadline_s = time.monotonic() + timeout_s
        for loop in self._loops:
            if loop.thread is not None and loop.thread.is_alive():
                loop.thread.join(max(0.0, deadline_s - time.monotonic()))
            if loop.thread is None or not loop.thread.is_alive():
                loop.holder.release()
        if self._heart.is_alive():
            self._heart.join(timeout_s)

    def states(self) -> list[WorkerState]:
        """Return how each worker and tick goes."""
        try:
            leases = {each.name: each for each in self._records.leases()}
        except SpanhouseError:
            leases = {}
        return [self._state(loop, leases.get(loop.name)) for loop in self._loops]

    def add_backfill(self, worker: str, project_id: str, from_ns: int, to_ns: int) -> Backfill:
        """Ask a worker to derive a range of start times again. Raises ``NotFound``, ``BadRequest``."""
        if worker not in self._backfilling:
            known = ", ".join(sorted(self._backfilling)) or "none"
            raise NotFound(f"no worker {worker[:60]!r}", f"there is: {known}")
        if project_id and self._records.project(project_id) is None:
            raise NotFound(f"no project {project_id!r}", "leave the project out for all of them")
        made = self._records.add_backfill(worker, project_id, from_ns, to_ns)
        for loop in self._loops:
            loop.wake.set()
        return made

    def once(self, name: str) -> bool:
        """Do one look of a worker or tick in the calling thread; return whether more waits. For commands and tests."""
        return next(loop for loop in self._loops if loop.name == name).step()

    def _state(self, loop: _Loop, lease: LeaseState | None) -> WorkerState:
        status = loop.status
        known = lease is not None and (loop.kind == "worker" or lease.fence > 1)
        return WorkerState(
            name=loop.name,
            kind=loop.kind,
            state=status.state,
            every_s=loop.every_s,
            lag_s=max(self._clock_ns() - lease.position_ns, 0) / 1e9 if lease is not None and known else None,
            covered_ns=lease.covered_ns if lease else 0,
            runs=status.runs,
            rows=status.rows,
            rows_per_s=status.rows_per_s(),
            busy_s=status.busy_s,
            errors=status.errors,
            last_error=status.last_error,
            last_error_ns=status.last_error_ns,
            last_run_ns=status.last_run_ns,
        )

    def _run(self, loop: _Loop) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun_s = time.monotonic()
            loop.status.begun()
            try:
                more = loop.step()
            except Stopped:
                return
            except LeaseLost as error:
                log.info("%s", error.message)
                loop.status.stands_by()
                self._pause(loop, STANDBY_S)
                continue
            except Exception as error:
                failures += 1
                self._failed(loop, error, failures)
                self._pause(loop, min(FIRST_PAUSE_S * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S))
                continue
            failures = 0
            if loop.status.state == "standby" and not loop.holder.still_held():
                self._pause(loop, min(STANDBY_S, self._ttl_s / 3))
                continue
            loop.status.ran()
            if not more:
                self._pause(loop, loop.every_s - (time.monotonic() - begun_s))

    def _failed(self, loop: _Loop, error: Exception, failures: int) -> None:
        reason = error.message if isinstance(error, SpanhouseError) else f"{type(error).__name__}: {error}"
        loop.status.failed(reason)
        if isinstance(error, SpanhouseError):
            log.warning("%s failed (%d in a row), trying again: %s", loop.name, failures, reason)
        else:
            log.error("%s failed (%d in a row), trying again", loop.name, failures, exc_info=error)

    def _pause(self, loop: _Loop, seconds: float) -> None:
        """Wait, unless there is a backfill to do or the server stops."""
        if loop.wake.wait(max(seconds, 0.01)) and not self._stopping.is_set():
            loop.wake.clear()

    def _beat(self) -> None:
        while not self._stopping.wait(self._ttl_s / 3):
            for loop in self._loops:
                loop.holder.beat()
