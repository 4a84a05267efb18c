"""Replies as bytes: orjson, never cached."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response

from spanhouse_server.errors import BadQuery, SpanhouseError, Unavailable


class JsonReply(Response):
    """A JSON reply. Data of a tenant is never kept by caches on the way."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"cache-control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:
        """Return the JSON text."""
        return orjson.dumps(content)


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
