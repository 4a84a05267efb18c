"""Connections to SQLite and Postgres, and their faults in the words of the house."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from spanhouse_server.errors import ConfigError, DiskFull, StoreError, StoreUnavailable

BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 5


def make_engine(url: str) -> Engine:
    """Return an engine for a SQLite or Postgres URL; raise ``ConfigError`` for any other."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(
            "SPANHOUSE_RECORDS_DSN cannot be read", "use postgresql://user:password@host/database"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        try:
            return create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_size=5,
                max_overflow=10,
                pool_timeout=CONNECT_TIMEOUT_S,
                connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            )
        except ModuleNotFoundError:
            raise ConfigError(
                "Postgres needs the psycopg package", "pip install 'spanhouse-server[postgres]'"
            ) from None
    raise ConfigError(
        f"SPANHOUSE_RECORDS_DSN names {backend}, which is not supported", "use sqlite:/// or postgresql://"
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Let readers and one writer work at once; commits reach the disk.

    Python's own transaction handling is turned off: it would leave schema changes outside the
    transaction, so that a crash half-way through a migration could not be undone.
    """
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start of writes.

    A transaction that reads first and writes later fails at once, without waiting, when someone
    else wrote in between.
    """
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the errors of the database as the house's own; ``IntegrityError`` passes through."""
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeout as error:
        raise StoreUnavailable("the records store has no free connection", str(error)) from error
    except (OperationalError, InterfaceError) as error:
        if _disk_full(error):
            raise DiskFull("the disk of the records store is full", "free some space") from error
        raise StoreUnavailable("the records store does not answer", _first_line(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable("the records store went away", _first_line(error)) from error
        raise StoreError("the records store refused a statement", _first_line(error)) from error


def _disk_full(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(original, "sqlstate", None) == "53100"


def _first_line(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or [""])[0]


def plain(text: str) -> str:
    """Return text that both databases can hold: Postgres refuses NUL, UTF-8 lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
