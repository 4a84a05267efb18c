"""Answers in JSON to the clients of other vendors' APIs, and what makes sure that each gets one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from spanhouse_server.errors import SpanhouseError, Unauthenticated, Unavailable
from spanhouse_server.receive.receiver import JSON, Receiver
from spanhouse_server.receive.replies import bare, internal_fault

log = logging.getLogger("spanhouse.receive")

Answer = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def json_answer(content: Any, status: int = 200) -> Response:
    """Return an answer with this content."""
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


def json_refusal(error: SpanhouseError, more: Mapping[str, str] | None = None) -> Response:
    """Return an error in our one form, with the fields beside it that other vendors' clients look for.

    Langfuse's, Opik's and MLflow's show ``message``, LangSmith's and Phoenix's ``detail``; as they show nothing
    else, the advice is part of it.
    """
    headers = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Basic realm="spanhouse"'
    shape = {"code": error.code, "message": error.message, "hint": error.hint}
    body = orjson.dumps({"error": shape, "message": error.said, "detail": error.said, **(more or {})})
    return Response(body, status_code=error.http_status, headers=headers, media_type=JSON)


def guard(receiver: Receiver, transport: str) -> Callable[..., Endpoint]:
    """Return what makes an endpoint answer every error in its proper form.

    Where it is given a ``signal``, the endpoint ingests: its answers are counted as those of ``transport``.
    """

    def guarded(answer: Answer, signal: str = "") -> Endpoint:
        async def endpoint(request: Request) -> Response:
            begun = perf_counter()
            refusal: SpanhouseError | None = None
            try:
                response = await answer(request)
            except ClientDisconnect:
                return Response(status_code=400)
            except SpanhouseError as error:
                refusal = bare(error)
                response = json_refusal(refusal)
            except Exception:
                log.exception("an unexpected fault while serving %s", request.scope["path"][:100])
                refusal = internal_fault()
                response = json_refusal(refusal)
            if signal:
                size_bytes = getattr(request.state, "size_bytes", 0)
                receiver.answered(transport, signal, response.status_code, perf_counter() - begun, size_bytes, refusal)
            return response

        endpoint.__name__ = f"{transport}_{answer.__name__.lstrip('_')}"  # what request metrics call it
        return endpoint

    return guarded
