"""One HTTP/1.1 connection to an upstream, on bytes.

Made for passing answers through as they come: heads and trailers are kept as sent, bodies are handed
over in the pieces in which they arrived, and nothing is decompressed, followed or sent again. The
parser is llhttp (``httptools``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import cast

import httptools

from spanhouse_collector.errors import UpstreamBroken

RawHeaders = list[tuple[bytes, bytes]]

#: Reading pauses when this much waits to be handed on, so that a slow client slows the upstream down.
READ_AHEAD_BYTES = 256 * 1024
MAX_HEAD_BYTES = 256 * 1024

_NO_BODY = frozenset({204, 304})


@dataclass(slots=True)
class Head:
    """Status line and headers of an answer. ``at_ns`` is when they were read (``perf_counter_ns``)."""

    status: int = 0
    reason: bytes = b""
    headers: RawHeaders = field(default_factory=list)
    at_ns: int = 0


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    ``begin`` → ``write`` … → ``head`` → ``read`` until it returns ``b""`` or ``ended`` is set →
    ``trailers``. ``reusable`` then tells whether another exchange may follow. Whatever goes wrong with
    the connection is raised by ``head`` and ``read`` as an ``UpstreamError``.
    """

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._error: Exception | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._head = Head()
        self._head_ready = False
        self._method = b""
        self._informational = False
        self._until_close = False
        self._head_bytes = 0
        self.key: tuple[str, str, int, bool] = ("", "", 0, False)
        self.peer = ""
        self.idle_since_s = 0.0
        self.active_s = 0.0
        self.exchanges = 0
        self.sent_whole = False
        self.continued = False
        self.ended = False
        self.closed = False
        self.keep_alive = False
        self.trailers: RawHeaders = []

    # One exchange ---------------------------------------------------------------------------------

    def begin(self, method: bytes) -> None:
        """Get ready for the next exchange."""
        self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._head, self._head_ready, self._head_bytes = Head(), False, 0
        self._pieces, self._size, self._waiters = [], 0, []
        self.trailers = []
        self.ended = self.sent_whole = self.continued = self.keep_alive = False
        self._informational = self._until_close = False
        self.exchanges += 1
        self.active_s = asyncio.get_running_loop().time()

    def write(self, data: bytes) -> None:
        """Send bytes; call ``drain`` before sending much more."""
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the upstream takes more; raise what broke the connection meanwhile."""
        if self._error is not None:
            raise self._error
        if self._write_paused:
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable
            if self._error is not None:
                raise self._error

    async def head(self) -> Head:
        """Wait for the answer's status and headers."""
        while not self._head_ready:
            await self._wait()
        return self._head

    @property
    def answered(self) -> bool:
        """Tell whether the head of the answer has come."""
        return self._head_ready

    async def until_continued(self) -> None:
        """Wait for ``100 Continue`` or a final answer."""
        while not (self.continued or self._head_ready):
            await self._wait()

    async def read(self) -> bytes:
        """Return what has come of the body, waiting for some; ``b""`` at its end."""
        while not self._pieces and not self.ended:
            await self._wait()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if self._read_paused and self._transport is not None:
            self._read_paused = False
            self._transport.resume_reading()
        return data

    @property
    def reusable(self) -> bool:
        """Tell whether another exchange may follow this one."""
        return self.ended and self.keep_alive and self.sent_whole and not self.closed and self._error is None

    @property
    def waiting(self) -> bool:
        """Tell whether someone waits for the upstream to say something."""
        return bool(self._waiters)

    def fail(self, error: Exception) -> None:
        """Break the exchange with ``error`` and the connection with it."""
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close at once, without sending what is still in the buffer."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def file_descriptor(self) -> int:
        """Return the socket's descriptor, or -1."""
        handle = self._transport.get_extra_info("socket") if self._transport is not None else None
        return handle.fileno() if handle is not None else -1

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter
        # What arrived whole before the connection broke is still good.
        if self._error is not None and not self._pieces and not self.ended:
            raise self._error

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # asyncio.Protocol -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""

    def data_received(self, data: bytes) -> None:
        """Parse what the upstream sent."""
        parser = self._parser
        if parser is None or self.ended:
            # Nobody asked: whatever this is, it must not become the answer to the next call.
            self.keep_alive = False
            self.abort()
            return
        self.active_s = asyncio.get_running_loop().time()
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(UpstreamBroken("the upstream switched protocols without being asked to"))
        except httptools.HttpParserError as error:
            # The client gets what was readable before, then the break, as it would have directly.
            self.fail(UpstreamBroken(f"the upstream's answer is not HTTP: {error}"))
        self._wake()

    def eof_received(self) -> bool:
        """Let the transport close; ``connection_lost`` judges what it means."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End a body that lasts until the connection closes; break what is not whole."""
        self.closed = True
        if self._parser is not None and not self.ended:
            if self._head_ready and self._until_close and error is None:
                self.ended = True
            elif self._error is None:
                said = type(error).__name__ if error is not None else "closed"
                when = "in the middle of its answer" if self._head_ready else "before it answered"
                self._error = UpstreamBroken(f"the upstream broke the connection {when} ({said})")
        self._wake()
        self._lost(self)

    def pause_writing(self) -> None:
        """Note that the upstream takes no more for now."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # httptools callbacks --------------------------------------------------------------------------

    def on_status(self, reason: bytes) -> None:
        """Keep the reason phrase."""
        self._head.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer when the body has begun."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("headers too large")
        (self.trailers if self._head_ready else self._head.headers).append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head: an interim one is dropped, a final one is handed over."""
        parser = self._parser
        if parser is None:
            return
        status = parser.get_status_code()
        if status < 100:
            raise ValueError("not a status")
        if status < 200:
            self._informational = True
            self.continued = self.continued or status == 100
            return
        head = self._head
        head.status, head.at_ns = status, perf_counter_ns()
        self._head_ready = True
        self.keep_alive = bool(parser.should_keep_alive())
        if self._method == b"HEAD" or status in _NO_BODY:
            self.ended = True
        elif not self.keep_alive:
            self._until_close = not any(
                name.lower() in (b"content-length", b"transfer-encoding") for name, _ in head.headers
            )

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body; pause the upstream when too much waits."""
        if self.ended:  # an answer to HEAD has none
            self.keep_alive = False
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD_BYTES and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """End the exchange, unless it was an interim answer that ended."""
        if self._informational:
            self._informational = False
            self._head = Head()
            return
        self.ended = True

    def on_message_begin(self) -> None:
        """Break a connection on which a second answer begins: nobody asked for it."""
        if self.ended:
            raise ValueError("a second answer")
