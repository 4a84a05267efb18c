"""The durable queue between reading calls and sending their spans: bounded, in one SQLite file.

What is in it survives ``kill -9`` (and, but for the last moments, power loss: the journal is synced
when it is folded in, not at every commit; waiting for the disk would buy little for telemetry). Only its
owner may read the file: spans hold what people asked.

Two recorders may have it open for a moment, when one outlives its proxy and the next is there already:
both may put, and one at a time delivers.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from spanhouse_collector.proxy.journal import abandoned, journals_of

log = logging.getLogger("spanhouse.proxy")

#: What one delivery holds at most; a single larger row still goes.
MERGE_SPANS = 500
MERGE_BYTES = 4 * 1024 * 1024
_FILE_MODE = 0o600

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    spans INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""
_SIZE = "SELECT COALESCE(SUM(LENGTH(body)), 0), COUNT(*) FROM batches"
_COUNTS = "SELECT name, count FROM counts"


@dataclass(frozen=True, slots=True)
class Batch:
    """Some spans of one project as an OTLP ``ExportTraceServiceRequest`` in protobuf.

    ``rows`` are the queue's rows that are in it, oldest first.
    """

    rows: tuple[int, ...]
    project: str
    spans: int
    body: bytes

    @property
    def sequence(self) -> int:
        """Return what names this batch: its oldest row."""
        return self.rows[0]


class Queue:
    """Keeps batches in order until they are delivered. Thread-safe.

    ``max_bytes`` bounds the sum of bodies. A batch that finds no room is dropped and its spans are
    counted, durably, as ``dropped_queue_full``; what waits already is not pushed out, since it is what
    an outage has to be explained with.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._db = _open(path)
        self._lock_path = path.with_suffix(".lock")
        self._deliverer: int | None = None
        self._bytes = self._batches = 0
        self._version = -1
        with self._lock:
            self._recount()

    def put(self, batches: Iterable[tuple[str, int, bytes]]) -> None:
        """Keep (project, spans, body) batches, all in one commit."""
        with self._lock:
            self._recount()
            try:
                for project, spans, body in batches:
                    if self._bytes + len(body) > self._max_bytes:
                        self._count("dropped_queue_full", spans)
                        continue
                    self._db.execute(
                        "INSERT INTO batches (project, spans, body) VALUES (?, ?, ?)", (project, spans, body)
                    )
                    self._bytes += len(body)
                    self._batches += 1
                self._db.commit()
            finally:
                self._news.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is there or ``wake`` is called; tell whether there is something."""
        with self._lock:
            if not self._holds_any():
                self._news.wait(timeout_s)
            return self._holds_any()

    def take(self, max_rows: int = MERGE_SPANS) -> Batch | None:
        """Return the oldest rows of one project as one batch, ``None`` when empty; they stay until ``done``."""
        with self._lock:
            rows, project, spans = self._oldest(max_rows)
            if not rows:
                return None
            marks = ",".join("?" * len(rows))
            found = self._db.execute(f"SELECT body FROM batches WHERE sequence IN ({marks}) ORDER BY sequence", rows)  # noqa: S608 - marks only
            # Messages of protobuf that follow each other are one message, their lists joined.
            return Batch(tuple(rows), project, spans, b"".join(body for (body,) in found))

    def done(self, batch: Batch, counted_as: str) -> None:
        """Forget a batch; its spans count as ``sent`` or ``dropped_…``, once however often it was delivered."""
        with self._lock:
            self._recount()
            marks = ",".join("?" * len(batch.rows))
            gone = self._db.execute(
                f"SELECT COUNT(*), COALESCE(SUM(spans), 0), COALESCE(SUM(LENGTH(body)), 0) "  # noqa: S608 - marks only
                f"FROM batches WHERE sequence IN ({marks})",
                batch.rows,
            ).fetchone()
            self._db.execute(f"DELETE FROM batches WHERE sequence IN ({marks})", batch.rows)  # noqa: S608 - marks only
            self._count(counted_as, gone[1])
            self._db.commit()
            self._batches -= gone[0]
            self._bytes -= gone[2]

    def may_deliver(self) -> bool:
        """Tell whether this process is the one that delivers; it stays so until ``close``."""
        if self._deliverer is None:
            try:
                descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
            except OSError:
                return True  # the queue is in memory, nobody else has it
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._deliverer = descriptor
        return True

    def stats(self) -> dict[str, int]:
        """Return ``queue_bytes``, ``queue_batches`` and the durable counts of spans by fate."""
        with self._lock:
            self._recount()
            counts = dict(self._db.execute(_COUNTS))
        return {"queue_bytes": self._bytes, "queue_batches": self._batches, **counts}

    def wake(self) -> None:
        """Let ``wait`` return at once."""
        with self._lock:
            self._news.notify_all()

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()
            if self._deliverer is not None:
                os.close(self._deliverer)
                self._deliverer = None

    def _holds_any(self) -> bool:
        return self._db.execute("SELECT 1 FROM batches LIMIT 1").fetchone() is not None

    def _oldest(self, max_rows: int) -> tuple[list[int], str, int]:
        """Return the rows of the next batch, their project and how many spans they hold."""
        rows: list[int] = []
        project, spans, size = "", 0, 0
        found = self._db.execute(
            "SELECT sequence, project, spans, LENGTH(body) FROM batches ORDER BY sequence LIMIT ?", (max_rows,)
        )
        for sequence, its_project, its_spans, its_size in found.fetchall():
            if rows and its_project != project:
                continue
            if rows and (spans + its_spans > MERGE_SPANS or size + its_size > MERGE_BYTES):
                break
            rows.append(sequence)
            project, spans, size = its_project, spans + its_spans, size + its_size
        return rows, project, spans

    def _recount(self) -> None:
        """Count again what waits, if another process changed it."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._bytes, self._batches = self._db.execute(_SIZE).fetchone()

    def _count(self, name: str, count: int) -> None:
        if count:
            self._db.execute(
                "INSERT INTO counts (name, count) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
                (name, count),
            )


def peek(path: Path) -> dict[str, int]:
    """Return what ``Queue.stats`` would of a file that is not open here; nothing of one that cannot be read.

    Journals that a recorder left count as a batch each.
    """
    unread = len(abandoned(journals_of(path)))
    if not path.exists():
        return {"queue_bytes": 0, "queue_batches": unread}
    try:
        with closing(sqlite3.connect(path, timeout=0.2)) as connection:
            size, batches = connection.execute(_SIZE).fetchone()
            return {"queue_bytes": size, "queue_batches": batches + unread, **dict(connection.execute(_COUNTS))}
    except (sqlite3.Error, OSError):
        return {}


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or an in-memory queue where there can be none; a damaged file is set aside."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _connect_file(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            return _in_memory(path, error)
        log.error("the queue %s is damaged; it is set aside and a new one begun", path.name)
        with suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return _open_again(path)
    except OSError as error:
        return _in_memory(path, error)


def _open_again(path: Path) -> sqlite3.Connection:
    try:
        return _connect_file(path)
    except (sqlite3.Error, OSError) as error:
        return _in_memory(path, error)


def _in_memory(path: Path, error: Exception) -> sqlite3.Connection:
    log.error("the queue %s cannot be used (%s); records wait in memory only", path, error)
    return _connect(":memory:")


def _connect_file(path: Path) -> sqlite3.Connection:
    # Made here, since SQLite would let everybody read it; its journal gets the same mode.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)
    return _connect(str(path))


def _connect(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
