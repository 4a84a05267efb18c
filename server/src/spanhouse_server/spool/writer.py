"""The one thread that touches the spool file, and the group commit.

Whatever was asked for while the last commit was on its way to the disk goes into one next
transaction: many requests share one fsync. Nobody is answered before that transaction is durable.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from spanhouse_server.clock import MonotonicStamps
from spanhouse_server.errors import DiskFull, SpanhouseError, SpoolFull, Unavailable
from spanhouse_server.spool.database import SpoolDatabase
from spanhouse_server.spool.ledger import RECEIVED, Delta
from spanhouse_server.spool.recovery import is_damage, open_database, primary_code, rebuild

logger = logging.getLogger(__name__)

FULL_RETRY_S = 10
DISK_RETRY_S = 30
#: Bounds of one transaction, so that its commit stays short.
_BATCH_JOBS = 512
_BATCH_BYTES = 32 * 1024 * 1024
_IDLE_S = 1.0
_OUT_OF_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


@dataclass(slots=True)
class Append:
    """A body to make durable; its future belongs to an event loop."""

    project_id: str
    signal: str
    body: bytes
    records: int
    rejected: Mapping[str, int]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[int]
    outcome: int | BaseException = 0


@dataclass(slots=True)
class Call:
    """Any other work on the file; ``writes`` says whether it belongs into the transaction."""

    run: Callable[[SpoolDatabase, Delta], Any]
    writes: bool = True
    future: Future[Any] = field(default_factory=Future)
    outcome: Any = None


Job = Append | Call


class SpoolWriter:
    """Runs jobs on the spool file in order, and keeps the ledger in step with it."""

    def __init__(self, path: Path, fsync: str, max_bytes: int) -> None:
        self._path = path
        self._fsync = fsync
        self._max_bytes = max_bytes
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        self._database = open_database(path, fsync)
        self.ledger = self._database.load()
        self._stamps = MonotonicStamps(self.ledger.last_received_ns)
        self.changed = threading.Condition()
        #: Bytes of bodies that were submitted and are not yet committed.
        self.pending_bytes = 0
        #: Committed transactions since the start.
        self.commits = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; its future tells how it ended. Raises ``Unavailable`` after ``close``."""
        with self._lock:
            if self._stopped:
                raise Unavailable("the server is shutting down")
            if isinstance(job, Append):
                self.pending_bytes += len(job.body)
            self._jobs.put(job)

    def call(self, run: Callable[[SpoolDatabase, Delta], Any], *, writes: bool = True) -> Any:
        """Run something on the file, wait until it is durable and return its result."""
        job = Call(run, writes)
        self.submit(job)
        return job.future.result()

    def close(self) -> None:
        """Finish what was submitted and release the file."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        shrinking = False
        next_shrink_s = 0.0
        while True:
            batch, stop = self._next_batch(0.0 if shrinking else _IDLE_S)
            if batch:
                self._finish(batch)
            if stop:
                break
            if not batch or time.monotonic() > next_shrink_s:
                shrinking = self._shrink() and not batch
                next_shrink_s = time.monotonic() + _IDLE_S
        self._database.close()

    def _next_batch(self, timeout_s: float) -> tuple[list[Job], bool]:
        batch: list[Job] = []
        size_bytes = 0
        while len(batch) < _BATCH_JOBS and size_bytes < _BATCH_BYTES:
            try:
                job = self._jobs.get_nowait() if batch or not timeout_s else self._jobs.get(timeout=timeout_s)
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
            if isinstance(job, Append):
                size_bytes += len(job.body)
        return batch, False

    def _finish(self, batch: list[Job]) -> None:
        try:
            if self._database.closed:  # a rebuild failed, for want of room for instance
                self._reopened(open_database(self._path, self._fsync))
            self._do(batch)
        except Exception as error:  # a fault of ours must not leave callers waiting for ever
            logger.exception("the spool could not do %d jobs", len(batch))
            for job in batch:
                job.outcome = (
                    error if isinstance(error, SpanhouseError) else SpanhouseError(f"the spool failed: {error}")
                )
        with self._lock:
            self.pending_bytes -= sum(len(job.body) for job in batch if isinstance(job, Append))
        _deliver(batch)

    def _do(self, batch: list[Job]) -> None:
        appends = [job for job in batch if isinstance(job, Append)]
        changes = [job for job in batch if isinstance(job, Call) and job.writes]
        reads = [job for job in batch if isinstance(job, Call) and not job.writes]
        if appends or changes:
            self._commit(appends, changes)
        # Reads come after the commit: nothing may be handed on that could still be rolled back.
        for job in reads:
            self._read(job)

    def _commit(self, appends: list[Append], changes: list[Call]) -> None:
        try:
            self._transact(appends, changes)
        except sqlite3.Error as error:
            if is_damage(error):
                self._rebuild(error)
                self._transact(appends, changes)
                return
            _fail([*appends, *changes], error)
            # Acknowledgements make room: they are tried again without the bodies there was none for.
            if appends and changes:
                self._commit([], changes)

    def _transact(self, appends: list[Append], changes: list[Call]) -> None:
        oldest_ns = self.ledger.oldest_queued_ns
        with self._database.transaction() as delta:
            for append in appends:
                append.outcome = self._insert(delta, append)
            for change in changes:
                change.outcome = change.run(self._database, delta)
            if delta.removed or not oldest_ns:
                oldest_ns = self._database.oldest_queued_ns()
        self.commits += 1
        with self.changed:
            self.ledger.apply(delta)
            self.ledger.oldest_queued_ns = oldest_ns
            self.changed.notify_all()

    def _read(self, job: Call) -> None:
        try:
            job.outcome = job.run(self._database, Delta())
        except sqlite3.Error as error:
            if not is_damage(error):
                _fail([job], error)
                return
            self._rebuild(error)
            job.outcome = job.run(self._database, Delta())

    def _insert(self, delta: Delta, append: Append) -> int | BaseException:
        body = self._compressor.compress(append.body)
        waiting_bytes = self.ledger.bytes + delta.bytes
        # One body larger than the whole bound must get through when nothing waits.
        if waiting_bytes + len(body) > self._max_bytes and self.ledger.requests + delta.requests:
            return spool_full_of_bytes(waiting_bytes)
        delta.counters[RECEIVED[append.signal]] += append.records
        delta.count_rejected(append.rejected)
        stamp_ns = self._stamps.next_ns()
        return self._database.insert(delta, append.project_id, append.signal, stamp_ns, len(append.body), body)

    def _rebuild(self, error: sqlite3.Error) -> None:
        self._database.close()
        self._reopened(rebuild(self._path, self._fsync, str(error)))

    def _reopened(self, database: SpoolDatabase) -> None:
        self._database = database
        with self.changed:
            self.ledger = database.load()
            self.changed.notify_all()

    def _shrink(self) -> bool:
        try:
            return self._database.shrink()
        except sqlite3.Error as error:
            logger.warning("the spool file could not be made smaller: %s", error)
            return False


def spool_full_of_bytes(waiting_bytes: int) -> SpoolFull:
    """Return the answer to a sender when the bound in bytes is reached."""
    return SpoolFull(
        f"the spool is full: {waiting_bytes} bytes wait to be stored",
        "retry later; the operator can raise SPANHOUSE_SPOOL_MAX_MB",
        FULL_RETRY_S,
    )


def _fail(jobs: Sequence[Job], error: sqlite3.Error) -> None:
    logger.error("the spool cannot be written or read: %s", error)
    for job in jobs:
        if primary_code(error) in _OUT_OF_ROOM:
            why = f"the spool cannot be written: {error}"
            job.outcome = DiskFull(why, "make room on the server's data disk", DISK_RETRY_S)
        else:
            job.outcome = Unavailable(f"the spool does not answer: {error}", retry_after_s=FULL_RETRY_S)


def _deliver(batch: list[Job]) -> None:
    """Wake each event loop once, however many of its requests have been answered."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Append]] = defaultdict(list)
    for job in batch:
        if isinstance(job, Append):
            by_loop[job.loop].append(job)
        elif isinstance(job.outcome, BaseException):
            job.future.set_exception(job.outcome)
        else:
            job.future.set_result(job.outcome)
    for loop, appends in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, appends)
        except RuntimeError:  # the loop is closed: nobody waits there any more
            logger.debug("an event loop closed before %d requests were answered", len(appends))


def _resolve(appends: list[Append]) -> None:
    for append in appends:
        if append.future.done():  # the caller gave up; what it sent is kept all the same
            continue
        if isinstance(append.outcome, BaseException):
            append.future.set_exception(append.outcome)
        else:
            append.future.set_result(append.outcome)
