"""One try at an upstream: sends a request as it comes from the client, and waits for the answer's head."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from spanhouse_collector.errors import ClientGone, UpstreamError
from spanhouse_collector.proxy.headers import RawHeaders
from spanhouse_collector.proxy.hook import Call
from spanhouse_collector.proxy.http1 import Connection, Head
from spanhouse_collector.proxy.pool import Pool

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

#: How long a client's ``Expect: 100-continue`` is left to the upstream before the body is asked for
#: anyway: many servers ignore it, and clients wait about as long themselves.
CONTINUE_S = 1.0


class ClientBody:
    """The client's side of a call: its body piece by piece, then whether it is still there.

    ``seen`` gets every piece once. ``trailers`` is the server's list, complete when the body has ended.
    """

    def __init__(self, receive: Receive, trailers: RawHeaders, has_body: bool, seen: Callable[[bytes], None]) -> None:
        self._receive = receive
        self.trailers = trailers
        self._seen = seen
        self._pushed_back = b""
        self.more = has_body
        self.gone = False
        self.bytes = 0
        self.waited_ns = 0

    async def next(self) -> bytes:
        """Return the next piece; ``more`` turns false with the last. Raises ``ClientGone``."""
        if self._pushed_back:
            kept, self._pushed_back = self._pushed_back, b""
            return kept
        before_ns = perf_counter_ns()
        message = await self._receive()
        self.waited_ns += perf_counter_ns() - before_ns
        if message["type"] == "http.disconnect":
            self.gone = True
            raise ClientGone("the client closed the connection while it sent its request")
        self.more = bool(message.get("more_body"))
        data: bytes = message.get("body", b"")
        if data:
            self.bytes += len(data)
            self._seen(data)
        return data

    def push_back(self, data: bytes) -> None:
        """Let ``next`` return this first; only while ``more`` is true."""
        self._pushed_back = data

    async def whole(self, limit_bytes: int) -> bytes | None:
        """Return the whole body, or ``None`` when it is longer: then it still comes by ``next``."""
        pieces = []
        while self.more and self.bytes <= limit_bytes:
            pieces.append(await self.next())
        if self.more:
            # It goes out once, as it comes, with what was read already first.
            self.push_back(b"".join(pieces))
            return None
        return b"".join(pieces)

    async def until_gone(self) -> None:
        """Return when the client has closed its connection."""
        while not self.gone:
            message = await self._receive()
            self.gone = message["type"] == "http.disconnect"


class Exchange:
    """A request on its way on one connection, and the watch over the client meanwhile.

    ``sent_ns`` (``perf_counter_ns``) says when the head was written, ``own_ns`` how long that took without
    connecting and waiting for the client: the proxy's own time.
    """

    def __init__(self, pool: Pool, call: Call, body: ClientBody) -> None:
        self._pool = pool
        self._call = call
        self._body = body
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None
        self.sent_ns = 0
        self.own_ns = 0

    @property
    def connection(self) -> Connection:
        """Return the connection; only after ``start``."""
        assert self._connection is not None  # noqa: S101 - tells the type checker
        return self._connection

    async def start(self) -> Head:
        """Send the request and return the answer's head; raise ``UpstreamError`` or ``ClientGone``."""
        call, body = self._call, self._body
        begun_ns, waited_before_ns = perf_counter_ns(), body.waited_ns
        first = b""
        if call.body is None and body.more and not call.head.expects_continue:
            first = await body.next()
        before_ns = perf_counter_ns()
        connection = self._connection = await self._pool.acquire(call.upstream)
        waited_ns = perf_counter_ns() - before_ns + body.waited_ns - waited_before_ns
        connection.begin(call.method)
        self._write_head(connection, first)
        self.sent_ns = perf_counter_ns()
        self.own_ns = self.sent_ns - begun_ns - waited_ns
        self._watch = asyncio.create_task(self._rest())
        return await connection.head()

    def _write_head(self, connection: Connection, first: bytes) -> None:
        call, body = self._call, self._body
        target = call.path + b"?" + call.query if call.query else call.path
        parts = [call.method, b" ", target, b" HTTP/1.1\r\n", *call.head.wire, b"\r\n"]
        chunked = bool(call.head.transfer_encoding)
        if call.body is not None:
            parts += _framed(call.body, chunked)
            if chunked:
                parts.append(b"0\r\n\r\n")
            connection.sent_whole = True
        else:
            parts += _framed(first, chunked)
            if not body.more:
                parts.append(self._last_chunk())
                connection.sent_whole = True
        connection.write(b"".join(parts))

    def _last_chunk(self) -> bytes:
        if not self._call.head.transfer_encoding:
            return b""
        trailers = b"".join(name + b": " + value + b"\r\n" for name, value in self._body.trailers)
        return b"0\r\n" + trailers + b"\r\n"

    async def _rest(self) -> None:
        """Send what is left of the body, then watch whether the client is still there."""
        connection, body = self.connection, self._body
        try:
            if not connection.sent_whole:
                if self._call.head.expects_continue:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(CONTINUE_S):
                            await connection.until_continued()
                    if connection.answered:
                        # A final answer came instead: the client need not send its body at all.
                        await body.until_gone()
                        return
                chunked = bool(self._call.head.transfer_encoding)
                while body.more:
                    data = await body.next()
                    if data:
                        connection.write(b"".join(_framed(data, chunked)))
                        await connection.drain()
                connection.write(self._last_chunk())
                connection.sent_whole = True
            await body.until_gone()
        except UpstreamError:
            return  # whoever reads the answer gets the same error
        except ClientGone:
            pass
        connection.fail(ClientGone("the client closed the connection before its answer was whole"))

    def close(self) -> None:
        """End the watch and give the connection back."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._connection is not None:
            self._pool.release(self._connection)
            self._connection = None


def _framed(data: bytes, chunked: bool) -> list[bytes]:
    """Return the parts to write for a piece of a body."""
    if not data:
        return []
    return [b"%x\r\n" % len(data), data, b"\r\n"] if chunked else [data]
