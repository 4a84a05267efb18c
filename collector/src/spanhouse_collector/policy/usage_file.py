"""The durable side of budgets: uses per window in one SQLite file.

Uses are queued and written by one thread, all that wait in one transaction; what a ``kill -9`` can lose
is what waits at that moment, some milliseconds of charges. With the disk full or gone, counting goes on
in memory, the failed writes are tried again with the next ones, and ``failed_writes`` tells of it:
a broken disk does not stop calls.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from spanhouse_collector.policy.database import open_database
from spanhouse_collector.policy.limits import WindowKey
from spanhouse_collector.policy.windows import SLOTS

logger = logging.getLogger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS uses (
    tenant TEXT NOT NULL, unit TEXT NOT NULL, window_s INTEGER NOT NULL, segment TEXT NOT NULL,
    value TEXT NOT NULL, slot INTEGER NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (tenant, unit, window_s, segment, value, slot)
) WITHOUT ROWID
"""
_ADD = """
INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (tenant, unit, window_s, segment, value, slot) DO UPDATE SET amount = amount + excluded.amount
"""
_LOAD = """
SELECT slot, amount FROM uses
WHERE tenant = ? AND unit = ? AND window_s = ? AND segment = ? AND value = ? AND slot >= ? ORDER BY slot
"""
_WINDOWS = """
SELECT tenant, unit, window_s, segment, value FROM uses GROUP BY tenant, unit, window_s, segment, value
ORDER BY max((slot + 1) * (window_s * 1000000000 / ?)) DESC LIMIT ?
"""
#: A row is over when its slot's end plus the window has passed.
_FORGET = "DELETE FROM uses WHERE (slot + 1) * (window_s * 1000000000 / ?) + window_s * 1000000000 < ?"
_FORGET_EVERY_S = 600.0
_RETRY_S = 1.0
_READ_BUSY_S = 0.05
#: Windows waiting to be written; beyond it the disk has been away long enough to stop hoping.
_MAX_WAITING = 100_000


class UsageFile:
    """Keeps uses in ``path`` (mode 0600). ``load`` is for misses of the memory, ``add`` never waits."""

    def __init__(self, path: Path) -> None:
        self._database = open_database(path, _TABLE)
        # Another connection: calls read while the thread waits for its turn to write.
        self._reader = open_database(path, busy_s=_READ_BUSY_S)
        self._lock = threading.Lock()  # what is written and what waits belong together
        self._changed = threading.Condition()
        self._waiting: Counter[tuple[WindowKey, int]] = Counter()
        self._writing: Counter[tuple[WindowKey, int]] = Counter()
        self._closing = False
        self._forgot_at = 0.0
        self.failed_reads = 0
        self.failed_writes = 0
        self.dropped_uses = 0
        self._thread = threading.Thread(target=self._run, name="spanhouse-usage", daemon=True)
        self._thread.start()

    def load(self, key: WindowKey, since_slot: int) -> list[tuple[int, int]]:
        """Return the (slot, amount) of a window from a slot on, what is not written yet included."""
        with self._lock:
            rows = Counter(dict(self._read(_LOAD, (*key, since_slot))))
            with self._changed:
                for waiting in (self._waiting, self._writing):
                    for (its_key, slot), amount in waiting.items():
                        if its_key == key and slot >= since_slot:
                            rows[slot] += amount
        return sorted(rows.items())

    def windows(self, max_windows: int) -> list[WindowKey]:
        """Return the keys of the windows used last, newest first."""
        with self._lock:
            return [(*key,) for key in self._read(_WINDOWS, (SLOTS, max_windows))]

    def _read(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        try:
            return self._reader.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.failed_reads += 1
            logger.warning("uses of limits could not be read, counting starts from nothing: %s", error)
            return []

    def add(self, key: WindowKey, slot: int, amount: int) -> None:
        """Queue a use; it is on the disk a few milliseconds later."""
        with self._changed:
            if len(self._waiting) >= _MAX_WAITING and (key, slot) not in self._waiting:
                self.dropped_uses += 1
                return
            self._waiting[key, slot] += amount
            self._changed.notify()

    def close(self) -> None:
        """Write what waits and release the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._database.close()
        with self._lock:
            self._reader.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                closing = self._closing
            try:
                self._write()
            except sqlite3.Error as error:
                self.failed_writes += 1
                logger.warning("uses of limits could not be written, they count in memory: %s", error)
                if closing:
                    return
                time.sleep(_RETRY_S)

    def _write(self) -> None:
        with self._changed:
            self._writing, self._waiting = self._waiting, Counter()
        try:
            self._database.execute("BEGIN IMMEDIATE")  # waits while another process writes
            with self._lock:
                self._database.executemany(
                    _ADD, [(*key, slot, amount) for (key, slot), amount in self._writing.items()]
                )
                if time.monotonic() - self._forgot_at > _FORGET_EVERY_S:
                    self._database.execute(_FORGET, (SLOTS, time.time_ns()))
                    self._forgot_at = time.monotonic()
                self._database.execute("COMMIT")
                with self._changed:
                    self._writing = Counter()
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            with self._changed:
                self._waiting.update(self._writing)
                self._writing = Counter()
            raise
