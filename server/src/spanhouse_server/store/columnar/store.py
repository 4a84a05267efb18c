"""The columnar contract on ClickHouse: embedded and served differ only in how clients are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import zstandard
from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.client import Client

from spanhouse_server.errors import StoreError
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.store.columnar import lookups, merges, migrate, timed
from spanhouse_server.store.columnar.connect import Target, parse_dsn
from spanhouse_server.store.columnar.faults import inserting, translated
from spanhouse_server.store.columnar.pool import ClientPool
from spanhouse_server.store.contract import DERIVED_TABLES, TABLES, ColumnarStore, IndexKeys, SpanKey, TraceKey

INSERT_CLIENTS = 3
SELECT_CLIENTS = 4
INSERT_TIMEOUT_S = 300
MAX_RESULT_ROWS = 500_000
#: Below this an insert over HTTP is not worth compressing.
COMPRESS_FROM_BYTES = 64 * 1024

#: In the name of a file the engine takes these for a pattern that may match many.
_PATTERN = frozenset("*?{}")

_INSERT_SETTINGS = {
    # Index rows carry the facts' fields, of which the table keeps some.
    "input_format_skip_unknown_fields": 1,
    # Fresh parts are small and soon merged; building the text index once, in the first merge, costs
    # a seventh less in total than building it on insert too. Until then a search reads their text.
    "exclude_materialize_skip_indexes_on_insert": "ix_text",
    # A batch hardly ever holds a row twice (what is left is found by reading and merged like any other): copying
    # each block once more to look for such rows costs a fifth of the insert.
    "optimize_on_insert": 0,
    # JSON columns are strings; their objects and arrays come as they are, not encoded twice.
    "input_format_json_read_objects_as_strings": 1,
    "input_format_json_read_arrays_as_strings": 1,
    # One request is one block is one part: no half-inserted batches, no tiny parts.
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    # The acknowledgement of the spool follows: the rows must be in the table, not in a queue.
    "async_insert": 0,
}


#: One thread: background work must leave the others to the reads that people wait for.
_DERIVE_SETTINGS = {"max_threads": 1, "max_execution_time": INSERT_TIMEOUT_S, "use_skip_indexes_if_final": 1,
                    "use_skip_indexes_if_final_exact_mode": 1}  # fmt: skip


def open_columnar(dsn: str, *, cluster: str = "", memory_mb: int = 2048, query_timeout_s: float = 30) -> ColumnarStore:
    """Open the columnar store behind a DSN (see ``connect``).

    ``memory_mb`` (MiB) bounds the embedded engine, ``query_timeout_s`` each read. A server that
    does not answer shows at the first call as ``StoreUnavailable``; an embedded folder that
    another process holds raises ``ConfigError`` there.
    """
    return ClickHouseStore(parse_dsn(dsn, memory_mb), cluster, memory_mb, query_timeout_s)


class ClickHouseStore:
    """Telemetry in ClickHouse. Thread-safe."""

    def __init__(self, target: Target, cluster: str, memory_mb: int, query_timeout_s: float) -> None:
        self._target = target
        self._cluster = cluster
        insert_settings: dict[str, Any] = dict(_INSERT_SETTINGS)
        if cluster:
            insert_settings["distributed_foreground_insert"] = 1
        select_settings = _select_settings(target, memory_mb, query_timeout_s)
        for settings in (insert_settings, select_settings) if cluster else ():
            # What is asked for in one statement lies on one shard: all rows of a trace, a bucket and its mark.
            settings["distributed_product_mode"] = "local"
        self._inserts = ClientPool(
            lambda: target.client(insert_settings, INSERT_TIMEOUT_S),
            INSERT_CLIENTS,
            INSERT_TIMEOUT_S,
            discard_failed=target.is_embedded,
        )
        self._selects = ClientPool(
            lambda: target.client(select_settings, query_timeout_s + 5),
            SELECT_CLIENTS,
            query_timeout_s,
            discard_failed=target.is_embedded,
        )
        # A server has cores for both, and others who write to it.
        self._merges = merges.Merges(self._inserts) if target.is_embedded else None

    @property
    def exclusive(self) -> bool:
        """Tell whether nobody but this process can write to it: the embedded engine locks its folder."""
        return self._target.is_embedded

    def migrate(self) -> list[str]:
        """Apply missing migrations in order; return the names applied. Raises ``MigrationError``."""
        return migrate.run(self._target, self._cluster)

    def damaged(self) -> dict[str, int]:
        """Return the tables of which parts could not be read and were set aside, and how many; embedded engine only.

        A server's operator is told by the server, and its system tables may be closed to us.
        """
        if not self._target.is_embedded:
            return {}
        rows = self.select(
            "SELECT table, count() AS parts FROM system.detached_parts"
            " WHERE database = currentDatabase() AND startsWith(reason, 'broken') GROUP BY table ORDER BY table"
        )
        return {row["table"]: row["parts"] for row in rows}

    def insert(self, table: str, rows: bytes | PathLike[str], columns: Sequence[str] = ()) -> None:
        """Insert newline-separated JSON objects, or arrays of values for ``columns``; durable when this returns.

        ``rows`` is their text or a file of it, which the embedded engine reads itself. Raises ``RowsRefused`` when a
        value does not fit its column.
        """
        if table not in TABLES:
            raise StoreError(f"no table {table!r} takes rows")
        if not rows:
            return
        with inserting(table), self._inserts.client() as client:
            if not isinstance(rows, bytes):
                if self._target.is_embedded and not _PATTERN.intersection(fspath(rows)):
                    _insert_file(client, table, fspath(rows), columns, self._settings_of(table))
                    return
                rows = Path(rows).read_bytes()
            compress = not self._target.is_embedded
            _raw_insert(client, table, rows, columns, self._settings_of(table), compress=compress)

    def _settings_of(self, table: str) -> dict[str, Any]:
        """Return what is special about an insert into a table now."""
        # No merge will index these rows soon, and searching the text of many parts takes seconds.
        behind = self._merges is not None and self._merges.behind and table == merges.TABLE
        return {"exclude_materialize_skip_indexes_on_insert": ""} if behind else {}

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a read as dicts by column name.

        Raises ``QueryTimeout`` past the time limit, ``BadRequest`` past the row limit.
        """
        with translated(), self._selects.client() as client:
            result = timed.read(client, sql, parameters or {})
            names = result.column_names
            return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def derive(self, table: str, columns: Sequence[str], sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Insert the rows of a read into a derived table inside the engine; durable when this returns."""
        if table not in DERIVED_TABLES:
            raise StoreError(f"the table {table!r} is not derived from others")
        statement = f"INSERT INTO {table} ({', '.join(columns)}) {sql}"
        with translated(), self._inserts.client() as client:
            timed.write(client, statement, parameters or {}, _DERIVE_SETTINGS)

    def put_off_merges(self, wanted: bool) -> None:
        """Leave merging for later or take it up again, where the engine is embedded; never raises."""
        if self._merges is not None:
            self._merges.put_off(wanted)

    def stored_versions(self, traces: Iterable[TraceKey]) -> dict[SpanKey, int]:
        """Return the version of every span stored for these traces."""
        with translated(), self._selects.client() as client:
            return lookups.stored_versions(client, traces)

    def facts(self, traces: Iterable[TraceKey]) -> dict[TraceKey, list[SpanFacts]]:
        """Return the facts of every span of these traces, each once, newest version, by start."""
        with translated(), self._selects.client() as client:
            return lookups.facts(client, traces)

    def index_keys(self, traces: Iterable[TraceKey]) -> dict[TraceKey, IndexKeys]:
        """Return where these traces stand in the time-ordered tables now."""
        with translated(), self._selects.client() as client:
            return lookups.index_keys(client, traces)

    def close(self) -> None:
        """Release connections and, for the embedded engine, the data folder."""
        self._inserts.close()
        self._selects.close()


def _select_settings(target: Target, memory_mb: int, query_timeout_s: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_execution_time": query_timeout_s,
        "max_result_rows": MAX_RESULT_ROWS,
        "result_overflow_mode": "throw",
        # FINAL must not lose rows that a skip index ruled out in one part but not in another.
        "use_skip_indexes_if_final": 1,
        "use_skip_indexes_if_final_exact_mode": 1,
    }
    if target.is_embedded:
        settings["max_memory_usage"] = memory_mb * 1024 * 1024 // 2
    # Last, since it forbids further changes to itself: reads cannot write, whatever the SQL.
    settings["readonly"] = 2
    return settings


def _insert_file(client: Client, table: str, path: str, columns: Sequence[str], settings: dict[str, Any]) -> None:
    names = f" ({', '.join(columns)})" if columns else ""
    client.command(
        f"INSERT INTO {table}{names} FROM INFILE {format_str(path)} FORMAT {_form(columns)}", settings=settings
    )


def _raw_insert(
    client: Client, table: str, rows: bytes, columns: Sequence[str], settings: dict[str, Any], *, compress: bool
) -> None:
    names, form = columns or None, _form(columns)
    if compress and len(rows) >= COMPRESS_FROM_BYTES:
        body = zstandard.ZstdCompressor(level=1).compress(rows)
        client.raw_insert(table, names, body, settings, fmt=form, compression="zstd")
        return
    client.raw_insert(table, names, rows, settings, fmt=form)


def _form(columns: Sequence[str]) -> str:
    return "JSONCompactEachRow" if columns else "JSONEachRow"
