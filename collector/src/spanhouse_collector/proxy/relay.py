"""The relay: what all calls of one proxy share. ``passage.py`` is the way of one call."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

from spanhouse_collector.errors import ClientGone, Refused, UpstreamError
from spanhouse_collector.proxy.browsers import PageGuard
from spanhouse_collector.proxy.calls import guarded
from spanhouse_collector.proxy.exchange import Receive
from spanhouse_collector.proxy.headers import RawHeaders, RequestHead
from spanhouse_collector.proxy.hook import NoPolicy, Policy
from spanhouse_collector.proxy.metrics import ProxyMetrics
from spanhouse_collector.proxy.passage import Passage, Scope, Send
from spanhouse_collector.proxy.pool import Pool
from spanhouse_collector.proxy.routing import Router
from spanhouse_collector.proxy.tee import Tee

MAX_REPORTS = 10_000


class Gate(Protocol):
    """Decides who may use the proxy."""

    async def admit(self, own: Mapping[str, str]) -> str:
        """Return the project that a call with these headers of ours is recorded in.

        Raises ``Unauthenticated`` or ``Refused``.
        """


class Charged(Protocol):
    """Takes what the recorder read of a call (``CallPolicy.charged``)."""

    def charged(self, summary: Mapping[str, Any]) -> None:
        """See model, tokens, cost."""


class Relay:
    """Passes calls on. ``router`` says where, ``gate`` whose they are, ``policy`` what else applies."""

    def __init__(
        self,
        router: Router,
        pool: Pool,
        tee: Tee,
        gate: Gate,
        metrics: ProxyMetrics | None = None,
        policy: Policy | None = None,
        *,
        include_usage: bool = False,
        page_guard: PageGuard | None = None,
    ) -> None:
        self.router = router
        self.pool = pool
        self.tee = tee
        self.gate = gate
        self.policy = policy or NoPolicy()
        self.include_usage = include_usage
        self._page_guard = page_guard
        self.metrics = metrics or ProxyMetrics()
        self._numbers = itertools.count(1)
        self._reports: dict[int, Charged] = {}

    async def serve(self, scope: Scope, receive: Receive, send: Send, raw_path: bytes) -> None:
        """Serve one HTTP request for ``raw_path`` (``/{provider}/…``, still encoded)."""
        passage = Passage(self, scope, receive, send)
        try:
            await passage.run(raw_path)
        except (Refused, UpstreamError) as error:
            await passage.refuse(error)
        except ClientGone:
            pass

    async def admit(self, method: bytes, headers: RawHeaders, head: RequestHead) -> str:
        """Return the project that a call is recorded in; raise ``Refused`` for one that may not use the proxy."""
        self.check_page(method, headers)
        return await self.gate.admit(head.own)

    def check_page(self, method: bytes, headers: RawHeaders) -> None:
        """Raise ``ForeignPage`` for what another web site's page sent, where that matters."""
        if self._page_guard is not None:
            self._page_guard.check(method, headers)

    def report(self, number: int, summary: Mapping[str, Any]) -> None:
        """Take what the recorder read of a call to the policy that asked for it.

        Of a WebSocket that stays open (``more``) again and again; an empty one tells that nothing follows.
        """
        charged = self._reports.get(number) if summary.get("more") else self._reports.pop(number, None)
        if charged is not None and summary:
            guarded(charged.charged, summary)

    def expect_report(self, number: int, charged: Charged) -> None:
        """Keep who is charged until the call's report comes; the oldest make room."""
        self._reports[number] = charged
        if len(self._reports) > MAX_REPORTS:
            del self._reports[next(iter(self._reports))]

    def next_number(self) -> int:
        """Return a number that no other call of this process has."""
        return next(self._numbers)
