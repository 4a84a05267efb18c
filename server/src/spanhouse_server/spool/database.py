"""The spool's SQLite file: statements only, used by one thread at a time.

Entries wait in ``entries`` until they are stored or ``set_aside``. AUTOINCREMENT never gives a
sequence twice, also after the queue ran empty. Bodies are zstd frames with a checksum.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spanhouse_server.clock import now_ns
from spanhouse_server.spool.contract import Owed, Repeat, SetAside
from spanhouse_server.spool.ledger import Delta, Ledger

SCHEMA_VERSION = 3
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id TEXT NOT NULL,
    signal TEXT NOT NULL,
    received_ns INTEGER NOT NULL,
    queued_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS set_aside (
    sequence INTEGER PRIMARY KEY,
    project_id TEXT NOT NULL,
    signal TEXT NOT NULL,
    received_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owed (
    project_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    PRIMARY KEY (project_id, trace_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repeats (
    project_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    span_id TEXT NOT NULL,
    PRIMARY KEY (project_id, trace_id, span_id)
) WITHOUT ROWID;
"""
_LAST_RECEIVED = "last_received_ns"
_PAGE_BYTES = 4096
#: Pages in the write-ahead log before it is folded into the main file (32 MiB).
_CHECKPOINT_PAGES = 8192
#: Free pages kept for reuse before the file is made smaller (32 MiB), and given back per step (8 MiB).
_KEEP_FREE_PAGES = 8192
_VACUUM_PAGES = 2048
#: Above this a full check at start would take too long; damage is then found when it is met.
_QUICK_CHECK_BYTES = 64 * 1024 * 1024

#: A waiting entry as stored: sequence, project, signal, received_ns, size_bytes, compressed body.
Row = tuple[int, str, str, int, int, bytes]


