"""The logging proxy inside the server, at ``/proxy``: the only place that knows the collector.

Calls to providers share the listener with everything else but none of its work: they go straight to the
collector's relay, and what it records comes back as OTLP into our own spool. A spool that is full or a
store that is away makes records wait in the proxy's queue, never a call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanhouse_collector.config import parse_upstreams
from spanhouse_collector.errors import CollectorError, Refused, Undeliverable
from spanhouse_collector.errors import Unauthenticated as ProxyUnauthenticated
from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy.budgets import UsedBudget
from spanhouse_collector.policy.engine import policy_for
from spanhouse_collector.policy.pool_pages import PoolPages
from spanhouse_collector.proxy.alone import secret_of
from spanhouse_collector.proxy.app import Proxy, ProxyOptions
from spanhouse_collector.proxy.browsers import PageGuard
from spanhouse_collector.proxy.metrics import ProxyMetrics
from spanhouse_collector.proxy.process import RecorderSetup
from spanhouse_collector.proxy.serving import RelayProtocol
from spanhouse_collector.proxy.tunnel import bind
from spanhouse_server import __version__
from spanhouse_server.config import MIB, Settings
from spanhouse_server.derive.budgets.callers import Caller
from spanhouse_server.derive.budgets.guard import BudgetGuard
from spanhouse_server.errors import ConfigError, SpanhouseError, Unavailable
from spanhouse_server.receive import Receiver
from spanhouse_server.receive.receiver import PROTOBUF
from spanhouse_server.store.access import DEFAULT_PROJECT

log = logging.getLogger("spanhouse.proxy")

PREFIX = "/proxy/"
#: An answer about a key is believed this long; after that it is used once more while it is asked again.
FRESH_S = 3.0
MAX_REMEMBERED = 10_000


class ProjectGate:
    """Tells a call's project by its Spanhouse key, from memory whenever there is one.

    The records store is asked beside the call for keys that were seen before, so a slow or absent store
    delays nobody; a revoked key works for at most one call after ``FRESH_S``.
    """

    def __init__(self, receiver: Receiver, keys_required: bool) -> None:
        self._receiver = receiver
        self._keys_required = keys_required
        self._known: dict[tuple[str, str], tuple[str | CollectorError, float]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def admit(self, own: Mapping[str, str]) -> str:
        """Return the project; raise ``Refused`` for a key that opens none."""
        asked = (secret_of(own), own.get("project", ""))
        if asked == ("", "") and not self._keys_required:
            return DEFAULT_PROJECT
        known = self._known.get(asked)
        if known is None:
            return await self._ask(asked)
        answer, read_s = known
        if time.monotonic() - read_s > FRESH_S and asked not in self._asking:
            task = asyncio.create_task(self._ask(asked))
            self._asking[asked] = task
            task.add_done_callback(lambda done: self._asked(asked, done))
        if isinstance(answer, CollectorError):
            raise answer
        return answer

    def _asked(self, asked: tuple[str, str], done: asyncio.Task[str]) -> None:
        self._asking.pop(asked, None)
        if not done.cancelled():
            done.exception()  # it is remembered; nobody waits for it

    async def _ask(self, asked: tuple[str, str]) -> str:
        secret, project = asked
        headers = {"x-spanhouse-key": secret, "x-spanhouse-project": project}
        answer: str | CollectorError
        try:
            answer = await self._receiver.project_for({name: value for name, value in headers.items() if value})
        except Unavailable as error:
            known = self._known.get(asked)
            if known is not None and isinstance(known[0], str):
                return known[0]
            raise Refused(f"the key cannot be checked now: {error.message}", error.hint) from None
        except SpanhouseError as error:
            kind = ProxyUnauthenticated if error.http_status == 401 else Refused
            answer = kind(error.message, "send a project's key as `Spanhouse-Auth: Bearer <key>`")
        if len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[asked] = (answer, time.monotonic())
        if isinstance(answer, CollectorError):
            raise answer
        return answer


class GuardedBudgets:
    """The server's enforced budgets, as the proxy asks about them."""

    def __init__(self, guard: BudgetGuard) -> None:
        self._guard = guard

    def watches(self, project: str) -> bool:
        """Tell whether any budget of a project is enforced."""
        return self._guard.watches(project)

    def used_up(self, project: str, context: CallContext, key_id: str) -> UsedBudget | None:
        """Return a budget that is used up for a caller, nothing when none is."""
        caller = Caller(
            project,
            user_id=context.user_id,
            session_id=context.session_id,
            environment=context.environment,
            prompt_name=context.prompt_name,
            prompt_version=context.prompt_version,
            tags=context.tags,
            metadata={**context.properties, "key_id": key_id},
        )
        used = self._guard.used_up(caller)
        return used and UsedBudget(used.name, used.value, used.limit_usd, used.used_usd, used.until_s)


