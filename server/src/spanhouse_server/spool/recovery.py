"""Opens the spool file whatever state a crash or a bad disk has left it in.

A torn write-ahead log is SQLite's own business: it is cut at the last whole commit. A main file
that cannot be read is moved aside, never deleted; what can still be read of it goes into a new one.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import zstandard

from spanhouse_server.clock import now_ns
from spanhouse_server.errors import ConfigError, DiskFull
from spanhouse_server.spool.database import SchemaTooNewError, SpoolDatabase

logger = logging.getLogger(__name__)

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_MAIN_AND_LOG = ("", "-wal")


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file itself is broken."""
    return primary_code(error) in _DAMAGE


def open_database(path: Path, fsync: str) -> SpoolDatabase:
    """Open the spool, beginning a new file if the present one cannot be read.

    Raises ``ConfigError`` when another process has it open or a newer version wrote it, and
    ``DiskFull`` when there is no room to create it.
    """
    try:
        try:
            return SpoolDatabase(path, fsync)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return rebuild(path, fsync, str(error))
    except SchemaTooNewError as error:
        raise ConfigError(f"the spool {path} was written by a newer version ({error})", "upgrade Spanhouse") from None
    except sqlite3.Error as error:
        if primary_code(error) in _BUSY:
            raise ConfigError(
                f"the spool {path} is in use by another process", "stop the other Spanhouse, or use another data folder"
            ) from None
        if primary_code(error) == sqlite3.SQLITE_FULL:
            raise DiskFull(f"no room on the disk to open the spool {path}", "make room on the disk") from None
        raise ConfigError(f"the spool {path} cannot be opened: {error}", "check the data folder's rights") from None


def rebuild(path: Path, fsync: str, why: str) -> SpoolDatabase:
    """Move a damaged file aside, begin a new one and save into it what can still be read."""
    damaged = path.with_name(f"{path.name}.damaged-{now_ns()}")
    for suffix in _MAIN_AND_LOG:
        # The log belongs to its file: left behind it would be played into the new one.
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(damaged.with_name(damaged.name + suffix))
    database = SpoolDatabase(path, fsync)
    saved, lost = _salvage(damaged, database)
    logger.error(
        "the spool %s was damaged (%s): kept as %s, %d requests saved from it, %s",
        path,
        why,
        damaged,
        saved,
        "what else it held is lost" if lost else "all it held",
    )
    return database


def _salvage(damaged: Path, database: SpoolDatabase) -> tuple[int, bool]:
    """Copy readable rows; return their number and whether any could not be read."""
    # Reading a log folds it into the file, so a copy is read and the evidence stays as it is.
    copy = damaged.with_name(damaged.name + ".reading")
    try:
        for suffix in _MAIN_AND_LOG:
            with suppress(FileNotFoundError):
                shutil.copyfile(damaged.with_name(damaged.name + suffix), copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy, isolation_level=None)) as source:
            return _copy_rows(source, database)
    except (sqlite3.Error, OSError) as error:
        logger.warning("nothing more can be read from %s: %s", damaged, error)
        return 0, True
    finally:
        for suffix in (*_MAIN_AND_LOG, "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy_rows(source: sqlite3.Connection, database: SpoolDatabase) -> tuple[int, bool]:
    saved, lost, last_sequence = 0, False, 0
    decompressor = zstandard.ZstdDecompressor()
    with database.transaction() as delta:
        for table in ("counters", "marks", "owed", "repeats"):
            with suppress(sqlite3.Error):
                database.restore(table, source.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 own names
        with suppress(sqlite3.Error):
            last_sequence = source.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0] or 0
        for table in ("entries", "set_aside"):
            for row in _readable(source, table):
                if row is None or not _is_whole(decompressor, row[-1]):
                    lost = True
                    continue
                database.restore(table, [row])
                last_sequence = max(last_sequence, row[0])
                delta.last_received_ns = max(delta.last_received_ns, row[3])
                saved += 1
        database.restore_sequence(last_sequence)
    return saved, lost


def _readable(source: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...] | None]:
    """Yield the rows before and those after a damaged place, and ``None`` for the place itself."""
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            for (sequence,) in source.execute(f"SELECT sequence FROM {table} ORDER BY sequence {order}"):  # noqa: S608
                if sequence in seen:
                    return
                seen.add(sequence)
                try:
                    yield source.execute(f"SELECT * FROM {table} WHERE sequence = ?", (sequence,)).fetchone()  # noqa: S608
                except sqlite3.Error:
                    yield None
            return
        except sqlite3.Error:
            yield None


def _is_whole(decompressor: zstandard.ZstdDecompressor, body: object) -> bool:
    try:
        return isinstance(body, bytes) and decompressor.decompress(body) is not None
    except zstandard.ZstdError:
        return False
