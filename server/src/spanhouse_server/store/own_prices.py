"""The own prices of all projects, ready at hand for every batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import astuple
from hashlib import blake2b

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.model.prices import NO_PRICES, OwnPrice, PriceBook
from spanhouse_server.store.contract import RecordsStore

log = logging.getLogger("spanhouse.store")

#: A changed price reaches new spans after at most this long; one changed through this server at once.
FRESH_S = 10.0


class PriceBooks:
    """Answers from memory, so that no span costs a query and storing goes on while the records store is away.

    Thread-safe.
    """

    def __init__(self, records: RecordsStore, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._monotonic_s = monotonic_s
        self._book = NO_PRICES
        self._read_s = float("-inf")
        self._lock = threading.Lock()

    def current(self) -> PriceBook:
        """Return the prices in force; the same object for as long as nothing changed."""
        with self._lock:
            now_s = self._monotonic_s()
            if now_s - self._read_s >= FRESH_S:
                self._read_s = now_s
                try:
                    book = book_of(self._records.prices())
                except SpanhouseError as error:
                    log.warning("own prices cannot be read, using what was known: %s", error.message)
                else:
                    if book.version != self._book.version:
                        self._book = book
            return self._book

    def forget(self) -> None:
        """Read anew at the next call: someone changed a price."""
        with self._lock:
            self._read_s = float("-inf")


def book_of(prices: list[OwnPrice]) -> PriceBook:
    """Return the book of these prices; its version is a hash of them."""
    if not prices:
        return NO_PRICES
    by_project: dict[str, list[OwnPrice]] = {}
    digest = blake2b(digest_size=8)
    for price in sorted(prices, key=lambda each: each.id):
        by_project.setdefault(price.project_id, []).append(price)
        digest.update(repr(astuple(price)).encode("utf-8", "replace"))
    return PriceBook(digest.hexdigest(), {project: tuple(each) for project, each in by_project.items()})
