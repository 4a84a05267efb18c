"""Listening: one process that receives, answers and shows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from spanhouse_server.config import Settings
from spanhouse_server.derive.alerts.channels.contract import NoOutward, Outward
from spanhouse_server.errors import ConfigError
from spanhouse_server.house import ADDRESS_FILE, House, put_in_place
from spanhouse_server.ops.logs import setup_logging
from spanhouse_server.receive import Receiver, start_grpc

#: Open requests get this long to finish after a stop signal.
GRACE_S = 5
#: Exporters send every 5 s by default; a shorter keep-alive would close connections just as they do.
KEEP_ALIVE_S = 75
#: A thread that computes (the drain, a worker) gives the interpreter up to one that waits for it after so long; Python's
#: 5 ms held a proxied call up several times on its way. Shorter still, and busy connections lose to the computing.
SWITCH_INTERVAL_S = 0.002
SNIPPET = """\
  pip install './sdk[openai]'

  import spanhouse
  spanhouse.init(endpoint="{url}", service_name="my-app")
"""


if TYPE_CHECKING:
    from spanhouse_server.proxy_mount import ProxyMount

log = logging.getLogger("spanhouse")


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop (SIGINT or SIGTERM)."""
    setup_logging(settings.log_level)
    listener = _listen(settings.host, settings.http_port)
    # Port 0 was any: links in notifications name the one it got.
    settings = Settings(settings.values | {"http_port": listener.getsockname()[1]})
    house = House(settings, outward_of(settings))
    with ThreadPoolExecutor(1) as beside:
        opening = beside.submit(house.open)
        # The framework and the API take about as long to import as the stores to open.
        importlib.import_module("spanhouse_server.entrance")
        opening.result()
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
    from spanhouse_server.entrance import create_app

    app = create_app(house, receiver)
    proxy = _proxy(settings, receiver, house)
    listening: dict[str, Any] = {"ws": "none"}
    if proxy is not None:
        app, listening = proxy.front(app), proxy.uvicorn_options()
        await proxy.start()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        **listening,
    )
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    grpc_server = None
    grpc_port = -1
    if settings.grpc_port >= 0:
        grpc_server, grpc_port = await start_grpc(receiver, settings)
    house.health.report("http", True)
    _greet(settings, grpc_port)
    address = Path(settings.data_dir) / ADDRESS_FILE
    put_in_place(address, _url(settings.host, settings.http_port))
    _leave_lasting_objects_alone()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    house.work()
    try:
        await server.serve(sockets=[listener])
    finally:
        address.unlink(missing_ok=True)
        if grpc_server is not None:
            await grpc_server.stop(GRACE_S)
        if proxy is not None:
            await proxy.stop()
        receiver.close()


def _proxy(settings: Settings, receiver: Receiver, house: House) -> ProxyMount | None:
    """Return the logging proxy, unless it is turned off or the collector is not installed."""
    if not settings.proxy:
        return None
    try:
        from spanhouse_server.proxy_mount import ProxyMount
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("spanhouse_collector"):
            raise
        log.info("no proxy at /proxy: spanhouse-collector is not installed")
        return None
    return ProxyMount(settings, receiver, house.metrics.registry, house.budgets, house.access.is_admin)


def outward_of(settings: Settings) -> Outward:
    """Return the guard of notifications on their way out; without the collector nothing goes out."""
    try:
        from spanhouse_server.outward import Guard
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(("spanhouse_collector", "cryptography")):
            raise
        return NoOutward()
    return Guard(settings)


def _leave_lasting_objects_alone() -> None:
    """Keep the collector of cycles off what was made so far: it all lives as long as the server does.

    Looking through it again took up to 190 ms, in which nothing else ran. It is not looked through now either:
    the little garbage that a start leaves is not worth making the first requests wait.
    """
    gc.freeze()
    gc.enable()


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


def _url(host: str, port: int) -> str:
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - only compared
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _greet(settings: Settings, grpc_port: int) -> None:
    url = _url(settings.host, settings.http_port)
    grpc = f"OTLP over gRPC on port {grpc_port}; " if grpc_port > 0 else ""
    print(
        f"\nSpanhouse is ready at {url}\n\n"
        f"  {grpc}data in {settings.data_dir.resolve()}\n"
        f"  Try `.venv/bin/spanhouse demo --endpoint {url}`, or in your application:\n\n{SNIPPET.format(url=url)}",
        flush=True,
    )
