"""A few clients, each used by one thread at a time.

A client of clickhouse-connect is not for concurrent use. Reads and inserts have pools of their
own, so that slow reads never hold up inserts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from spanhouse_server.errors import StoreUnavailable

CLOSE_WAIT_S = 30.0


class ClientPool:
    """Hands out clients, making them when needed, at most ``size`` of them."""

    def __init__(self, make: Callable[[], Client], size: int, wait_s: float) -> None:
        self._make = make
        self._size = size
        self._wait_s = wait_s
        self._idle: list[Client] = []
        self._made = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client; raise ``StoreUnavailable`` when none comes free in time."""
        client = self._take()
        try:
            yield client
        finally:
            self._give(client)

    def _take(self) -> Client:
        deadline = time.monotonic() + self._wait_s
        with self._changed:
            while True:
                if self._closed:
                    raise StoreUnavailable("the columnar store is closed")
                if self._idle:
                    return self._idle.pop()
                if self._made < self._size:
                    self._made += 1
                    break
                if not self._changed.wait(deadline - time.monotonic()):
                    raise StoreUnavailable("the columnar store is busy", "try again in some seconds")
        try:
            return self._make()
        except BaseException:
            with self._changed:
                self._made -= 1
                self._changed.notify()
            raise

    def _give(self, client: Client) -> None:
        with self._changed:
            if not self._closed:
                self._idle.append(client)
            self._changed.notify_all()
        if self._closed:
            client.close()
            with self._changed:
                self._made -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Close idle clients now and wait for the others to come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for client in idle:
            client.close()
        with self._changed:
            self._made -= len(idle)
            self._changed.wait_for(lambda: self._made == 0, CLOSE_WAIT_S)
