"""Replies as bytes: orjson, never cached, compressed where that pays."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from spanhouse_server.errors import BadQuery, SpanhouseError, Unavailable

#: Shorter replies fit into one packet or two as they are.
COMPRESS_FROM_BYTES = 1024
#: Longer ones are compressed in a thread, so that they hold up no other reply.
_COMPRESS_ASIDE_FROM_BYTES = 256 * 1024
#: The higher levels take ten times as long to save a tenth more.
_LEVEL = 1


class JsonReply(Response):
    """A JSON reply. Data of a tenant is never kept by caches on the way."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """Return the JSON text."""
        return orjson.dumps(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply, gzipped for those who take that."""
        if len(self.body) >= COMPRESS_FROM_BYTES:
            self.headers.add_vary_header("accept-encoding")
            if takes_gzip(Headers(scope=scope).get("accept-encoding", "")):
                await self._compress()
        await super().__call__(scope, receive, send)

    async def _compress(self) -> None:
        body = bytes(self.body)
        if len(body) < _COMPRESS_ASIDE_FROM_BYTES:
            self.body = gzip.compress(body, _LEVEL, mtime=0)
        else:
            self.body = await run_in_threadpool(gzip.compress, body, _LEVEL, mtime=0)
        self.headers["content-encoding"] = "gzip"
        self.headers["content-length"] = str(len(self.body))


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether a client that sent this header takes gzip: named (or ``*``) and not with a weight of 0."""
    for item in accept_encoding.lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() in ("gzip", "*"):
            return not weight.strip() or weight.strip().removeprefix("q=").strip("0.") != ""
    return False


def error_reply(error: SpanhouseError) -> JsonReply:
    """Return the reply for an error, in the one shape that every error has."""
    detail: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, BadQuery) and error.position >= 0:
        detail |= {"position": error.position, "length": error.length}
    headers = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return JsonReply({"error": detail}, error.http_status, headers)


def plain_error(status: int, code: str, message: str, hint: str = "", **more: Any) -> JsonReply:
    """Return an error reply that no exception of ours stands for."""
    return JsonReply({"error": {"code": code, "message": message, "hint": hint, **more}}, status)
