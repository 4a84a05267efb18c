"""The live tail as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spanhouse_server.errors import Forbidden, NotFound, SpanhouseError, Unauthenticated, Unavailable
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.traces import traces_by_id
from spanhouse_server.show.auth import ProjectId, project_of
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.live import Watcher
from spanhouse_server.show.params import FilterText
from spanhouse_server.show.schemas.traces import LiveTraces

router = APIRouter(tags=["live"])

HEARTBEAT_S = 15.0
#: Arrivals within this time go out together, so that one watcher costs few reads.
GATHER_S = 0.5
#: A client that does not take an event within this time is dropped.
SEND_TIMEOUT_S = 20.0
#: Traces per event; the rest is counted as missed.
MAX_PER_EVENT = 100


@router.get(
    "/live",
    operation_id="watchTraces",
    response_model=LiveTraces,
    responses={200: {"content": {"text/event-stream": {}}, "description": "A stream of `traces` events."}},
)
async def watch(request: Request, context: Context, project_id: ProjectId, q: FilterText = "") -> Response:
    """Stream traces as they are stored or change (server-sent events named `traces`).

    The data of an event is a LiveTraces object. A trace comes again when more of it arrives.
    """
    parse_filter(q)
    watcher = context.live.open(project_id)
    if watcher is None:
        raise Unavailable("too many live views are open", "close some, or reload now and then", retry_after_s=30)
    may_watch = partial(project_of, request, context, project_id)
    return EventStream(_events(context, watcher, q, may_watch), lambda: context.live.close(watcher))


async def _events(context: ShowContext, watcher: Watcher, q: str, may_watch: Callable[[], str]) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n: watching\n\n"
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(watcher.wake.wait(), HEARTBEAT_S)
        try:
            # A key may have been revoked, or a login ended, since the stream began.
            await run_in_threadpool(may_watch)
        except (Unauthenticated, Forbidden, NotFound):
            return
        except SpanhouseError:  # the keys cannot be looked up now: nothing is shown until they can
            await asyncio.sleep(HEARTBEAT_S)
            yield b": alive\n\n"
            continue
        if not watcher.wake.is_set():
            yield b": alive\n\n"
            continue
        await asyncio.sleep(GATHER_S)
        ids, missed = context.live.take(watcher)
        chosen = ids[-MAX_PER_EVENT:]
        try:
            items = await run_in_threadpool(traces_by_id, context.store, watcher.project_id, chosen, q)
        except SpanhouseError as error:
            yield _event("fault", {"code": error.code, "message": error.message, "hint": error.hint})
            continue
        missed += len(ids) - len(chosen)
        if items or missed:
            yield _event("traces", {"items": items, "missed": missed})


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), orjson.dumps(data))


class EventStream(Response):
    """Sends events until the client leaves or stops taking them."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], on_close: Any) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream as an ASGI reply."""
        sender = asyncio.ensure_future(self._send(send))
        leaver = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait((sender, leaver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sender, leaver):
                task.cancel()
            await asyncio.gather(sender, leaver, return_exceptions=True)
            self._on_close()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for chunk in self._events:
            body = {"type": "http.response.body", "body": chunk, "more_body": True}
            await asyncio.wait_for(send(body), SEND_TIMEOUT_S)
        await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
