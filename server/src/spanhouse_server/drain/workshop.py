"""Where ``transform`` runs: processes beside the server, or the caller's own thread.

The processes start with the first batch and are ended some time after the last, so an idle server is one process. They
are made anew when one dies (out of memory, say); the batch it held fails and is tried again request by request.
A backlog is worked off with a second one beside the first, which leaves some time after.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from spanhouse_server.drain import handover
from spanhouse_server.drain.rows_file import Block, RowsFile, WrittenRows
from spanhouse_server.drain.transform import Transformed, transform
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.ops.memory import give_memory_back, keep_memory
from spanhouse_server.spool.contract import SpoolEntry

#: Allocations between looks for garbage cycles, in the transform processes.
GC_THRESHOLD = 200_000

#: A second process costs half a second of computing to start, and its memory while it stays.
HELPER_STAYS_S = 30.0
#: It takes what is left of the cores: proxied calls and requests go first.
HELPER_NICE = 10

log = logging.getLogger("spanhouse.pipeline")


class Workshop:
    """Runs ``transform`` on batches. ``processes`` 0 runs it at once, in the calling thread."""

    def __init__(self, processes: int, folder: Path | None = None) -> None:
        """Hand large batches over in ``folder``, which is cleared here; without one, through a pipe."""
        self._processes = processes
        self._folder = folder
        if folder is not None:
            handover.clear(folder)
        self._pool: ProcessPoolExecutor | None = None
        self._helper: ProcessPoolExecutor | None = None
        self._hurried_s = 0.0
        self._turns = 0

    def hurry(self, wanted: bool) -> None:
        """Have a second process help where there is one and cores for two.

        It is let go, after what it has in hand, by the first call that does not want it ``HELPER_STAYS_S`` after
        the last that did.
        """
        now_s = time.monotonic()
        if wanted:
            self._hurried_s = now_s
            if self._helper is None and self._processes == 1 and (os.cpu_count() or 1) > 1:
                self._helper = _new_pool(1, HELPER_NICE)
        elif self._helper is not None and now_s - self._hurried_s >= HELPER_STAYS_S:
            self._helper.shutdown(wait=False)
            self._helper = None

    def begin(self) -> None:
        """Have the process start where none runs: a batch is about to come."""
        if self._pool is None and self._processes:
            self._pool = _new_pool(self._processes)
            self._pool.submit(os.getpid)

    def rest(self) -> None:
        """Have the processes give back what the last batches took: no more come for now."""
        for pool in (self._pool, self._helper):
            if pool is not None:
                # One that has just died is noticed by the next batch.
                with contextlib.suppress(BrokenProcessPool):
                    pool.submit(give_memory_back)

    def submit(
        self,
        entries: Sequence[SpoolEntry],
        retention_days: Mapping[str, int],
        settle_version: int,
        book: PriceBook = NO_PRICES,
    ) -> Future[Transformed]:
        """Return the future rows of these entries."""
        if self._processes == 0:
            return _done(entries, retention_days, settle_version, book)
        bodies = self._given([entry.body for entry in entries])
        bare = entries if bodies is None else [replace(entry, body=b"") for entry in entries]
        job = (self._folder, list(bare), bodies, dict(retention_days), settle_version, book)
        try:
            pending = self._next_pool().submit(_make, *job)
        except BrokenProcessPool:
            log.warning("a transform process died; starting a new one")
            self.close()
            pending = self._next_pool().submit(_make, *job)
        # A process that died may have left them.
        pending.add_done_callback(lambda _: handover.drop(bodies))
        return pending

    def _given(self, bodies: Sequence[bytes]) -> handover.Handed | None:
        """Put bodies into a file, or return nothing where they go with the job itself."""
        given = None if self._folder is None else handover.give(bodies, self._folder)
        return given if isinstance(given, handover.Handed) else None

    def result(self, pending: Future[Transformed]) -> Transformed:
        """Wait for rows that were submitted for. Raises what ``transform`` raised, or ``BrokenProcessPool``."""
        made = pending.result()
        if made.handed is not None:
            pieces = handover.take(made.handed)
            for trace in made.traces.values():
                trace.index_rows = next(pieces)
            made.handed = None
        # In a copy: what the future holds must not keep the files.
        files: dict[str, Block] = {
            table: RowsFile(rows) if isinstance(rows, WrittenRows) else rows for table, rows in made.blocks.items()
        }
        return replace(made, blocks=files)

    def discard(self, pending: Future[Transformed]) -> None:
        """Give up rows that were submitted for and are not wanted any more: their file must not stay."""
        pending.cancel()
        pending.add_done_callback(_drop)

    def close(self) -> None:
        """End the processes."""
        for pool in (self._pool, self._helper):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._helper = None

    def _next_pool(self) -> ProcessPoolExecutor:
        """Return whose turn it is: the results are wanted in order, so both get batches by turns."""
        if self._helper is not None:
            self._turns += 1
            if self._turns % 2:
                return self._helper
        if self._pool is None:
            self._pool = _new_pool(self._processes)
        return self._pool


def _new_pool(processes: int, niceness: int = 0) -> ProcessPoolExecutor:
    # spawn, not fork: the server has threads and an open database engine that a fork would copy.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_begin_process, initargs=(niceness,))


def _make(
    folder: Path | None,
    entries: Sequence[SpoolEntry],
    bodies: handover.Handed | None,
    retention_days: Mapping[str, int],
    settle_version: int,
    book: PriceBook,
) -> Transformed:
    whole: Iterable[SpoolEntry] = entries
    if bodies is not None:
        # Each body is read when its turn comes and is gone after it: they are never in memory together.
        whole = (replace(entry, body=body) for entry, body in zip(entries, handover.take(bodies), strict=True))
    made = transform(whole, retention_days, settle_version, book, folder)
    if folder is not None:
        traces = made.traces.values()
        made.handed = handover.give([trace.index_rows for trace in traces], folder)
        for trace in traces:
            trace.index_rows = b""
    return made


def _drop(done: Future[Transformed]) -> None:
    if not done.cancelled() and done.exception() is None:
        made = done.result()
        handover.drop(made.handed)
        for block in made.blocks.values():
            if isinstance(block, WrittenRows):
                block.remove()


def _begin_process(niceness: int) -> None:
    os.nice(niceness)
    # Ctrl-C reaches the whole process group; the server decides when its helpers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    # A batch makes hundreds of thousands of objects and no cycles; looking for cycles at Python's
    # usual pace costs a tenth of the time.
    keep_memory()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _end_with_parent() -> None:
    """End this process when the server was killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(0)


def _done(
    entries: Sequence[SpoolEntry], retention_days: Mapping[str, int], settle_version: int, book: PriceBook
) -> Future[Transformed]:
    future: Future[Transformed] = Future()
    try:
        future.set_result(transform(entries, retention_days, settle_version, book))
    except Exception as error:
        future.set_exception(error)
    return future
