"""Turns every fault on the API's paths into the one error shape."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.show.replies import error_reply, plain_error
from spanhouse_server.show.schemas.faults import of_the_kind_given, place, words

log = logging.getLogger("spanhouse.show")

_BY_STATUS = {
    404: ("not_found", "no such path", "the paths are listed at /api/v1/openapi.json"),
    405: ("method_not_allowed", "this path does not take that method", "see /api/v1/openapi.json"),
    413: ("body_too_large", "the body is too large", "send less at once"),
}
MAX_DETAILS = 20


def install_faults(app: FastAPI) -> None:
    """Register the handlers; what is not found outside ``/api/`` keeps the framework's own reply."""
    app.add_exception_handler(SpanhouseError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _ours(request: Request, error: Exception) -> Response:
    fault = cast("SpanhouseError", error)
    if fault.http_status >= 500 and fault.http_status != 503:
        log.error("%s %s failed: %s", request.method, request.url.path, fault.message)
    return error_reply(fault)


async def _invalid(request: Request, error: Exception) -> Response:
    fault = cast("RequestValidationError", error)
    if not _is_api(request):
        return await request_validation_exception_handler(request, fault)
    details = [_detail(item) for item in of_the_kind_given(fault.errors())[:MAX_DETAILS]]
    first = details[0] if details else {"where": "request", "message": "invalid"}
    message = f"{first['where']}: {first['message']}"
    return plain_error(400, "bad_request", message, "see /api/v1/openapi.json", details=details)


def _is_api(request: Request) -> bool:
    return f"{request.url.path}/".startswith("/api/")


def _detail(item: Mapping[str, Any]) -> dict[str, str]:
    return {"where": place(item), "message": words(item)}


async def _http(request: Request, error: Exception) -> Response:
    fault = cast("HTTPException", error)
    if not _is_api(request) and fault.status_code != 405:
        return await http_exception_handler(request, fault)
    code, message, hint = _BY_STATUS.get(fault.status_code, ("bad_request", str(fault.detail), ""))
    reply = plain_error(fault.status_code, code, message, hint)
    for name, value in (fault.headers or {}).items():
        reply.headers[name] = value
    return reply


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return plain_error(500, "internal_error", "something failed inside Spanhouse", "its log says what")
