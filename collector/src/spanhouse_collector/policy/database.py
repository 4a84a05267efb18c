"""Opening the small SQLite files of the policies: private, in write-ahead mode, with a clear error."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from spanhouse_collector.policy.errors import PolicyStoreError

_BUSY_S = 5.0
#: By the beginning of SQLite's name of an error.
_FAULTS = {
    "SQLITE_BUSY": "is locked by another process",
    "SQLITE_LOCKED": "is locked by another process",
    "SQLITE_CORRUPT": "is damaged",
    "SQLITE_NOTADB": "is damaged",
    "SQLITE_IOERR": "cannot be read from its disk",
    "SQLITE_CANTOPEN": "cannot be opened",
    "SQLITE_PERM": "cannot be opened",
    "SQLITE_AUTH": "cannot be opened",
    "SQLITE_FULL": "has no room on its disk",
    "SQLITE_READONLY": "cannot be written",
    "SQLITE_NOMEM": "found no memory",
}


def open_database(path: Path, *statements: str, busy_s: float = _BUSY_S) -> sqlite3.Connection:
    """Open (or create with mode 0600) a database, run ``statements`` and return it in autocommit mode.

    The connection may be used from several threads, one at a time; each use of it may wait ``busy_s`` for a lock, so
    not on the event loop. Raises ``PolicyStoreError``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Created here, not by SQLite, so that the content is never readable by others; SQLite gives its
        # journal the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(path, check_same_thread=False, timeout=busy_s, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        for statement in statements:
            database.execute(statement)
    except (OSError, sqlite3.Error) as error:
        raise PolicyStoreError(f"{path} cannot be opened: {error}; make it readable or move it away") from error
    return database


def fault_of(error: Exception) -> str:
    """Return what is wrong with a file, as the end of a sentence that begins with its name; names no path."""
    if isinstance(error, PolicyStoreError):
        return "cannot be opened"
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return next((said for begin, said in _FAULTS.items() if name.startswith(begin)), f"has a fault ({name})")
