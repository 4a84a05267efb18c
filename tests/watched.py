"""A store that can be looked at, and cut off, from a test: the real one stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.store.contract import ColumnarStore


def _nothing(number: int) -> None:
    """Let the insert be."""


class Watched:
    """A store that notes what it is asked and given, shared with other servers if ``exclusive`` is false."""

    def __init__(self, store: ColumnarStore, exclusive: bool = True) -> None:
        self._store, self.exclusive = store, exclusive
        self.asked: list[str] = []
        #: Called with the number of the insert before each one.
        self.inserting: Callable[[int], None] = _nothing
        self._inserts = 0

    def die_at(self, insert: int | None) -> None:
        """Be away from an insert on, the first from now being 0; with ``None`` be back."""
        first = self._inserts + 1 + (insert or 0)

        def die(number: int) -> None:
            if number >= first:
                raise StoreUnavailable("gone")

        self.inserting = _nothing if insert is None else die

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Note the statement and return its rows."""
        self.asked.append(sql)
        return self._store.select(sql, parameters)

    def insert(self, table: str, block: bytes | PathLike[str], columns: Any = ()) -> None:
        """Insert, if ``inserting`` does not raise."""
        self._inserts += 1
        self.inserting(self._inserts)
        self._store.insert(table, block, columns)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
