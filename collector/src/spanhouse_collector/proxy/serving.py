"""What ASGI does not know and a transparent proxy needs, added to uvicorn's HTTP protocol; and bounds it has not.

Four extensions appear in ``scope["extensions"]``: ``http.response.trailers`` (as ASGI defines it, for
answers sent in chunks); ``spanhouse.request.trailers``, a list that has those of the request once its
body ended; ``spanhouse.abort``, whose ``call`` breaks the connection off, so that an answer that
broke upstream looks broken to the client too; and ``spanhouse.unsent``, whose ``bytes`` tells how much the
client's connection has not taken yet, and whose ``taken`` waits for it and tells whether it took all.

A request's head may have ``MAX_HEAD_BYTES`` and take ``HEAD_S``; answers to HTTP/1.0 end with the connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from spanhouse_collector.proxy.http1 import MAX_HEAD_BYTES

#: How long a client may take for the head of a request, from its first byte.
HEAD_S = 60.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
# uvicorn knows the statuses up to 599; an upstream may send any of three digits.
STATUS_LINE.update({status: b"HTTP/1.1 %d \r\n" % status for status in range(600, 1000)})


class RelayCycle(RequestResponseCycle):
    """One request and its answer, with trailers and breaking off."""

    _trailers_follow = False
    _until_close = False
    _protocol: RelayProtocol

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Send one part of an answer."""
        kind = message["type"]
        if kind == "http.response.trailers":
            self._send_trailers(message["headers"])
            return
        if kind == "http.response.start":
            self._trailers_follow = bool(message.get("trailers"))
            if self.scope["http_version"] == "1.0" and not _has_length(message.get("headers", ())):
                # Chunks came with 1.1: the end of the connection is the end of the answer.
                self._until_close, self.chunked_encoding = True, False
        elif self._until_close:
            self.expected_content_length = len(message.get("body", b""))
        elif self._trailers_follow and not message.get("more_body"):
            if self.chunked_encoding and self.scope["method"] != "HEAD":
                if message.get("body"):
                    await super().send({"type": "http.response.body", "body": message["body"], "more_body": True})
                return
            self._trailers_follow = False
        await super().send(message)  # type: ignore[arg-type]

    def _send_trailers(self, trailers: list[tuple[bytes, bytes]]) -> None:
        """End an answer that was sent in chunks."""
        if not self._trailers_follow or self.disconnected or self.response_complete:
            return
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in trailers)
        self.transport.write(b"0\r\n" + lines + b"\r\n")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def unsent_bytes(self) -> int:
        """Return how much of what was sent waits for the client."""
        return self.transport.get_write_buffer_size()

    async def taken(self) -> bool:
        """Wait until nothing waits for the client; tell whether its connection took everything."""
        with suppress(RuntimeError):  # the connection is gone already
            self.transport.set_write_buffer_limits(high=0)  # writing is paused for as long as anything waits
        await self.flow.drain()
        with suppress(RuntimeError):
            self.transport.set_write_buffer_limits()
        return not (self.disconnected or self._protocol.broken)

    @classmethod
    def adopt(cls, cycle: RequestResponseCycle, protocol: RelayProtocol) -> RelayCycle:
        """Make uvicorn's cycle one of these."""
        cycle.__class__ = cls
        assert isinstance(cycle, cls)  # noqa: S101 - just made one
        cycle._protocol = protocol
        return cycle

    def abort(self) -> None:
        """Break off: what is sent arrives, but never looks whole."""
        # The server takes it for the client's doing and does not complain about a missing end.
        self.disconnected = True
        if self._until_close:
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


def _has_length(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-length" for name, _ in headers)


class RelayProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol, whose answers may be broken off and may have trailers."""

    _trailers: list[tuple[bytes, bytes]] | None = None
    #: The connection ended by a fault while something waited to be sent.
    broken = False
    #: Bytes of a head that came in pieces; nothing while none is under way.
    _head_bytes: int | None = None
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection; one on which nothing is asked is closed like one on which nothing more is."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that does not come to its end is bounded in size and time."""
        super().data_received(data)
        if self._head_bytes is None or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._refuse, _TOO_LATE)

    def _refuse(self, answer: bytes) -> None:
        self._head_done()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _head_done(self) -> None:
        self._head_bytes = None
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._trailers = None
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes after the body is a trailer, which uvicorn would take for one."""
        if self._trailers is None:
            super().on_header(name, value)
        else:
            self._trailers.append((name.lower(), value))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the answers under way; one that ended may still have bytes to send."""
        self.broken = exc is not None and self.flow.write_paused
        self._head_done()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Begin a request; it gets the extensions before its task first runs."""
        self._head_done()
        before = self.cycle
        trailers = self._trailers = []
        super().on_headers_complete()
        if self.cycle is not before:
            cycle = RelayCycle.adopt(self.cycle, self)
            extensions: dict[str, Any] = {
                "http.response.trailers": {},
                "spanhouse.abort": {"call": cycle.abort},
                "spanhouse.unsent": {"bytes": cycle.unsent_bytes, "taken": cycle.taken},
                "spanhouse.request.trailers": trailers,
            }
            self.scope["extensions"] = extensions
