"""The response cache's file: answers in SQLite, bounded by bytes, the least recently used going first.

The answers lie there as the upstream sent them, so the file is private (mode 0600) and only written when
the operator names it.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from spanhouse_collector.policy.cache import CachedAnswer, CacheKey
from spanhouse_collector.policy.database import open_database

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    digest BLOB NOT NULL, bucket INTEGER NOT NULL, tenant TEXT NOT NULL, status INTEGER NOT NULL,
    headers BLOB NOT NULL, chunks BLOB NOT NULL, stored_ns INTEGER NOT NULL, ttl_s INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, used_ns INTEGER NOT NULL,
    PRIMARY KEY (digest, bucket)
)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used_ns)"
_LOAD = "SELECT tenant, status, headers, chunks, stored_ns, ttl_s, bucket FROM answers WHERE digest = ? AND tenant = ?"
_SAVE = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class CacheFile:
    """Keeps answers in ``path``, at most ``max_bytes`` of them. Called from worker threads."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._database = open_database(path, _TABLE, _INDEX)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._used_bytes = int(self._database.execute("SELECT coalesce(sum(size_bytes), 0) FROM answers").fetchone()[0])

    def load(self, key: CacheKey) -> list[CachedAnswer]:
        """Return the answers of a key, of its tenant only."""
        with self._lock:
            rows = self._database.execute(_LOAD, (key.digest, key.tenant)).fetchall()
            if rows:
                self._database.execute("UPDATE answers SET used_ns = ? WHERE digest = ?", (time.time_ns(), key.digest))
        return [
            CachedAnswer(tenant, status, _pairs(headers), _unpack(chunks), stored_ns, ttl_s, bucket)
            for tenant, status, headers, chunks, stored_ns, ttl_s, bucket in rows
        ]

    def save(self, key: CacheKey, answer: CachedAnswer) -> None:
        """Keep an answer; makes room by dropping what was not used the longest."""
        if answer.size_bytes > self._max_bytes:
            return
        headers, chunks = orjson.dumps(answer.headers), _pack(answer.chunks)
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                used_bytes = self._used_bytes - self._remove("digest = ? AND bucket = ?", (key.digest, answer.bucket))
                values = (key.digest, answer.bucket, key.tenant, answer.status, headers, chunks, answer.stored_ns)
                self._database.execute(_SAVE, (*values, answer.ttl_s, answer.size_bytes, time.time_ns()))
                used_bytes += answer.size_bytes
                while used_bytes > self._max_bytes:
                    used_bytes -= self._remove("used_ns = (SELECT min(used_ns) FROM answers)", ())
                self._database.execute("COMMIT")
                self._used_bytes = used_bytes
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._database.close()

    def _remove(self, where: str, values: tuple[object, ...]) -> int:
        statement = f"DELETE FROM answers WHERE {where} RETURNING size_bytes"  # noqa: S608 (own text only)
        return sum(size_bytes for (size_bytes,) in self._database.execute(statement, values).fetchall())


def _pairs(headers: bytes) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in orjson.loads(headers))


def _pack(chunks: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">I", len(chunk)) + chunk for chunk in chunks)


def _unpack(packed: bytes) -> tuple[bytes, ...]:
    chunks, position = [], 0
    while position < len(packed):
        (length,) = struct.unpack_from(">I", packed, position)
        chunks.append(packed[position + 4 : position + 4 + length])
        position += 4 + length
    return tuple(chunks)
