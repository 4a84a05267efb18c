"""The whole way of a span on one screen; read this first.

    receive ──> spool ──ack──┐            an acknowledged request is on disk
                             └─> claim -> transform -> insert -> join logs -> settle -> forget
                                           decode        spans     GenAI log     span_index
                                           normalise               events        traces
                                           price

Every step can be run again: rows are keyed by identity and version, and both come from the spool
entry. A crash anywhere repeats the batch and ends with the same rows; only then is it forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

from spanhouse_server.clock import MonotonicStamps, now_ns
from spanhouse_server.drain.counting import Counting
from spanhouse_server.drain.feedback import Placing
from spanhouse_server.drain.join import join_logs
from spanhouse_server.drain.known import KnownTraces
from spanhouse_server.drain.pace import Pace
from spanhouse_server.drain.pieces import assemble_spans
from spanhouse_server.drain.recent_calls import RecentCalls
from spanhouse_server.drain.settle import settle_traces
from spanhouse_server.drain.transform import PreparedTrace, Transformed
from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.errors import RowsRefused, SpanhouseError, Unavailable
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.memory import give_memory_back, let_code_go
from spanhouse_server.ops.metrics import Metrics, timed
from spanhouse_server.spool.contract import Spool, SpoolEntry
from spanhouse_server.store import bare
from spanhouse_server.store.blobs import keep_blobs
from spanhouse_server.store.contract import ColumnarStore, SpanKey, TraceKey

log = logging.getLogger("spanhouse.pipeline")

#: A batch is cut at this many requests or bytes of OTLP, whichever comes first.
BATCH_ENTRIES = 2000
BATCH_BYTES = 16 * 1024 * 1024
#: Batches being transformed while one is being stored; the second keeps the process busy meanwhile.
BATCHES_AHEAD = 2
#: A batch that waited longer for the one before it gets a new settle stamp: workers find by their stamps what came
#: since they looked, and look back five minutes (``derive.passes.OVERLAP_NS``).
STAMP_S = 60.0
#: How often in a row the process may die of the same entries before they are held to be the cause.
DEATHS_FORGIVEN = 2
#: A batch that is not full waits this long for more: few large inserts cost far less than many small.
LINGER_S = 0.3
#: After so many full batches in a row the drain is behind, and merging waits until it is not …
BEHIND_BATCHES = 3
#: … batches are larger, which leave fewer parts to be searched and merged (nobody waits for one of them) …
BEHIND_BYTES = 32 * 1024 * 1024
#: … and two processes transform them.
BEHIND_AHEAD = 3
#: After so long without a batch the memory of the last ones is given back; they would have to fetch it anew …
QUIET_S = 10.0
#: … and after so long the process that transforms ends, and what is remembered of the last calls is forgotten. Longer
#: than clocks differ (``drain.recent_calls``): the store need not be asked for the calls that come next.
IDLE_S = 120.0
#: Pause after the store or the disk refused, growing to the longest.
RETRY_S = (0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of a batch: its new, repeated and assembled spans, traces settled, and traces yet to be."""

    new_spans: int
    repeated_spans: int
    assembled_spans: int
    owed: set[TraceKey]
    settled: set[TraceKey]


Published = Callable[[Sequence[TraceKey]], None]


