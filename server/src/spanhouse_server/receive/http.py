"""OTLP over HTTP: ``POST /v1/traces``, ``/v1/logs``, ``/v1/metrics``, and the same behind vendors' prefixes.

Plain Starlette routes without dependency injection, since every span comes through here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from spanhouse_server.errors import SpanhouseError, Unauthenticated, Unavailable, UnsupportedMediaType
from spanhouse_server.receive.decompress import Unpacking, too_large
from spanhouse_server.receive.receiver import JSON, PROTOBUF, Receiver, Reservation
from spanhouse_server.receive.replies import bare, encode, export_response, internal_fault, status_of
from spanhouse_server.receive.vendors import DOORS
from spanhouse_server.spool.contract import SIGNALS

log = logging.getLogger("spanhouse.receive")

#: What senders write, and how it is read. Answers carry the sender's own spelling.
MEDIA_TYPES = {
    "application/x-protobuf": PROTOBUF,
    "application/protobuf": PROTOBUF,
    "application/vnd.google.protobuf": PROTOBUF,
    "application/json": JSON,
}
#: A body that makes no progress for this long is given up, so that it does not hold its memory.
STALLED_S = 30.0
#: So is one that has not arrived whole after this long: four that trickle would hold all the memory there is for bodies.
#: Exporters give up after ten seconds.
ARRIVAL_S = 180.0
#: The loop is given a turn after unpacking this much.
BREATHE_BYTES = 1024 * 1024


def routes(receiver: Receiver) -> list[Route]:
    """Return the OTLP routes: the standard's own first, then those of other vendors."""
    endpoints = {signal: _endpoint(receiver, signal) for signal in SIGNALS}
    return [
        Route(f"{door.prefix}/v1/{signal}{slash}", endpoint, methods=["POST"], name=f"otlp_{signal}")
        for door in DOORS
        for signal, endpoint in endpoints.items()
        for slash in ("", "/")
    ]


def _endpoint(receiver: Receiver, signal: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def export(request: Request) -> Response:
        begun = perf_counter()
        size_bytes = 0
        refusal: SpanhouseError | None = None
        given_type = JSON
        try:
            with receiver.in_flight.reserve() as reservation:
                given_type, media_type = _media_type(request)
                project_id = await receiver.project_for(request.headers)
                body = await read_body(request, receiver.max_http_bytes, reservation)
                size_bytes = len(body)
                outcome = await receiver.accept(signal, project_id, media_type, body)
            answer = encode(export_response(signal, outcome), media_type)
            response = Response(answer, headers={"content-type": given_type})
        except ClientDisconnect:
            # Nobody is there to read an answer; the sender will send again.
            return Response(status_code=400)
        except SpanhouseError as error:
            refusal = bare(error)
            response = _refusal(refusal, given_type)
        except Exception:
            log.exception("an unexpected fault while accepting %s", signal)
            refusal = internal_fault()
            response = _refusal(refusal, given_type)
        receiver.answered("http", signal, response.status_code, perf_counter() - begun, size_bytes, refusal)
        return response

    return export


def _media_type(request: Request) -> tuple[str, str]:
    """Return the content type as given and as understood; raise ``UnsupportedMediaType``."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_type = MEDIA_TYPES.get(given)
    if media_type is None:
        said = f"content type {given[:60]!r} is not OTLP" if given else "the content type is missing"
        raise UnsupportedMediaType(said, f"send {PROTOBUF} or {JSON}")
    return given, media_type


async def read_body(request: Request, limit_bytes: int, reservation: Reservation) -> bytes:
    """Read and unpack the body, in no more memory than ``limit_bytes``."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise too_large(limit_bytes)
    unpacking = Unpacking(request.headers.get("content-encoding"), limit_bytes)
    now_s = asyncio.get_running_loop().time
    latest_s = now_s() + ARRIVAL_S
    since_turn_bytes = 0
    try:
        async with asyncio.timeout(STALLED_S) as patience:
            async for chunk in request.stream():
                patience.reschedule(min(now_s() + STALLED_S, latest_s))
                for piece_bytes in unpacking.add(chunk):
                    reservation.add(piece_bytes)
                    since_turn_bytes += piece_bytes
                    if since_turn_bytes > BREATHE_BYTES:
                        since_turn_bytes = 0
                        await asyncio.sleep(0)
    except TimeoutError:
        said = "arrives too slowly" if now_s() >= latest_s else "stopped arriving"
        raise Unavailable(f"the body {said}", "send it again", retry_after_s=1) from None
    return unpacking.body()


def _refusal(error: SpanhouseError, given_type: str) -> Response:
    headers = {"content-type": given_type}
    if isinstance(error, Unavailable):
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="spanhouse"'
    body = encode(status_of(error), MEDIA_TYPES[given_type])
    return Response(body, status_code=error.http_status, headers=headers)
