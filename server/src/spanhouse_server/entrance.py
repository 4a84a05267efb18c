"""The HTTP application: where telemetry, the API and the page part."""

from __future__ import annotations

import threading

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from spanhouse_server import __version__
from spanhouse_server.export import probes, prometheus
from spanhouse_server.house import House
from spanhouse_server.ops.requests import CountRequests
from spanhouse_server.receive import PATHS, Receiver, http_routes
from spanhouse_server.show.api import PREFIX, prepare, router
from spanhouse_server.show.context import ShowContext
from spanhouse_server.show.faults import install_faults
from spanhouse_server.show.security import BrowserGuard
from spanhouse_server.show.static import install_static


class Entrance:
    """Sends telemetry past the framework of the API: every span comes this way, and each layer costs it.

    ``paths`` are the beginnings of the paths that ``telemetry`` serves: OTLP's and those of other vendors.
    """

    def __init__(self, telemetry: ASGIApp, paths: tuple[str, ...], rest: ASGIApp) -> None:
        self._telemetry = telemetry
        self._paths = paths
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        is_telemetry = scope["type"] == "http" and scope["path"].startswith(self._paths)
        await (self._telemetry if is_telemetry else self._rest)(scope, receive, send)


def create_app(house: House, receiver: Receiver) -> ASGIApp:
    """Return the HTTP application over an open house."""
    app = FastAPI(title="Spanhouse", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    context = ShowContext(
        store=house.store,
        records=house.records,
        access=house.access,
        settings=house.settings,
        spool=house.spool,
        live=house.live,
        prices=house.prices,
        remakes=house.remakes,
        runner=house.runner,
        budgets=house.budgets,
        outward=house.outward,
    )
    install_faults(app)
    app.router.routes.extend(probes.routes(house.health))
    app.router.routes.extend(prometheus.routes(house.metrics))
    app.include_router(router(context), prefix=PREFIX)
    install_static(app)  # last: it answers what nobody else did
    threading.Thread(target=prepare, args=(app,), name="spanhouse-routes", daemon=True).start()
    entrance = Entrance(Starlette(routes=http_routes(receiver)), PATHS, app)
    return CountRequests(BrowserGuard(entrance, house.settings, PATHS), house.metrics)
