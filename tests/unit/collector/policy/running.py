"""The whole proxy with policies on a real port, in the test's event loop; the recorder, where there
is one, is its real process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry, generate_latest
from uvicorn.server import ServerState

from spanhouse_collector.errors import Unauthenticated
from spanhouse_collector.policy.engine import PolicyEngine, with_pools
from spanhouse_collector.policy.pool_pages import PoolPages
from spanhouse_collector.policy.settings import read_document
from spanhouse_collector.proxy.app import Proxy, ProxyOptions
from spanhouse_collector.proxy.process import RecorderSetup
from spanhouse_collector.proxy.serving import RelayProtocol
from spanhouse_collector.proxy.tunnel import bind
from spanhouse_collector.proxy.upstreams import Upstreams

CHAT = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
USAGE = orjson.dumps({
    "id": "c", "object": "chat.completion", "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
})  # fmt: skip
SSE = [("content-type", "text/event-stream")]
CACHE = {"cache": {"max_mb": 16}}
FAST = {"Spanhouse_Retry_Enabled": "true", "Spanhouse_Retry_Min_Timeout": "1", "Spanhouse_Retry_Max_Timeout": "5"}
WEBSOCKET = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13"}
REAL = "sk-real-0123456789abcdefghij"
JSON = {"content-type": "application/json", "authorization": "Bearer sk-caller"}


@dataclass
class Answered:
    """What a client got. ``broken`` tells that the body never looked whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False


@dataclass
class Running:
    """A proxy that runs, and a client of it."""

    url: str
    engine: PolicyEngine
    client: aiohttp.ClientSession
    delivered: list[bytes]
    registry: CollectorRegistry

    def metrics(self) -> str:
        """Return what a scrape gets."""
        return generate_latest(self.registry).decode()

    async def ask(
        self, path: str = "/openai/v1/chat/completions", body: bytes | None = CHAT, **headers: str
    ) -> Answered:
        """Send one request; underscores in names of headers are hyphens."""
        sent = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        method = "GET" if body is None else "POST"
        async with self.client.request(method, self.url + path, data=body, headers=sent) as answer:
            try:
                return Answered(answer.status, answer.headers, await answer.read())
            except aiohttp.ClientPayloadError:
                return Answered(answer.status, answer.headers, b"", broken=True)


class OpenGate:
    """Lets everyone in; ``Spanhouse-Key`` names the project."""

    async def admit(self, own: Mapping[str, str]) -> str:
        return own.get("key", "default")


def operator_only(own: Mapping[str, str]) -> None:
    """Let those pass who say ``Spanhouse-Key: operator``."""
    if own.get("key") != "operator":
        raise Unauthenticated("this needs the operator's key")


@asynccontextmanager
async def running(
    data_dir: Path, upstreams: Mapping[str, str], policy: Mapping[str, Any] | None = None, *, recorded: bool = False
) -> AsyncIterator[Running]:
    """Run a proxy with these upstreams and this policy file; ``recorded`` with its recorder."""
    delivered: list[bytes] = []

    async def deliver(project: str, spans: int, body: bytes) -> None:
        delivered.append(body)

    settings = read_document(dict(policy or {}), "policy")
    options = with_pools(ProxyOptions(upstreams=upstreams, connect_timeout_s=2), settings)
    engine = PolicyEngine(settings, Upstreams(options.upstreams), data_dir)
    setup = RecorderSetup(queue_path=data_dir / "queue.db", queue_max_bytes=1 << 24, deliver=deliver)
    proxy = Proxy(options, setup, OpenGate(), policy=engine, operator=PoolPages(engine.pools, operator_only))
    # uvicorn's protocol without its server, whose stopping takes tenths of seconds.
    config = uvicorn.Config(proxy, http=RelayProtocol, ws=bind(proxy.tunnels), log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    listener = await asyncio.get_running_loop().create_server(
        lambda: RelayProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    if recorded:
        await proxy.start()
    else:
        await engine.start(proxy.metrics)
    try:
        async with aiohttp.ClientSession() as client:
            port = listener.sockets[0].getsockname()[1]
            yield Running(f"http://127.0.0.1:{port}", engine, client, delivered, proxy.metrics.registry)
    finally:
        listener.close()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await proxy.stop()


def chain(*targets: object) -> dict[str, str]:
    """Return the header that asks for a chain of fallbacks."""
    return {"Spanhouse_Fallbacks": orjson.dumps(targets).decode()}


def pool(*members: str, **more: object) -> dict[str, Any]:
    """Return a policy file with one pool, ``llama``."""
    return {"pools": {"llama": {"members": list(members)} | more}}


def attributes_of(delivered: list[bytes]) -> list[dict[str, object]]:
    """Return the attributes of every span that was recorded, in order."""
    found = []
    for body in delivered:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {item.key: item.value for item in span.attributes}
                    found.append({name: getattr(value, value.WhichOneof("value")) for name, value in values.items()})
    return found
