"""The proxy alone on a port: ``spanhouse-collector proxy``."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

import uvicorn
import uvloop
from prometheus_client import generate_latest

from spanhouse_collector import __version__
from spanhouse_collector.config import Settings
from spanhouse_collector.errors import ConfigError, Unauthenticated
from spanhouse_collector.policy.engine import policy_for
from spanhouse_collector.policy.pool_pages import PoolPages
from spanhouse_collector.policy.remote_budgets import RemoteBudgets
from spanhouse_collector.proxy.app import MIB, Proxy, ProxyOptions
from spanhouse_collector.proxy.browsers import PageGuard
from spanhouse_collector.proxy.endpoint import Endpoint
from spanhouse_collector.proxy.process import RecorderSetup
from spanhouse_collector.proxy.serving import RelayProtocol
from spanhouse_collector.proxy.tunnel import bind

#: Calls under way get this long to finish after a stop signal.
GRACE_S = 30
#: Clients keep connections for minutes; closing first would make their next call fail.
KEEP_ALIVE_S = 300

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class KeyGate:
    """Lets calls in that carry the key; without one, all. Everything is recorded in one project."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    async def admit(self, own: Mapping[str, str]) -> str:
        """Return the project; raise ``Unauthenticated``."""
        self.check(own)
        return ""

    def check(self, own: Mapping[str, str]) -> None:
        """Raise ``Unauthenticated`` for headers of ours without the key."""
        if self._key and not hmac.compare_digest(secret_of(own).encode(), self._key):
            raise Unauthenticated("this proxy asks for a key", "send it as a header: `Spanhouse-Auth: Bearer <key>`")


def secret_of(own: Mapping[str, str]) -> str:
    """Return the Spanhouse key in a call's headers of ours, empty without one."""
    given = own.get("auth", "")
    scheme, _, rest = given.partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else given) or own.get("key", "")


class Alone:
    """The proxy with its own health and metrics pages."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path in ("/healthz", "/readyz"):
            await _page(send, b"application/json", json.dumps({"status": "ok", **self._proxy.stats()}).encode())
        elif path == "/metrics":
            await _page(send, b"text/plain; version=0.0.4", generate_latest(self._proxy.metrics.registry))
        else:
            await self._proxy(scope, receive, send)


async def _page(send: Send, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """Leaves signals to us: the recorder has to be ended after the last call."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing."""
        yield


def serve(settings: Settings) -> None:
    """Run the proxy until it is told to stop (SIGINT or SIGTERM)."""
    endpoint = Endpoint.parse(settings.endpoint)
    listener = _listen(settings.proxy_host, settings.proxy_port)
    headers = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    setup = RecorderSetup(
        queue_path=settings.proxy_data_dir.resolve() / "queue.db",
        queue_max_bytes=settings.proxy_queue_mb * MIB,
        endpoint=settings.endpoint,
        headers=headers,
        resource={"service.name": "spanhouse-proxy", "service.version": __version__},
    )
    options = ProxyOptions(
        upstreams=settings.upstreams,
        target_hosts=settings.target_hosts,
        connect_timeout_s=settings.proxy_connect_timeout_s,
        idle_timeout_s=settings.proxy_idle_timeout_s,
        include_usage=settings.proxy_include_usage,
        egress=settings.proxy_egress,
        page_guard=PageGuard(settings.origins) if not settings.proxy_key else None,
    )
    budgets = RemoteBudgets(endpoint, headers) if settings.proxy_budgets else None
    options, policy = policy_for(
        options, settings.proxy_policy, settings.proxy_data_dir.resolve(), settings.proxy_master_key, budgets
    )
    gate = KeyGate(settings.proxy_key)
    proxy = Proxy(options, setup, gate, policy=policy, operator=PoolPages(policy.pools, gate.check))
    if budgets is not None:
        budgets.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(proxy, settings, listener))
    finally:
        if budgets is not None:
            budgets.stop()


async def _serve(proxy: Proxy, settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        Alone(proxy),
        http=RelayProtocol,
        ws=bind(proxy.tunnels),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    server = _Server(config)

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await proxy.start()
    host = settings.proxy_host
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    print(
        f"\nThe proxy is ready at {url}\n\n"
        f"  spans go to {settings.endpoint}, and wait in {settings.proxy_data_dir.resolve()} while it is away\n"
        f'  client = OpenAI(base_url="{url}/openai/v1")\n',
        flush=True,
    )
    try:
        await server.serve(sockets=[listener])
    finally:
        await proxy.stop()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another port with --port"
        ) from None
    listener.listen(1024)
    return listener