class Pipeline:
    """Drains the spool into the store, in one thread, in order."""

    def __init__(
        self,
        spool: Spool,
        store: ColumnarStore,
        workshop: Workshop,
        retention_days: Callable[[], Mapping[str, int]],
        metrics: Metrics,
        health: Health,
        published: Published = lambda traces: None,
        prices: Callable[[], PriceBook] = lambda: NO_PRICES,
    ) -> None:
        self._spool = spool
        self._store = store
        self._workshop = workshop
        self._retention_days = retention_days
        self._metrics = metrics
        self._health = health
        self._published = published
        self._prices = prices
        self._writing = threading.Lock()
        self._stamps = MonotonicStamps()
        owed = spool.owed()
        self._pace = Pace(owed)
        self._known = KnownTraces(store, owed)
        self._recent = RecentCalls(store)
        self._placing = Placing(store)
        self._counting = Counting(spool)
        self._drained_ns, self._drained_s = now_ns(), time.monotonic()
        self._rested = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spanhouse-drain", daemon=True)

    def start(self) -> None:
        """Start draining."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop after the batch in hand; what is left stays in the spool for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @contextmanager
    def between_batches(self) -> Iterator[int]:
        """Keep the drain from writing while the block runs; give a settle stamp (ns) newer than all before.

        What reads stored spans and writes them again must not be crossed by a batch that does the same.
        """
        with self._writing:
            yield self._stamps.next_ns()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                if self._spool.wait(timeout_s=0.5):
                    self._drain()
                    self._drained_ns, self._drained_s, self._rested = now_ns(), time.monotonic(), 0
                self._workshop.hurry(False)
                self._rest()
                self._settle_owed()
                self._health.report("drain", True)
                failures = 0
                continue
            except Unavailable as error:
                log.warning("cannot store spans now, the spool keeps them: %s", error.message)
                self._health.report("drain", False, error.message)
            except Exception as error:
                log.exception("draining failed; trying again")
                self._health.report("drain", False, f"{type(error).__name__}: {error}")
            self._stopping.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    def _rest(self) -> None:
        """Give memory back when it has been quiet for a while, and more when for long; once each."""
        quiet_s = time.monotonic() - self._drained_s
        if self._rested == 0 and quiet_s >= QUIET_S:
            self._workshop.rest()
        elif self._rested == 1 and quiet_s >= IDLE_S:
            self._workshop.close()
            self._recent.forget(self._drained_ns)
            let_code_go()
        else:
            return
        self._rested += 1
        give_memory_back()

    def _drain(self) -> None:
        """Drain until nothing waits; the batches after the one being stored are transformed meanwhile."""
        ahead: deque[tuple[float, list[SpoolEntry], Future[Transformed]]] = deque()
        last = full_in_a_row = 0
        try:
            while not self._stopping.is_set():
                behind = full_in_a_row >= BEHIND_BATCHES
                self._workshop.hurry(behind)
                most_ahead, most_bytes = (BEHIND_AHEAD, BEHIND_BYTES) if behind else (BATCHES_AHEAD, BATCH_BYTES)
                while len(ahead) < most_ahead and (entries := self._claim(last, most_bytes, patient=not ahead)):
                    last = entries[-1].sequence
                    ahead.append((time.monotonic(), entries, self._submit(entries)))
                if not ahead:
                    return
                stamped_s, entries, pending = ahead.popleft()
                if time.monotonic() - stamped_s > STAMP_S:
                    self._workshop.discard(pending)
                    pending = self._submit(entries)
                full_in_a_row = full_in_a_row + 1 if _is_full(entries) else 0
                self._store.put_off_merges(full_in_a_row >= BEHIND_BATCHES)
                self._store_batch(entries, self._mended(entries, pending))
                self._health.report("drain", True)
        finally:
            self._store.put_off_merges(False)
            # The store refused, or the server stops: what was prepared will be prepared again.
            for _, _, pending in ahead:
                self._workshop.discard(pending)

    def _submit(self, entries: Sequence[SpoolEntry]) -> Future[Transformed]:
        book = self._prices().only(entry.project_id for entry in entries)
        return self._workshop.submit(entries, self._retention_days(), self._stamps.next_ns(), book)

    def _claim(self, after: int, most_bytes: int, patient: bool) -> list[SpoolEntry]:
        """Return the next batch; when ``patient``, wait a moment for one that is not full to fill up."""
        entries = self._spool.claim(BATCH_ENTRIES, most_bytes, after)
        if _is_full(entries):
            return entries
        if not patient:
            return []
        self._workshop.begin()
        self._stopping.wait(LINGER_S)
        return self._spool.claim(BATCH_ENTRIES, most_bytes, after)

    def _mended(self, entries: Sequence[SpoolEntry], pending: Future[Transformed]) -> Transformed:
        """Return the batch's rows; when it cannot be read, set its unreadable entries aside."""
        try:
            return self._rows(entries, pending)
        except Exception as error:
            log.warning("a batch of %d requests could not be read (%s); trying each alone", len(entries), error)
        # Where not even nothing can be read, no entry is to blame.
        self._rows([], self._submit([]))
        good = []
        for entry in entries:
            try:
                self._rows([entry], self._submit([entry]))
                good.append(entry)
            except Exception as error:
                reason = error.message if isinstance(error, SpanhouseError) else f"{type(error).__name__}: {error}"
                log.error("request %d set aside: %s", entry.sequence, reason)
                self._spool.set_aside(entry, reason)
        return self._rows(good, self._submit(good))

    def _rows(self, entries: Sequence[SpoolEntry], pending: Future[Transformed]) -> Transformed:
        """Return the rows of entries. A process that died says nothing about what it held, unless all do."""
        for _ in range(DEATHS_FORGIVEN):
            try:
                return self._workshop.result(pending)
            except BrokenProcessPool:
                pending = self._submit(entries)
        return self._workshop.result(pending)

    def _store_batch(self, entries: Sequence[SpoolEntry], result: Transformed, whole: bool = True) -> None:
        """Store a batch, or as much of it as the store takes: entries with rows that it refuses are set aside.

        ``whole`` batches settle what is owed beside them, whose rows may be the ones refused.
        """
        try:
            self._store_entries(entries, result, self._pace.due() if whole else ())
        except RowsRefused as error:
            if len(entries) == 1 and not whole:
                log.error("request %d set aside: %s", entries[0].sequence, error.said)
                self._spool.set_aside(entries[0], error.said)
                return
            log.warning("a batch of %d requests was refused (%s); trying it in parts", len(entries), error.said)
            middle = (len(entries) + 1) // 2
            for part in filter(None, (entries[:middle], entries[middle:])):
                self._store_batch(part, self._mended(part, self._submit(part)), whole=False)

    def _store_entries(self, entries: Sequence[SpoolEntry], result: Transformed, due: Collection[TraceKey]) -> None:
        with timed(self._metrics.drain_batch_seconds.labels("store")), self._writing:
            inserted = self._insert(result, due)
        self._spool.ack(
            [entry.sequence for entry in entries],
            stored_spans=inserted.new_spans,
            duplicate_spans=inserted.repeated_spans + result.repeated_spans,
            assembled_spans=inserted.assembled_spans,
            owed=inserted.owed,
            paid=inserted.settled,
        )
        self._counting.acknowledged()
        self._published(list({*result.traces, *((project, trace) for project, trace, _ in result.pieces)}))

    def _insert(self, result: Transformed, due: Collection[TraceKey] = ()) -> Inserted:
        """Insert a batch and settle its traces, but for large ones that were settled a moment ago, and those ``due``."""
        seen = self._known.may_be_stored(result.traces)
        before = self._store.stored_versions(seen) if seen else {}
        repeated = self._counting.repeated(result.arrivals_of(before), before) if before else 0
        self._known.add(result.traces)
        keep_blobs(self._store, result.blobs)
        for table, block in result.blocks.items():
            if block:
                self._store.insert(table, block, bare.COLUMNS.get(table, ()))
        book = self._prices()
        assembled = assemble_spans(self._store, result.pieces, self._counting.repeated, book)
        self._known.add(assembled.traces)
        joined = join_logs(self._store, result.touched_spans(), book)
        self._placing.place(result.unplaced, result.traces, joined | assembled.traces)
        known = {(project, trace) for project, trace, _ in before}
        shared = self._recent.doubtful({key: trace.calls for key, trace in result.traces.items() if trace.calls})
        unsettled = known | joined | assembled.traces | shared | self._crossed(result, known)
        owed = self._pace.hold(unsettled)
        # New spans of a trace that rests are shown as they are; what the whole trace tells comes later.
        as_they_are = [trace for key, trace in result.traces.items() if key in owed and _all_new(key, trace, before)]
        self._insert_prepared([trace for key, trace in result.traces.items() if key not in unsettled], as_they_are)
        settled = self._settle((unsettled - owed).union(due))
        new_spans = sum(len(trace.versions) for trace in result.traces.values()) - repeated
        return Inserted(new_spans, repeated, assembled.new_spans, owed, settled)

    def _crossed(self, result: Transformed, known: Collection[TraceKey]) -> set[TraceKey]:
        """Return the new traces of which another server stored spans since this one looked.

        Of two servers that bring parts of one trace at the same time, the one that looks last sees both parts.
        """
        if self._store.exclusive:
            return set()
        found = self._store.stored_versions(result.traces.keys() - known)
        return {key[:2] for key, stored in found.items() if result.traces[key[:2]].versions.get(key[2]) != stored}

    def _settle(self, traces: set[TraceKey]) -> set[TraceKey]:
        if traces:
            begun_s = time.monotonic()
            sizes = settle_traces(self._store, traces, self._stamps.next_ns(), self._recent)
            self._pace.settled(sizes, time.monotonic() - begun_s)
        return traces

    def _settle_owed(self) -> None:
        """Settle the large traces whose rest is over, also when nothing comes in any more."""
        with self._writing:
            settled = self._settle(self._pace.due())
        if settled:
            self._spool.ack([], paid=settled)
            self._published(list(settled))

    def _insert_prepared(self, whole: Collection[PreparedTrace], spans_only: Collection[PreparedTrace]) -> None:
        if whole or spans_only:
            index_rows = b"\n".join(trace.index_rows for trace in (*whole, *spans_only))
            self._store.insert("span_index", index_rows, bare.COLUMNS["span_index"])
        if whole:
            self._store.insert("traces", b"\n".join(trace.trace_row for trace in whole))


def _is_full(entries: Sequence[SpoolEntry]) -> bool:
    return len(entries) == BATCH_ENTRIES or sum(len(entry.body) for entry in entries) > BATCH_BYTES // 2


def _all_new(key: TraceKey, trace: PreparedTrace, before: Mapping[SpanKey, int]) -> bool:
    """Tell whether none of the trace's spans in this batch was stored before: none can have moved in time."""
    return not any((*key, span) in before for span in trace.versions)
