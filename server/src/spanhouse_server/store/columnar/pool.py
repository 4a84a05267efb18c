"""A few clients, each used by one thread at a time.

A client of clickhouse-connect is not for concurrent use. Reads and inserts have pools of their
own, so that slow reads never hold up inserts.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from spanhouse_server.errors import ConfigError, StoreUnavailable

CLOSE_WAIT_S = 30.0


class _Waiter:
    """A thread in the queue; ``client`` is set when one was handed to it."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.client: Client | None = None


class ClientPool:
    """Hands out clients, making them when needed, at most ``size`` of them, first come first served.

    Without the queue a busy thread would take back the client it just gave before any waiting
    thread woke up.

    With ``discard_failed`` a client whose statement failed is closed instead of used again. The
    embedded engine needs this: a read that was cut off (time limit) can leave its rows in the
    handle's output, and they then come out in front of the next statement's, which may be another
    tenant's.
    """

    def __init__(self, make: Callable[[], Client], size: int, wait_s: float, *, discard_failed: bool) -> None:
        self._make = make
        self._discard_failed = discard_failed
        self._size = size
        self._wait_s = wait_s
        self._idle: list[Client] = []
        self._waiters: deque[_Waiter] = deque()
        self._made = 0
        self._opened = False
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Lend a client; raise ``StoreUnavailable`` when none comes free in time."""
        client = self._take()
        try:
            yield client
        except BaseException:
            self._give(client, failed=True)
            raise
        self._give(client)

    def _take(self) -> Client:
        deadline = time.monotonic() + self._wait_s
        while True:
            with self._changed:
                if self._closed:
                    raise StoreUnavailable("the columnar store is closed")
                if self._idle:
                    return self._idle.pop()
                if self._made < self._size:
                    self._made += 1
                    break
                waiter = _Waiter()
                self._waiters.append(waiter)
            waiter.called.wait(max(0.0, deadline - time.monotonic()))
            with self._changed:
                if waiter.client is not None:
                    return waiter.client
                if not waiter.called.is_set():
                    self._waiters.remove(waiter)
                    raise StoreUnavailable("the columnar store is busy", "try again in some seconds")
        try:
            client = self._make()
        except BaseException as error:
            with self._changed:
                self._made -= 1
                self._call_next(None)
                self._changed.notify_all()
            if self._opened and isinstance(error, ConfigError):
                # The settings were right before: files or memory are used up.
                raise StoreUnavailable(error.message, error.hint) from error
            raise
        self._opened = True
        return client

    def _give(self, client: Client, *, failed: bool = False) -> None:
        with self._changed:
            if not self._closed and not (failed and self._discard_failed):
                if not self._call_next(client):
                    self._idle.append(client)
                return
        client.close()
        with self._changed:
            self._made -= 1
            self._call_next(None)
            self._changed.notify_all()

    def _call_next(self, client: Client | None) -> bool:
        """Wake the first in the queue, with a client or to look again; tell whether there was one."""
        if not self._waiters:
            return False
        waiter = self._waiters.popleft()
        waiter.client = client
        waiter.called.set()
        return True

    def close(self) -> None:
        """Close idle clients now and wait for the others to come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            while self._call_next(None):
                pass
        for client in idle:
            client.close()
        with self._changed:
            self._made -= len(idle)
            self._changed.wait_for(lambda: self._made == 0, CLOSE_WAIT_S)
