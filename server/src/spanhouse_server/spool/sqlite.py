"""The spool on SQLite: see ``contract.Spool`` for what it promises."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import zstandard

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.errors import DiskFull, SpoolFull, Unavailable
from spanhouse_server.spool.contract import SIGNALS, Owed, Repeat, SetAside, SpoolEntry, SpoolStats
from spanhouse_server.spool.database import Row, SpoolDatabase
from spanhouse_server.spool.free_space import FreeSpace
from spanhouse_server.spool.ledger import Delta, counts_of_stored
from spanhouse_server.spool.writer import DISK_RETRY_S, FULL_RETRY_S, Append, Call, SpoolWriter, spool_full_of_bytes

logger = logging.getLogger(__name__)

#: Bodies in memory, not yet committed, above which senders must slow down: the disk is too slow.
_PENDING_MAX_BYTES = 128 * 1024 * 1024
_PENDING_RETRY_S = 2
_REASON_CHARACTERS = 2000


class SqliteSpool:
    """A durable queue in one SQLite file (write-ahead log, one writer thread, group commit).

    ``max_bytes`` bounds the compressed bodies that wait, ``max_age_s`` the time the oldest has
    waited, ``min_free_bytes`` is left free on the disk. ``fsync`` is ``always`` (an acknowledged
    request survives power loss) or ``off`` (it survives a crash of the process).

    ``received_ns`` strictly increases with ``sequence``, across restarts too, with one exception:
    a replayed entry gets a new sequence but keeps its stamp, so that the old version of a span in
    it does not replace a newer one that came meanwhile.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_age_s: float, min_free_bytes: int, fsync: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._min_free_bytes = min_free_bytes
        self._free_space = FreeSpace(path.parent)
        self._writer = SpoolWriter(path, fsync, max_bytes)
        self._decompressor = zstandard.ZstdDecompressor()

    async def append(
        self,
        project_id: str,
        signal: str,
        body: bytes,
        *,
        records: int,
        rejected: Mapping[str, int] | None = None,
    ) -> int:
        """Make a request durable and return its sequence; many callers share one commit.

        ``records`` and ``rejected`` go to the durable counters in the same commit. Raises
        ``SpoolFull`` or ``DiskFull``: then nothing was kept and the sender must retry.
        """
        if signal not in SIGNALS:
            raise ValueError(f"unknown signal {signal!r}")
        self._admit(len(body))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._writer.submit(Append(project_id, signal, body, records, rejected or {}, loop, future))
        return await future

    def count_rejected(self, rejected: Mapping[str, int]) -> None:
        """Count refusals of a request that left nothing to store. May be delayed, never raises."""
        counts = dict(rejected)
        with suppress(Unavailable):  # closed meanwhile
            self._writer.submit(Call(lambda _, delta: delta.count_rejected(counts)))

    def claim(self, max_entries: int, max_bytes: int, after: int = 0) -> list[SpoolEntry]:
        """Return the oldest waiting entries behind ``after``, in order, at least one if any waits.

        ``max_bytes`` bounds the decompressed bodies. What was claimed and not acknowledged comes
        again. An entry that rotted on the disk is set aside here.
        """
        while True:
            rows: list[Row] = self._writer.call(
                lambda database, _: database.rows(max_entries, max_bytes, after), writes=False
            )
            entries = [entry for entry in map(self._entry, rows) if entry is not None]
            if entries or not rows:
                return entries

    def _entry(self, row: Row) -> SpoolEntry | None:
        sequence, project_id, signal, received_ns, size_bytes, body = row
        try:
            return SpoolEntry(sequence, project_id, signal, received_ns, self._decompressor.decompress(body))
        except zstandard.ZstdError as error:
            logger.error("request %d of %d bytes is damaged on the disk: %s", sequence, size_bytes, error)
            self._set_aside(sequence, f"damaged on the disk: {error}")
            return None

    def wait(self, timeout_s: float) -> bool:
        """Block until entries wait; tell whether any do."""
        writer = self._writer
        with writer.changed:
            return writer.changed.wait_for(lambda: writer.ledger.requests > 0, timeout_s)

    def ack(
        self,
        sequences: Sequence[int],
        *,
        stored_spans: int = 0,
        duplicate_spans: int = 0,
        assembled_spans: int = 0,
        owed: Collection[Owed] = (),
        paid: Collection[Owed] = (),
    ) -> None:
        """Forget stored entries and count them, in one commit.

        ``assembled_spans`` were made of log records: they count as received and stored now.
        ``owed`` are traces that are yet to be settled, ``paid`` those that no longer are. Raises
        ``DiskFull`` when not even that could be written; the entries then come again.
        """
        done = list(sequences)
        counts = counts_of_stored(stored_spans, duplicate_spans, assembled_spans)

        def forget(database: SpoolDatabase, delta: Delta) -> None:
            database.delete(delta, done)
            database.owe(owed, paid)
            if done:
                database.forget_repeats()
            delta.counters.update(counts)

        self._writer.call(forget)

    def note_repeats(self, repeats: Collection[Repeat]) -> None:
        """Make durable that the batch to be stored next brings these spans again; the next ``ack`` forgets it."""
        noted = list(repeats)
        self._writer.call(lambda database, _: database.note_repeats(noted))

    def repeats(self) -> list[Repeat]:
        """Return the spans noted for the batch that is not yet acknowledged."""
        noted: list[Repeat] = self._writer.call(lambda database, _: database.repeats(), writes=False)
        return noted

    def owed(self) -> list[Owed]:
        """Return the traces that are stored and yet to be settled."""
        traces: list[Owed] = self._writer.call(lambda database, _: database.owed(), writes=False)
        return traces

    def set_aside(self, entry: SpoolEntry, reason: str) -> None:
        """Move an entry that cannot be stored out of the way, keeping it with its reason."""
        self._set_aside(entry.sequence, reason)

    def _set_aside(self, sequence: int, reason: str) -> None:
        text = reason[:_REASON_CHARACTERS].encode(errors="replace").decode()  # may quote the body's broken text
        self._writer.call(lambda database, delta: database.set_aside(delta, sequence, text))

    def list_set_aside(self) -> list[SetAside]:
        """Return what was set aside, oldest first."""
        listed: list[SetAside] = self._writer.call(lambda database, _: database.list_set_aside(), writes=False)
        return listed

    def replay(self, sequences: Sequence[int] | None = None) -> int:
        """Put set-aside entries (all by default) back at the end; return how many."""
        chosen = [aside.sequence for aside in self.list_set_aside()] if sequences is None else sorted(set(sequences))
        replayed: int = self._writer.call(
            lambda database, delta: sum(database.replay(delta, sequence) for sequence in chosen)
        )
        return replayed

    def stats(self) -> SpoolStats:
        """Return how the spool stands; reads memory only."""
        ledger = self._writer.ledger
        counters = ledger.counters
        return SpoolStats(
            bytes=ledger.bytes,
            requests=ledger.requests,
            oldest_age_s=_age_s(ledger.oldest_queued_ns),
            set_aside=ledger.set_aside,
            received_spans=counters["received_spans"],
            stored_spans=counters["stored_spans"],
            duplicate_spans=counters["duplicate_spans"],
            received_logs=counters["received_logs"],
            received_metric_points=counters["received_metric_points"],
            rejected=ledger.rejected(),
        )

    @property
    def commits(self) -> int:
        """Return how many transactions were committed since the start; appends share them."""
        return self._writer.commits

    def close(self) -> None:
        """Commit what is pending and release the files."""
        self._writer.close()

    def _admit(self, size_bytes: int) -> None:
        writer = self._writer
        ledger = writer.ledger
        if ledger.bytes >= self._max_bytes:
            raise spool_full_of_bytes(ledger.bytes)
        if writer.pending_bytes and writer.pending_bytes + size_bytes > _PENDING_MAX_BYTES:
            raise SpoolFull(f"{writer.pending_bytes} bytes wait for the disk", "retry soon", _PENDING_RETRY_S)
        age_s = _age_s(ledger.oldest_queued_ns)
        if age_s > self._max_age_s:
            raise SpoolFull(
                f"the oldest request has waited {age_s:.0f} s to be stored",
                "retry later; the operator should look why the store does not take it",
                FULL_RETRY_S,
            )
        free_bytes = self._free_space.bytes()
        if free_bytes - size_bytes < self._min_free_bytes:
            raise DiskFull(
                f"only {free_bytes} bytes are free on the server's data disk",
                "make room on the disk, or lower SPANHOUSE_MIN_FREE_DISK_MB",
                DISK_RETRY_S,
            )
        self._free_space.spend(size_bytes)


def _age_s(queued_ns: int) -> float:
    return max(now_ns() - queued_ns, 0) / NS_PER_S if queued_ns else 0.0
