"""Listening: one process that receives, answers and shows."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from spanhouse_server import __version__
from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError
from spanhouse_server.export import probes, prometheus
from spanhouse_server.house import House
from spanhouse_server.ops.logs import setup_logging
from spanhouse_server.ops.requests import CountRequests
from spanhouse_server.receive.grpc import start_grpc
from spanhouse_server.receive.http import routes as otlp_routes
from spanhouse_server.receive.receiver import Receiver
from spanhouse_server.show.api import router
from spanhouse_server.show.context import ShowContext
from spanhouse_server.show.faults import install_faults
from spanhouse_server.show.static import install_static

#: Open requests get this long to finish after a stop signal.
GRACE_S = 5
#: Exporters send every 5 s by default; a shorter keep-alive would close connections just as they do.
KEEP_ALIVE_S = 75
SNIPPET = """\
  pip install './sdk[openai]'

  import spanhouse
  spanhouse.init(endpoint="{url}", service_name="my-app")
"""


class Entrance:
    """Sends OTLP past the framework of the API: every span comes this way, and each layer costs it."""

    def __init__(self, otlp: ASGIApp, rest: ASGIApp) -> None:
        self._otlp = otlp
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        is_otlp = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (self._otlp if is_otlp else self._rest)(scope, receive, send)


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
    )
    install_faults(app)
    app.router.routes.extend(probes.routes(house.health))
    app.router.routes.extend(prometheus.routes(house.metrics))
    app.include_router(router(context))
    install_static(app)  # last: it answers what nobody else did
    return CountRequests(Entrance(Starlette(routes=otlp_routes(receiver)), app), house.metrics)


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop (SIGINT or SIGTERM)."""
    setup_logging(settings.log_level)
    listener = _listen(settings.host, settings.http_port)
    house = House(settings)
    house.open()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(house, listener))
    finally:
        house.close()


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's own handling raises them again, before the house is closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing."""
        yield

    def stop(self) -> None:
        """Stop listening and finish open requests; a second call does not wait for them."""
        self.force_exit = self.should_exit
        self.should_exit = True


async def _serve(house: House, listener: socket.socket) -> None:
    settings = house.settings
    receiver = Receiver(house.spool, house.access, settings, house.metrics)
    config = uvicorn.Config(
        create_app(house, receiver),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    grpc_server = None
    grpc_port = -1
    if settings.grpc_port >= 0:
        grpc_server, grpc_port = await start_grpc(receiver, settings)
    house.health.report("http", True)
    _greet(settings, listener.getsockname()[1], grpc_port)
    try:
        await server.serve(sockets=[listener])
    finally:
        if grpc_server is not None:
            await grpc_server.stop(GRACE_S)
        receiver.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            "another Spanhouse or an OpenTelemetry Collector may run there; choose another port with --http-port",
        ) from None
    listener.listen(1024)
    listener.set_inheritable(True)
    return listener


def _greet(settings: Settings, http_port: int, grpc_port: int) -> None:
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - only compared
    url = f"http://[{shown}]:{http_port}" if ":" in shown else f"http://{shown}:{http_port}"
    grpc = f"OTLP over gRPC on port {grpc_port}; " if grpc_port > 0 else ""
    print(
        f"\nSpanhouse is ready at {url}\n\n"
        f"  {grpc}data in {settings.data_dir.resolve()}\n"
        f"  Try `.venv/bin/spanhouse demo --endpoint {url}`, or in your application:\n\n{SNIPPET.format(url=url)}",
        flush=True,
    )
