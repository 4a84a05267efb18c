"""A columnar store that may not be there yet.

The server starts, receives and spools while ClickHouse is down; every use until then raises
``StoreUnavailable``. A background thread keeps trying to open and migrate.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.store.contract import ColumnarStore, IndexKeys, SpanKey, TraceKey

log = logging.getLogger("spanhouse.store")

RETRY_S = 3.0


class StoreGate:
    """Stands for a ``ColumnarStore`` from the start and passes calls on once it is open."""

    def __init__(self, opener: Callable[[], ColumnarStore]) -> None:
        self._opener = opener
        self._store: ColumnarStore | None = None
        self._closing = threading.Event()
        self._retrier: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the store has been opened."""
        return self._store is not None

    @property
    def exclusive(self) -> bool:
        """Tell whether nobody but this process can write to it."""
        return self._opened().exclusive

    def open(self) -> None:
        """Open and migrate now, or keep trying in the background while it is unavailable.

        Any other error (wrong DSN, failed migration) is raised: waiting would not mend it.
        """
        try:
            self._try_open()
        except StoreUnavailable as error:
            log.warning("the store is not available, spans wait in the spool: %s", error.message)
            self._retrier = threading.Thread(target=self._keep_trying, name="spanhouse-store-opener", daemon=True)
            self._retrier.start()

    def _try_open(self) -> None:
        store = self._opener()
        try:
            store.migrate()
            _tell_damage(store)
        except BaseException:
            store.close()
            raise
        self._store = store

    def _keep_trying(self) -> None:
        while not self._closing.wait(RETRY_S):
            try:
                self._try_open()
            except StoreUnavailable:
                continue
            except Exception:
                log.exception("the store answered but cannot be used; still trying")
                continue
            log.info("the store is available")
            return

    def _opened(self) -> ColumnarStore:
        if self._store is None:
            raise StoreUnavailable("the columnar store cannot be reached", "check that ClickHouse runs; data is kept")
        return self._store

    def migrate(self) -> list[str]:
        """Apply missing migrations."""
        return self._opened().migrate()

    def damaged(self) -> dict[str, int]:
        """Return the tables of which parts could not be read, and how many."""
        return self._opened().damaged()

    def insert(self, table: str, rows: bytes | PathLike[str], columns: Sequence[str] = ()) -> None:
        """Insert newline-separated JSON objects, or arrays of values for ``columns``."""
        self._opened().insert(table, rows, columns)

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a read."""
        return self._opened().select(sql, parameters)

    def derive(self, table: str, columns: Sequence[str], sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Insert the rows of a read into a derived table."""
        self._opened().derive(table, columns, sql, parameters)

    def put_off_merges(self, wanted: bool) -> None:
        """Leave merging for later, or take it up again."""
        if self._store is not None:
            self._store.put_off_merges(wanted)

    def stored_versions(self, traces: Iterable[TraceKey]) -> dict[SpanKey, int]:
        """Return the versions stored for these traces."""
        return self._opened().stored_versions(traces)

    def facts(self, traces: Iterable[TraceKey]) -> dict[TraceKey, list[SpanFacts]]:
        """Return the facts of these traces."""
        return self._opened().facts(traces)

    def index_keys(self, traces: Iterable[TraceKey]) -> dict[TraceKey, IndexKeys]:
        """Return where these traces are indexed."""
        return self._opened().index_keys(traces)

    def close(self) -> None:
        """Stop trying and close what is open."""
        self._closing.set()
        if self._store is not None:
            self._store.close()


def _tell_damage(store: ColumnarStore) -> None:
    """Say what the engine itself does not: it starts without the rows it could not read."""
    for table, parts in store.damaged().items():
        log.error(
            "%d part(s) of the table %s cannot be read and were set aside (detached/broken-on-start… in the data folder):"
            " their rows are missing; bring the folder back from a whole copy",
            parts,
            table,
        )
