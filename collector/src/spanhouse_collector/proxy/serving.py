"""What ASGI does not know and a transparent proxy needs, added to uvicorn's HTTP protocol.

Three extensions appear in ``scope["extensions"]``: ``http.response.trailers`` (as ASGI defines it, for
answers sent in chunks); ``spanhouse.request.trailers``, a list that has those of the request once its
body ended; and ``spanhouse.abort``, whose ``call`` breaks the connection off, so that an answer that
broke upstream looks broken to the client too.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class RelayCycle(RequestResponseCycle):
    """One request and its answer, with trailers and breaking off."""

    _trailers_follow = False

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Send one part of an answer."""
        kind = message["type"]
        if kind == "http.response.trailers":
            self._send_trailers(message["headers"])
            return
        if kind == "http.response.start":
            self._trailers_follow = bool(message.get("trailers"))
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

    def abort(self) -> None:
        """Break off: what is sent arrives, but never looks whole."""
        # The server takes it for the client's doing and does not complain about a missing end.
        self.disconnected = True
        self.transport.close()


class RelayProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol, whose answers may be broken off and may have trailers."""

    _trailers: list[tuple[bytes, bytes]] | None = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._trailers = None
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes after the body is a trailer, which uvicorn would take for one."""
        if self._trailers is None:
            super().on_header(name, value)
        else:
            self._trailers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin a request; it gets the extensions before its task first runs."""
        before = self.cycle
        trailers = self._trailers = []
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not before:
            cycle.__class__ = RelayCycle
            assert isinstance(cycle, RelayCycle)  # noqa: S101 - just made one
            extensions: dict[str, Any] = {
                "http.response.trailers": {},
                "spanhouse.abort": {"call": cycle.abort},
                "spanhouse.request.trailers": trailers,
            }
            self.scope["extensions"] = extensions
