"""The durable queue between reading calls and sending their spans: bounded, in one SQLite file.

What is in it survives ``kill -9`` (and, but for the last moments, power loss: the journal is synced
when it is folded in, not at every commit; waiting for the disk would buy little for telemetry).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("spanhouse.proxy")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    spans INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some spans of one project as an OTLP ``ExportTraceServiceRequest`` in protobuf."""

    sequence: int
    project: str
    spans: int
    body: bytes


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
        row = self._db.execute("SELECT COALESCE(SUM(LENGTH(body)), 0), COUNT(*) FROM batches").fetchone()
        self._bytes, self._batches = int(row[0]), int(row[1])

    def put(self, batches: Iterable[tuple[str, int, bytes]]) -> None:
        """Keep (project, spans, body) batches, all in one commit."""
        with self._lock:
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

    def take(self, timeout_s: float) -> Batch | None:
        """Return the oldest batch, waiting for one; it stays until ``done``."""
        with self._lock:
            row = self._oldest()
            if row is None:
                self._news.wait(timeout_s)
                row = self._oldest()
        return Batch(*row) if row is not None else None

    def done(self, batch: Batch, counted_as: str) -> None:
        """Forget a batch; its spans count as ``sent`` or ``dropped_…``."""
        with self._lock:
            self._db.execute("DELETE FROM batches WHERE sequence = ?", (batch.sequence,))
            self._count(counted_as, batch.spans)
            self._db.commit()
            self._bytes -= len(batch.body)
            self._batches -= 1

    def stats(self) -> dict[str, int]:
        """Return ``queue_bytes``, ``queue_batches`` and the durable counts of spans by fate."""
        with self._lock:
            counts = dict(self._db.execute("SELECT name, count FROM counts"))
        return {"queue_bytes": self._bytes, "queue_batches": self._batches, **counts}

    def wake(self) -> None:
        """Let ``take`` return at once."""
        with self._lock:
            self._news.notify_all()

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._db.close()

    def _oldest(self) -> tuple[int, str, int, bytes] | None:
        row = self._db.execute("SELECT sequence, project, spans, body FROM batches ORDER BY sequence LIMIT 1")
        found: tuple[int, str, int, bytes] | None = row.fetchone()
        return found

    def _count(self, name: str, count: int) -> None:
        self._db.execute(
            "INSERT INTO counts (name, count) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            (name, count),
        )


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or an in-memory queue where there can be none; a damaged file is set aside."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _connect(str(path))
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
        return _connect(str(path))
    except sqlite3.Error as error:
        return _in_memory(path, error)


def _in_memory(path: Path, error: Exception) -> sqlite3.Connection:
    log.error("the queue %s cannot be used (%s); records wait in memory only", path, error)
    return _connect(":memory:")


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
