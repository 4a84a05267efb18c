"""The part of Langfuse's API that its SDKs send with: ingestion, scores, media, and what they ask at start.

OTLP of Langfuse's newer SDKs comes in through ``vendors.DOORS``. Prompts, datasets, deleting and reading
back are Langfuse's own and answered with 404 and what to do instead.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from spanhouse_server import __version__
from spanhouse_server.config import MIB
from spanhouse_server.decode import Checked
from spanhouse_server.errors import (
    BadRequest,
    NotFound,
    SpanhouseError,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from spanhouse_server.receive import langfuse_media
from spanhouse_server.receive.http import read_body
from spanhouse_server.receive.langfuse_ingestion import Batch, read_batch, read_scores
from spanhouse_server.receive.receiver import JSON, PROTOBUF, Receiver
from spanhouse_server.receive.replies import bare, internal_fault
from spanhouse_server.receive.vendors import LANGFUSE_API

log = logging.getLogger("spanhouse.receive")

#: Langfuse itself takes about 4 MB; JSON unfolds to many times its size.
MAX_BODY_BYTES = 16 * MIB
#: What the SDKs say of an upload before they send it.
MAX_ANNOUNCEMENT_BYTES = 64 * 1024

#: By the beginning of a path below ``/api/public/`` that is not served: what to do instead. Langfuse's SDKs take 404 as
#: final: they log it, do not try again, and the application goes on.
INSTEAD = {
    "media": "fetch media at /api/v1/blobs/{hash}, as their spans show it",
    "v2/prompts": "pass `fallback` to get_prompt(), or keep prompts with Langfuse by a client of its own",
    "prompts": "pass `fallback` to get_prompt(), or keep prompts with Langfuse by a client of its own",
    "traces": "read traces at /api/v1/traces; they are deleted when their retention is over",
    "observations": "read spans at /api/v1/spans",
    "v2/observations": "read spans at /api/v1/spans",
    "sessions": "read sessions at /api/v1/sessions",
    "metrics": "read figures at /api/v1/metrics",
    "v2/metrics": "read figures at /api/v1/metrics",
}

Answer = Callable[[Request], Awaitable[Response]]
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def routes(receiver: Receiver) -> list[Route]:
    """Return the routes below ``/api/public/``; they go behind those of ``vendors.DOORS``."""

    async def ingestion(request: Request) -> Response:
        batch = await _kept(receiver, request, lambda body: read_batch(body, _sdk(request)))
        return _json({"successes": batch.successes, "errors": batch.errors}, 207)

    async def scores(request: Request) -> Response:
        batch = await _kept(receiver, request, lambda body: read_scores(body, _sdk(request)))
        if batch.is_list:
            errors = [{"message": error["error"]} for error in batch.errors]
            counts = {"accepted": batch.accepted, "rejected": len(errors), "errors": errors}
            return _json(counts, 207) if errors else _json({"message": "Accepted"}, 202)
        if batch.errors:
            raise BadRequest(batch.errors[0]["error"])
        return _json({"id": batch.successes[0]["id"]})

    async def announce(request: Request) -> Response:
        with receiver.in_flight.reserve() as reservation:
            project_id = await receiver.project_for(request.headers)
            body = await read_body(request, MAX_ANNOUNCEMENT_BYTES, reservation)
        grant = langfuse_media.asked(project_id, body, receiver.max_http_bytes)
        if uploaded.has(grant):
            return _json(langfuse_media.answer_to(grant, None))
        address = langfuse_media.address_of(request, grant, await receiver.signing_key())
        return _json(langfuse_media.answer_to(grant, address), 201)

    async def upload(request: Request) -> Response:
        text, media = request.query_params.get("grant", ""), request.path_params["media"]
        grant = langfuse_media.granted(text, media, await receiver.signing_key())
        with receiver.in_flight.reserve() as reservation:
            data = await read_body(request, grant.size_bytes, reservation)
            request.state.size_bytes = len(data)
            wire = await receiver.parsed(
                PROTOBUF, data, lambda: langfuse_media.record_of(grant, data).SerializeToString()
            )
            # No log to the eye either: the drain makes a blob of it.
            await receiver.keep("logs", grant.project_id, wire, Checked(1), counted=0)
        uploaded.add(grant)
        return Response(status_code=200)

    async def report(request: Request) -> Response:
        await receiver.project_for(request.headers)
        return Response(status_code=204)

    async def projects(request: Request) -> Response:
        project_id = await receiver.project_for(request.headers)
        organisation = {"id": "spanhouse", "name": "Spanhouse"}
        project = {"id": project_id, "name": project_id, "metadata": {}, "organization": organisation}
        return _json({"data": [project]})

    async def health(_: Request) -> Response:
        return _json({"status": "OK", "version": __version__})

    async def elsewhere(request: Request) -> Response:
        path = request.url.path[:200]
        hint = next((hint for part, hint in INSTEAD.items() if path[len(LANGFUSE_API) :].startswith(part)), "")
        raise NotFound(f"{request.method} {path} is not part of Langfuse's API that is served here", hint)

    guarded = _guard(receiver)
    uploaded = langfuse_media.Known()
    return [
        Route(f"{LANGFUSE_API}ingestion", guarded(ingestion, "logs"), methods=["POST"], name="langfuse_ingestion"),
        Route(f"{LANGFUSE_API}scores", guarded(scores, "logs"), methods=["POST"], name="langfuse_scores"),
        Route(f"{LANGFUSE_API}media", guarded(announce), methods=["POST"], name="langfuse_media"),
        Route(f"{LANGFUSE_API}media/{{media}}", guarded(report), methods=["PATCH"], name="langfuse_media_report"),
        Route(f"{LANGFUSE_API}media/{{media}}/bytes", guarded(upload, "logs"), methods=["PUT"], name="langfuse_upload"),
        Route(f"{LANGFUSE_API}projects", guarded(projects), methods=["GET"], name="langfuse_projects"),
        Route(f"{LANGFUSE_API}health", guarded(health), methods=["GET"], name="langfuse_health"),
        Route(
            LANGFUSE_API + "{rest:path}",
            guarded(elsewhere),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            name="langfuse_other",
        ),
    ]


def _guard(receiver: Receiver) -> Callable[..., Endpoint]:
    """Return what makes an endpoint answer every error in its proper form, and count those that ingest."""

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
                response = _refusal(refusal)
            except Exception:
                log.exception("an unexpected fault while serving %s", request.scope["path"][:100])
                refusal = internal_fault()
                response = _refusal(refusal)
            if signal:
                size_bytes = getattr(request.state, "size_bytes", 0)
                receiver.answered("langfuse", signal, response.status_code, perf_counter() - begun, size_bytes, refusal)
            return response

        endpoint.__name__ = f"langfuse_{answer.__name__}"  # what request metrics call it
        return endpoint

    return guarded


async def _kept(receiver: Receiver, request: Request, read: Callable[[bytes], Batch]) -> Batch:
    """Return what a request's body holds, once that is durable."""
    # Not only tidy: a page of another site cannot send this type without asking first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("the content type is not JSON", f"send {JSON}")
    with receiver.in_flight.reserve() as reservation:
        project_id = await receiver.project_for(request.headers)
        body = await read_body(request, min(MAX_BODY_BYTES, receiver.max_http_bytes), reservation)
        request.state.size_bytes = len(body)
        batch = await receiver.parsed(JSON, body, lambda: read(body))
        wire = batch.message.SerializeToString()
        # The events are no logs to the eye: their spans are counted, once the drain has made them.
        await receiver.keep("logs", project_id, wire, batch.checked(), counted=0)
    return batch


def _sdk(request: Request) -> dict[str, str]:
    """Return the sender's SDK by its headers, which older versions spell with underscores."""
    found = {}
    for part in ("name", "version"):
        value = request.headers.get(f"x-langfuse-sdk-{part}") or request.headers.get(f"x_langfuse_sdk_{part}") or ""
        found[part] = value[:100]
    return found


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


def _refusal(error: SpanhouseError) -> Response:
    """Return an error in our one form, with the `message` beside it that Langfuse's clients look for."""
    headers = {}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Basic realm="spanhouse"'
    shape = {"code": error.code, "message": error.message, "hint": error.hint}
    body = orjson.dumps({"error": shape, "message": error.message})
    return Response(body, status_code=error.http_status, headers=headers, media_type=JSON)
