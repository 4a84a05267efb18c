"""The part of Langfuse's API that its SDKs send with: ingestion, scores, media, and what they ask at start.

OTLP of Langfuse's newer SDKs comes in through ``vendors.DOORS``. Prompts, datasets, deleting and reading
back are Langfuse's own and answered with 404 and what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spanhouse_server import __version__
from spanhouse_server.config import MIB
from spanhouse_server.decode import Checked
from spanhouse_server.errors import BadRequest, NotFound, UnsupportedMediaType
from spanhouse_server.receive import langfuse_media
from spanhouse_server.receive.answers import guard, json_answer
from spanhouse_server.receive.http import read_body
from spanhouse_server.receive.langfuse_ingestion import Batch, read_batch, read_scores
from spanhouse_server.receive.receiver import JSON, PROTOBUF, Receiver
from spanhouse_server.receive.vendors import LANGFUSE_API

#: Langfuse itself takes about 4 MB; JSON unfolds to many times its size.
MAX_BODY_BYTES = 16 * MIB
#: What the SDKs say of an upload before they send it.
MAX_ANNOUNCEMENT_BYTES = 64 * 1024

_PROMPTS = "pass `fallback` to get_prompt(), or keep prompts with Langfuse by a client of its own"
_DATASETS = "run_experiment() takes `data` from your own code; or keep datasets with Langfuse by a client of its own"
#: By the beginning of a path below ``/api/public/`` that is not served: what to do instead. Langfuse's SDKs take 404 as
#: final: they log it, do not try again, and the application goes on.
INSTEAD = {
    "media": "fetch media at /api/v1/blobs/{hash}, as their spans show it",
    "v2/prompts": _PROMPTS,
    "prompts": _PROMPTS,
    "v2/datasets": _DATASETS,
    "dataset": _DATASETS,
    "traces": "read traces at /api/v1/traces; they are deleted when their retention is over",
    "observations": "read spans at /api/v1/spans",
    "v2/observations": "read spans at /api/v1/spans",
    "scores": "read and delete scores at /api/v1/scores",
    "v2/scores": "read scores at /api/v1/scores",
    "v3/scores": "read scores at /api/v1/scores",
    "sessions": "read sessions at /api/v1/sessions",
    "metrics": "read figures at /api/v1/metrics",
    "v2/metrics": "read figures at /api/v1/metrics",
    "models": "own prices are kept at /api/v1/prices",
    "comments": "say it in the `comment` of a score",
}


def routes(receiver: Receiver) -> list[Route]:
    """Return the routes below ``/api/public/``; they go behind those of ``vendors.DOORS``."""
    api = _Api(receiver)
    guarded = guard(receiver, "langfuse")
    ingesting = (("POST", "ingestion", api.ingestion), ("POST", "scores", api.scores),
                 ("PUT", "media/{media}/bytes", api.upload))  # fmt: skip
    asking = (("POST", "media", api.announce), ("PATCH", "media/{media}", api.report),
              ("GET", "projects", api.projects), ("GET", "health", api.health))  # fmt: skip
    served = [
        Route(LANGFUSE_API + path, guarded(answer, signal), methods=[method], name=f"langfuse_{answer.__name__}")
        for signal, table in (("logs", ingesting), ("", asking))
        for method, path, answer in table
    ]
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return [*served, Route(LANGFUSE_API + "{rest:path}", guarded(_elsewhere), methods=methods, name="langfuse_other")]


class _Api:
    """What is answered at each path."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._uploaded = langfuse_media.Known()

    async def ingestion(self, request: Request) -> Response:
        """Keep a batch of events; say of each whether it was taken."""
        batch = await self._kept(request, lambda body: read_batch(body, _sdk(request)))
        return json_answer({"successes": batch.successes, "errors": batch.errors}, 207)

    async def scores(self, request: Request) -> Response:
        """Keep a score, or a list of them."""
        batch = await self._kept(request, lambda body: read_scores(body, _sdk(request)))
        if batch.is_list:
            errors = [{"message": error["error"]} for error in batch.errors]
            counts = {"accepted": batch.accepted, "rejected": len(errors), "errors": errors}
            return json_answer(counts, 207) if errors else json_answer({"message": "Accepted"}, 202)
        if batch.errors:
            raise BadRequest(batch.errors[0]["error"])
        return json_answer({"id": batch.successes[0]["id"]})

    async def announce(self, request: Request) -> Response:
        """Say where media is to be sent, unless it is here already."""
        receiver = self._receiver
        with receiver.in_flight.reserve() as reservation:
            project_id = await receiver.project_for(request.headers)
            body = await read_body(request, MAX_ANNOUNCEMENT_BYTES, reservation)
        grant = langfuse_media.asked(project_id, body, receiver.max_http_bytes)
        if self._uploaded.has(grant):
            return json_answer(langfuse_media.answer_to(grant, None))
        address = langfuse_media.address_of(request, grant, await receiver.signing_key())
        return json_answer(langfuse_media.answer_to(grant, address), 201)

    async def upload(self, request: Request) -> Response:
        """Keep media that was announced."""
        receiver = self._receiver
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
        self._uploaded.add(grant)
        return Response(status_code=200)

    async def report(self, request: Request) -> Response:
        """Take note that an upload is over, which is known here already."""
        await self._receiver.project_for(request.headers)
        return Response(status_code=204)

    async def projects(self, request: Request) -> Response:
        """Say which project the key opens (``auth_check()``)."""
        project_id = await self._receiver.project_for(request.headers)
        organisation = {"id": "spanhouse", "name": "Spanhouse"}
        project = {"id": project_id, "name": project_id, "metadata": {}, "organization": organisation}
        return json_answer({"data": [project]})

    async def health(self, _: Request) -> Response:
        """Say that the server is there."""
        return json_answer({"status": "OK", "version": __version__})

    async def _kept(self, request: Request, read: Callable[[bytes], Batch]) -> Batch:
        """Return what a request's body holds, once that is durable."""
        receiver = self._receiver
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


async def _elsewhere(request: Request) -> Response:
    path = request.url.path[:200]
    hint = next((hint for part, hint in INSTEAD.items() if path[len(LANGFUSE_API) :].startswith(part)), "")
    raise NotFound(f"{request.method} {path} is not part of Langfuse's API that is served here", hint)


def _sdk(request: Request) -> dict[str, str]:
    """Return the sender's SDK by its headers, which older versions spell with underscores."""
    found = {}
    for part in ("name", "version"):
        value = request.headers.get(f"x-langfuse-sdk-{part}") or request.headers.get(f"x_langfuse_sdk_{part}") or ""
        found[part] = value[:100]
    return found