class ProxyMount:
    """The proxy of one server."""

    def __init__(
        self,
        settings: Settings,
        receiver: Receiver,
        registry: CollectorRegistry,
        budgets: BudgetGuard | None = None,
        is_admin: Callable[[str | None], bool] = lambda secret: False,
    ) -> None:
        """``budgets`` tells which enforced budgets are used up; without it none are enforced.

        ``is_admin`` tells whether a key is the operator's.
        """
        folder = Path(settings.data_dir).resolve() / "proxy"
        setup = RecorderSetup(
            queue_path=folder / "queue.db",
            queue_max_bytes=int(settings.proxy_queue_mb) * MIB,
            resource={"service.name": "spanhouse-proxy", "service.version": __version__},
            deliver=self._deliver,
            lazy=True,
        )
        try:
            options = ProxyOptions(
                upstreams=parse_upstreams(settings.proxy_upstreams),
                target_hosts=[host.strip() for host in settings.proxy_target_hosts.split(",") if host.strip()],
                include_usage=bool(settings.proxy_include_usage),
                egress=settings.proxy_egress,
                page_guard=None if settings.keys_required else PageGuard(settings.origins),
            )
            options, policy = policy_for(
                options, settings.proxy_policy, folder, settings.proxy_master_key, budgets and GuardedBudgets(budgets)
            )
            gate = ProjectGate(receiver, settings.keys_required)
            pages = PoolPages(policy.pools, self._check_operator)
            self.proxy = Proxy(options, setup, gate, ProxyMetrics(registry), policy, pages)
        except CollectorError as error:
            raise ConfigError(error.message, error.hint) from None
        self._receiver = receiver
        self._is_admin = is_admin

    def uvicorn_options(self) -> dict[str, Any]:
        """Return what the listener needs so that answers pass unchanged.

        ``Date`` is left to ``Front``: an upstream's answer has one already.
        """
        return {
            "http": RelayProtocol,
            "ws": bind(self.proxy.tunnels, prefix=PREFIX.encode()),
            "date_header": False,
        }

    def front(self, rest: ASGIApp) -> Front:
        """Return the application with the proxy before ``rest``."""
        return Front(self.proxy, rest)

    async def start(self) -> None:
        """Start recording; raise ``ConfigError``."""
        try:
            await self.proxy.start()
        except CollectorError as error:
            raise ConfigError(error.message, error.hint) from None

    async def stop(self) -> None:
        """Keep what is recorded and stop."""
        await self.proxy.stop()

    def _check_operator(self, own: Mapping[str, str]) -> None:
        if not self._is_admin(secret_of(own) or None):
            raise ProxyUnauthenticated("this needs the admin key", "send it as `Spanhouse-Auth: Bearer <key>`")

    async def _deliver(self, project: str, spans: int, body: bytes) -> None:
        """Take spans of the recorder into the spool; raise ``Undeliverable``."""
        try:
            await self._receiver.accept("traces", project or DEFAULT_PROJECT, PROTOBUF, body)
        except Unavailable as error:
            raise Undeliverable(error.message, retry=True, retry_after_s=error.retry_after_s) from None
        except SpanhouseError as error:
            raise Undeliverable(error.message, retry=False) from None


class Front:
    """Stands before everything: calls for the proxy go there, the rest to ``rest`` and gets its ``Date``."""

    def __init__(self, proxy: ASGIApp, rest: ASGIApp, now_s: Callable[[], float] = time.time) -> None:
        self._proxy = proxy
        self._rest = rest
        self._now_s = now_s
        self._second = 0
        self._date = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        if scope["path"].startswith(PREFIX):
            await self._proxy(scope, receive, send)
            return

        async def dated_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [(b"date", self._now()), *message.get("headers", ())]
            await send(message)

        await self._rest(scope, receive, dated_send)

    def _now(self) -> bytes:
        now_s = self._now_s()
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._date = formatdate(now_s, usegmt=True).encode()
        return self._date
