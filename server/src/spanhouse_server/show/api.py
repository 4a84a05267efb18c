"""The query API under ``/api/v1``: puts the handlers together."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request

from spanhouse_server.show.context import ShowContext
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.routes import (
    admin,
    alert_channels,
    alert_rules,
    alerts,
    backfills,
    blobs,
    budgets,
    cost,
    figures,
    ingest,
    latency,
    live,
    login,
    people,
    prices,
    remake,
    scores,
    slos,
    spans,
    traces,
)
from spanhouse_server.show.schemas.common import ErrorReply
from spanhouse_server.show.security import check_browser

PREFIX = "/api/v1"
#: Larger bodies are refused before they are read; nothing the API takes comes near it.
MAX_BODY_BYTES = 16 * 1024 * 1024

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorReply, "description": "The request cannot be read; the message says what is wrong."},
    401: {"model": ErrorReply, "description": "A key is missing, unknown or revoked."},
    403: {"model": ErrorReply, "description": "The key does not open this."},
    404: {"model": ErrorReply, "description": "No such thing in this project."},
    503: {"model": ErrorReply, "description": "Cannot be done now; try again after Retry-After seconds."},
}


def router(context: ShowContext) -> APIRouter:
    """Return the routes of the API below ``PREFIX``, bound to ``context``.

    Include it with ``prefix=PREFIX``: FastAPI then works its routes out at the first request, not at once
    (``prepare``). ``faults.install_faults`` gives the app the error shape that these routes rely on.
    """

    async def bind(request: Request) -> None:
        request.scope["spanhouse.show"] = context
        check_browser(request, context.settings)

    api = APIRouter(dependencies=[Depends(bind)], responses=_ERRORS, max_body_size=MAX_BODY_BYTES)
    for part in (traces, spans, people, figures, scores, live, ingest, admin, login, prices, remake, backfills, blobs):
        api.include_router(part.router)
    # The last one has a path that would take in those of the others.
    for part in (cost, latency, budgets, slos, alert_rules, alert_channels, alerts):
        api.include_router(part.router)

    @api.get("/openapi.json", include_in_schema=False)
    def get_openapi_document() -> JsonReply:
        from spanhouse_server.show.openapi import document

        return JsonReply(document())

    return api


def prepare(app: FastAPI) -> None:
    """Work out the routes, which the first request would wait for."""
    scope = {"type": "http", "method": "GET", "path": f"{PREFIX}/", "headers": []}
    for route in app.routes:
        route.matches(scope)
