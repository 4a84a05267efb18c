"""The proxy as an ASGI application, and what it consists of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from spanhouse_collector.errors import Refused
from spanhouse_collector.proxy.answers import refusal
from spanhouse_collector.proxy.browsers import PageGuard
from spanhouse_collector.proxy.egress import Egress
from spanhouse_collector.proxy.headers import sort_out
from spanhouse_collector.proxy.hook import Answer, Policy
from spanhouse_collector.proxy.metrics import ProxyMetrics
from spanhouse_collector.proxy.pool import Pool
from spanhouse_collector.proxy.process import RecorderProcess, RecorderSetup
from spanhouse_collector.proxy.relay import Gate, Relay
from spanhouse_collector.proxy.routing import Router
from spanhouse_collector.proxy.tee import Tee
from spanhouse_collector.proxy.tunnel import Tunnels
from spanhouse_collector.proxy.upstreams import Upstreams

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MIB = 1024 * 1024
#: No upstream's name begins like this.
_OPERATOR_PATHS = (b"/-/",)
#: How far the recorder may be behind before calls are left out of the record.
MAX_BACKLOG_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """What the operator decides. ``upstreams`` maps names to base URLs, times are in seconds.

    ``include_usage`` asks for usage on every chat stream that would carry none (``stream_usage.py``).
    ``egress`` is the URL of another proxy to go out through, or ``environment`` (``egress.py``).
    ``page_guard`` judges whether a web page made a browser call; without it every page may (keys are asked for).
    """

    upstreams: Mapping[str, str] = field(default_factory=dict)
    target_hosts: Sequence[str] = ()
    connect_timeout_s: float = 30.0
    idle_timeout_s: float = 3600.0
    include_usage: bool = False
    page_guard: PageGuard | None = None
    egress: str = ""


class OperatorPages(Protocol):
    """Pages for whoever runs the proxy."""

    def answer(self, method: bytes, path: str, query: str, own: Mapping[str, str]) -> Answer:
        """Return the answer to a request; raise ``Refused``. ``own`` are its headers of ours."""


class Proxy:
    """The parts of a proxy, started and stopped together, on one event loop."""

    def __init__(
        self,
        options: ProxyOptions,
        setup: RecorderSetup,
        gate: Gate,
        metrics: ProxyMetrics | None = None,
        policy: Policy | None = None,
        operator: OperatorPages | None = None,
    ) -> None:
        """``operator`` answers what is asked below ``/-/``."""
        self.upstreams = Upstreams(options.upstreams, options.target_hosts)
        self.pool = Pool(
            connect_timeout_s=options.connect_timeout_s,
            idle_timeout_s=options.idle_timeout_s,
            egress=Egress.of_setting(options.egress),
        )
        self.recorder = RecorderProcess(setup)
        self.tee = Tee(self.recorder, MAX_BACKLOG_BYTES)
        self.metrics = metrics or ProxyMetrics()
        self.metrics.watch(self.stats)
        self.relay = Relay(
            Router(self.upstreams),
            self.pool,
            self.tee,
            gate,
            self.metrics,
            policy,
            include_usage=options.include_usage,
            page_guard=options.page_guard,
        )
        self.tunnels = Tunnels(self.relay)
        self.recorder.on_report = self.relay.report
        self._operator = operator

    async def start(self) -> None:
        """Start recording. While the recorder cannot be started, calls are passed on all the same."""
        await self.relay.policy.start(self.metrics)
        await self.recorder.start()

    async def stop(self) -> None:
        """Hand over what is gathered, close connections, end the recorder."""
        self.tunnels.close()
        self.tee.flush()
        await self.recorder.stop()
        await self.pool.close()
        await self.relay.policy.close()

    def stats(self) -> Mapping[str, int]:
        """Return what was dropped, sent and waits."""
        return {
            **self.recorder.stats(),
            "dropped_behind": self.tee.dropped,
            "restarts": self.recorder.restarts,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request to ``/proxy/{provider}/…`` or, alone on a port, ``/{provider}/…``."""
        if scope["type"] != "http":
            return
        path = below_proxy(raw_path(scope))
        if self._operator is not None and path.startswith(_OPERATOR_PATHS):
            await self._operate(self._operator, scope, send, path)
        else:
            await self.relay.serve(scope, receive, send, path)

    async def _operate(self, operator: OperatorPages, scope: Scope, send: Send, path: bytes) -> None:
        method, headers = scope["method"].encode(), scope["headers"]
        try:
            self.relay.check_page(method, headers)
            query = scope["query_string"].decode("latin-1")
            answer = operator.answer(method, path.decode("latin-1"), query, sort_out(headers).own)
        except Refused as error:
            answer = refusal(error)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": b"".join(answer.chunks)})


def raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent, still encoded."""
    raw: bytes | None = scope.get("raw_path")
    return raw if raw is not None else str(scope["path"]).encode()


def below_proxy(path: bytes) -> bytes:
    """Return the path without a leading ``/proxy``."""
    return path[6:] if path.startswith(b"/proxy/") else path
