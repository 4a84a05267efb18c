"""The recorder's end of the socket pair to its proxy, and delivering over it."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Iterator, Sequence

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.proxy import frames, overflow
from spanhouse_collector.proxy.queue import Batch

log = logging.getLogger("spanhouse.proxy")

#: How long a delivery through the parent may take before it is tried again.
DELIVER_TIMEOUT_S = 60.0
RECEIVE_BYTES = 1024 * 1024


class Line:
    """The recorder's end. Sending is thread-safe and fails silently at the end.

    ``overflow`` has the descriptors of what did not fit into the socket (``overflow``), ``received_bytes`` how much of
    the stream has come.
    """

    def __init__(self, connection: socket.socket, overflow: Sequence[int] = ()) -> None:
        self._connection = connection
        self._overflow = overflow
        self._rest: Iterator[bytes] | None = None
        self.received_bytes = 0
        self._connection.setblocking(True)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
        self._lock = threading.Lock()

    def receive(self, timeout_s: float) -> bytes | None:
        """Return what has come, ``None`` when nothing did in time, ``b""`` at the end."""
        if self._rest is not None:
            return self._left()
        try:
            # Polled, since a time-out of the socket's would hold for the thread that sends as well.
            if not self._poll.poll(timeout_s * 1000):
                return None
            data = self._connection.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        self.received_bytes += len(data)
        if not data:
            self._rest = overflow.rest(self._overflow, self.received_bytes)
            return self._left()
        return data

    def _left(self) -> bytes:
        """Return more of what a relay that is gone left, ``b""`` at the end."""
        assert self._rest is not None  # noqa: S101 - tells the type checker
        try:
            return next(self._rest, b"")
        except OSError as error:
            log.error("what the proxy left cannot be read: %s", error)
            return b""

    def send(self, data: bytes) -> None:
        """Send a frame to the proxy."""
        with self._lock:
            try:
                self._connection.sendall(data)
            except OSError as error:
                log.debug("the proxy is gone: %s", error)


class ParentDelivery:
    """Hands batches to the process that mounts the proxy, and waits for its answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._answered = threading.Condition()
        self._number = 0
        self._answer: tuple[bool, bool, str] | None = None

    def deliver(self, batch: Batch) -> None:
        """Hand a batch on; raise ``Undeliverable``."""
        with self._answered:
            self._number += 1
            self._answer = None
        self._line.send(frames.pack(frames.DELIVER, self._number, 0, (batch.project, batch.spans, batch.body)))
        with self._answered:
            self._answered.wait_for(lambda: self._answer is not None, DELIVER_TIMEOUT_S)
            kept, retry, message = self._answer or (False, True, "the server does not take spans")
        if not kept:
            raise Undeliverable(message, retry=retry)

    def answered(self, number: int, answer: tuple[bool, bool, str]) -> None:
        """Take the answer to a delivery; one that comes too late says nothing about the next."""
        with self._answered:
            if number == self._number:
                self._answer = answer
                self._answered.notify_all()

    def close(self) -> None:
        """Nothing is kept open."""