class SpoolDatabase:
    """One open spool file. Methods that write expect to be called within ``transaction``."""

    def __init__(self, path: Path, fsync: str) -> None:
        self.path = path
        self.closed = False
        self._connection = sqlite3.connect(path, timeout=2, isolation_level=None, check_same_thread=False)
        try:
            self._prepare("FULL" if fsync == "always" else "NORMAL")
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, synchronous: str) -> None:
        run = self._connection.execute
        # Exclusive: no second process can take entries away. Said first, so that the index of the log
        # is kept in memory and opening needs no room on a full disk.
        run("PRAGMA locking_mode=EXCLUSIVE")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise SchemaTooNewError(version)
        if not version:
            run(f"PRAGMA page_size={_PAGE_BYTES}")
            run("PRAGMA auto_vacuum=INCREMENTAL")
        run("PRAGMA journal_mode=WAL")
        run(f"PRAGMA synchronous={synchronous}")
        run("PRAGMA secure_delete=OFF")
        run(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        run(f"PRAGMA journal_size_limit={2 * _CHECKPOINT_PAGES * _PAGE_BYTES}")
        run("PRAGMA cache_size=-8192")
        if version < SCHEMA_VERSION:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        if self.path.stat().st_size > _QUICK_CHECK_BYTES:
            self.load()
            return
        found = run("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            damage = sqlite3.DatabaseError(found)
            damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damage

    def load(self) -> Ledger:
        """Return the state of the queue as committed."""
        run = self._connection.execute
        waiting, stored_bytes = run("SELECT count(*), coalesce(sum(stored_bytes), 0) FROM entries").fetchone()
        last_received = run("SELECT value FROM marks WHERE name = ?", (_LAST_RECEIVED,)).fetchone()
        return Ledger(
            bytes=stored_bytes,
            requests=waiting,
            set_aside=run("SELECT count(*) FROM set_aside").fetchone()[0],
            last_received_ns=last_received[0] if last_received else 0,
            oldest_queued_ns=self.oldest_queued_ns(),
            counters=Counter(dict(run("SELECT name, value FROM counters"))),
        )

    @contextmanager
    def transaction(self) -> Iterator[Delta]:
        """Commit what the block does together with its counters, or leave nothing of it."""
        delta = Delta()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield delta
            self._write_counters(delta)
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _write_counters(self, delta: Delta) -> None:
        run = self._connection.execute
        for name, value in delta.counters.items():
            run(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (name, value),
            )
        if delta.last_received_ns:
            run(
                "INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
                (_LAST_RECEIVED, delta.last_received_ns),
            )

    def insert(self, delta: Delta, project_id: str, signal: str, received_ns: int, size_bytes: int, body: bytes) -> int:
        """Queue a compressed body and return its sequence."""
        cursor = self._connection.execute(
            "INSERT INTO entries (project_id, signal, received_ns, queued_ns, size_bytes, stored_bytes, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (project_id, signal, received_ns, now_ns(), size_bytes, len(body), body),
        )
        delta.requests += 1
        delta.bytes += len(body)
        delta.last_received_ns = max(delta.last_received_ns, received_ns)
        sequence = cursor.lastrowid
        assert sequence is not None
        return sequence

    def rows(self, max_entries: int, max_bytes: int, after: int) -> list[Row]:
        """Return the oldest entries behind ``after`` within the bounds, at least one.

        ``max_bytes`` is compared with sizes before compression.
        """
        cursor = self._connection.execute(
            "SELECT sequence, project_id, signal, received_ns, size_bytes, body FROM entries"
            " WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, max(max_entries, 1)),
        )
        rows: list[Row] = []
        total_bytes = 0
        for row in cursor:
            total_bytes += row[4]
            if rows and total_bytes > max_bytes:
                break
            rows.append(row)
        cursor.close()
        return rows

    def delete(self, delta: Delta, sequences: Sequence[int]) -> None:
        """Forget waiting entries; those already gone are passed over."""
        for sequence in sequences:
            row = self._connection.execute(
                "DELETE FROM entries WHERE sequence = ? RETURNING stored_bytes", (sequence,)
            ).fetchone()
            if row:
                delta.requests -= 1
                delta.bytes -= row[0]
        delta.removed = True

    def owe(self, owed: Collection[Owed], paid: Collection[Owed]) -> None:
        """Note traces that are yet to be settled, and forget those that were."""
        self._connection.executemany("DELETE FROM owed WHERE project_id = ? AND trace_id = ?", paid)
        self._connection.executemany("INSERT OR IGNORE INTO owed VALUES (?, ?)", owed)

    def owed(self) -> list[Owed]:
        """Return the traces that are yet to be settled."""
        return [(project, trace) for project, trace in self._connection.execute("SELECT * FROM owed")]

    def note_repeats(self, repeats: Collection[Repeat]) -> None:
        """Note spans that the batch to be stored next brings again."""
        self._connection.executemany("INSERT OR IGNORE INTO repeats VALUES (?, ?, ?)", repeats)

    def repeats(self) -> list[Repeat]:
        """Return the spans noted."""
        return [(project, trace, span) for project, trace, span in self._connection.execute("SELECT * FROM repeats")]

    def forget_repeats(self) -> None:
        """Forget the spans noted: their batch is stored and counted."""
        self._connection.execute("DELETE FROM repeats")

    def set_aside(self, delta: Delta, sequence: int, reason: str) -> None:
        """Move a waiting entry out of the queue, keeping its body."""
        moved = self._connection.execute(
            "INSERT OR REPLACE INTO set_aside SELECT sequence, project_id, signal, received_ns, ?, size_bytes,"
            " stored_bytes, body FROM entries WHERE sequence = ?",
            (reason, sequence),
        ).rowcount
        if moved:
            delta.set_aside += 1
            self.delete(delta, [sequence])

    def list_set_aside(self) -> list[SetAside]:
        """Return what was set aside, oldest first."""
        return [
            SetAside(*row)
            for row in self._connection.execute(
                "SELECT sequence, project_id, signal, received_ns, reason, size_bytes FROM set_aside ORDER BY sequence"
            )
        ]

    def replay(self, delta: Delta, sequence: int) -> bool:
        """Queue a set-aside entry again, with a new sequence but the stamp it was received at."""
        row = self._connection.execute(
            "DELETE FROM set_aside WHERE sequence = ? RETURNING project_id, signal, received_ns, size_bytes, body",
            (sequence,),
        ).fetchone()
        if row is None:
            return False
        self.insert(delta, *row)
        delta.set_aside -= 1
        return True

    def restore(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Put rows of a damaged file back as they were."""
        for row in rows:
            marks = ", ".join("?" * len(row))
            self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608 own names

    def restore_sequence(self, last: int) -> None:
        """Go on counting behind the last sequence ever given."""
        self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'entries'")
        self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('entries', ?)", (last,))

    def oldest_queued_ns(self) -> int:
        """Return when the oldest waiting entry was queued, 0 when none waits."""
        row = self._connection.execute("SELECT queued_ns FROM entries ORDER BY sequence LIMIT 1").fetchone()
        return row[0] if row else 0

    def shrink(self) -> bool:
        """Give a step of the file's unused pages back to the disk; tell whether there is more to do."""
        surplus = self._connection.execute("PRAGMA freelist_count").fetchone()[0] - _KEEP_FREE_PAGES
        if surplus <= 0:
            return False
        # The statement frees one page per step, and only a script is stepped to its end.
        self._connection.executescript(f"PRAGMA incremental_vacuum({min(surplus, _VACUUM_PAGES)})")
        if surplus > _VACUUM_PAGES:
            return True
        self.checkpoint()
        return False

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the main file, which then takes its true size."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Fold the log in and release the file."""
        self.closed = True
        self._connection.close()


class SchemaTooNewError(Exception):
    """The file was written by a newer version."""

    def __init__(self, version: int) -> None:
        super().__init__(f"schema version {version}, this program knows {SCHEMA_VERSION}")
