"""An upstream that answers, fails and breaks off exactly as it is told, and remembers what it was asked.

async with Upstream(Reply(429, [("retry-after", "0")]), Reply(chunks=[b"{}"])) as upstream:
    ...                       # the replies are given in turn, the last one again and again
    upstream.requests[0].headers["authorization"]
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. ``refuse`` closes the connection unanswered, ``break_off`` before the last chunk's end.

    ``delay_s`` waits before the head. Chunks are sent in HTTP's chunked coding, one each.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    chunks: Sequence[bytes] = (b"{}",)
    delay_s: float = 0.0
    refuse: bool = False
    break_off: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Upstream:
    """A server on loopback. ``most_open`` counts the requests that were under way at the same time."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies) or [Reply()]
        self.requests: list[Request] = []
        self.port = 0
        self.open = 0
        self.most_open = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        method, target, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (item.partition(":") for item in lines)}
        body = await self._body(reader, headers)
        path = urlsplit(target).path
        if path == "/health":
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        self.requests.append(Request(method, target, headers, body))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        try:
            await asyncio.sleep(reply.delay_s)
            return await self._answer(reply, writer)
        finally:
            self.open -= 1

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int((await reader.readline()).strip(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)

    async def _answer(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        if reply.refuse:
            return False
        headers = {"content-type": "application/json"} | {name.lower(): value for name, value in reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} Told\r\n{head}transfer-encoding: chunked\r\n\r\n".encode("latin-1"))
        for chunk in reply.chunks:
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await writer.drain()
            await asyncio.sleep(0.01)
        if reply.break_off:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
