"""WebSockets: once an upgrade is asked for, bytes pass both ways as they are.

Nothing is taken apart on the way: extensions, frame boundaries, pings and close codes are between the
client and the upstream. The copy for the record is read by the recorder. Only where a limit or a budget is used up
does the proxy close the connection itself, between two frames (``Cut``).

uvicorn hands a connection that asks for an upgrade to the protocol class it was given as ``ws``, with
the request's head: that is ``TunnelProtocol``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any, cast

from spanhouse_collector.errors import CollectorError, Refused, UpstreamError
from spanhouse_collector.parse.contract import CallEnd, Outcome
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.answer_head import AnswerHead
from spanhouse_collector.proxy.answers import refusal
from spanhouse_collector.proxy.calls import call_start, call_url, child_traceparent, guarded
from spanhouse_collector.proxy.cut import CLOSE_S, LOOK_S, Cut
from spanhouse_collector.proxy.headers import RawHeaders, sort_out
from spanhouse_collector.proxy.hook import Call, CallPolicy
from spanhouse_collector.proxy.relay import Relay
from spanhouse_collector.proxy.tee import CallTee
from spanhouse_collector.proxy.upstreams import Upstream

log = logging.getLogger("spanhouse.proxy")

#: What passes although it belongs to one connection: the two are one from now on.
_UPGRADE_HEADERS = (b"connection", b"upgrade")


class Tunnels:
    """The open tunnels of a proxy."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self._open: set[Tunnel] = set()

    def accept(self, transport: asyncio.Transport, method: bytes, target: bytes, headers: RawHeaders) -> Tunnel:
        """Open a tunnel for a client that asked for an upgrade; returns at once."""
        tunnel = Tunnel(self.relay, transport, method, target, headers)
        self._open.add(tunnel)
        tunnel.task.add_done_callback(lambda _: self._open.discard(tunnel))
        return tunnel

    def close(self) -> None:
        """Close every tunnel."""
        for tunnel in list(self._open):
            tunnel.task.cancel()


class _UpstreamSide(asyncio.Protocol):
    """The upstream's end: passes what comes to the tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._tunnel.from_upstream(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._tunnel.upstream_lost(error)

    def pause_writing(self) -> None:
        self._tunnel.client.pause_reading()

    def resume_writing(self) -> None:
        self._tunnel.resume_client()


class Tunnel:
    """One upgraded (or refused) connection."""

    def __init__(
        self, relay: Relay, client: asyncio.Transport, method: bytes, target: bytes, headers: RawHeaders
    ) -> None:
        self._relay = relay
        self.client = client
        self._begun_ns = perf_counter_ns()
        self._offset_ns = time.time_ns() - self._begun_ns
        self._method, self._target, self._headers = method, target, headers
        self._upstream: _UpstreamSide | None = None
        self._tee: CallTee | None = None
        self._call: Call | None = None
        self._policy: CallPolicy | None = None
        self._cut: Cut | None = None
        self._asked: Upstream | None = None
        self._answer = AnswerHead()
        self._waiting: list[bytes] = []
        self._over = asyncio.Event()
        self._outcome: tuple[Outcome, str, str] = ("complete", "", "")
        self._overhead_ns: int | None = None
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        relay = self._relay
        path, _, query = self._target.partition(b"?")
        path = path[6:] if path.startswith(b"/proxy/") else path
        try:
            call = self._call = await self._open(path, query)
            policy = self._policy = guarded(relay.policy.open, call)
        except CollectorError as error:
            self._refuse(error)
            return
        relay.metrics.open_calls.inc()
        reports = policy is not None and policy.reports
        if reports:
            relay.expect_report(call.number, self)
        self._asked = call.upstream
        self._tee = relay.tee.start(
            call.number, call.started_ns, call_start(call, self._rest, reports=reports) | {"websocket": True}
        )
        try:
            if policy is not None:
                await self._before(call, policy)
                self._cut = Cut(call, policy)
            waited_ns = perf_counter_ns()
            side = await relay.pool.connect(call.upstream, lambda: _UpstreamSide(self))
            waited_ns = perf_counter_ns() - waited_ns
            self._upstream = side
            assert side.transport is not None  # noqa: S101 - connected
            target = call.path + b"?" + call.query if call.query else call.path
            parts = [self._method, b" ", target, b" HTTP/1.1\r\n", *call.head.wire]
            for name, value in self._headers:
                if name in _UPGRADE_HEADERS:
                    parts += (name, b": ", value, b"\r\n")
            side.transport.write(b"".join([*parts, b"\r\n", *self._waiting]))
            for data in self._waiting:
                self._copy(frames.CLIENT_BYTES, data)
            self._waiting.clear()
            self._overhead_ns = perf_counter_ns() - self._begun_ns - waited_ns
            self.resume_client()
            await self._until_over()
        except (Refused, UpstreamError) as error:
            kind: Outcome = "refused" if isinstance(error, Refused) else "upstream_error"
            self._outcome = (kind, error.code, error.message)
            self._refuse(error)
        finally:
            self._close()
            self._end(call)

    async def _until_over(self) -> None:
        """Wait for the end; meanwhile look at limits and budgets, which others may use up too."""
        cut = self._cut
        while cut is not None and cut.reason is None and not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._over.wait()
            self._look()
        if cut is not None and cut.reason is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._over.wait()
        else:
            await self._over.wait()

    def _look(self) -> None:
        """End the connection if a limit or budget is used up."""
        cut = self._cut
        if cut is None or cut.reason is not None or self._over.is_set() or not self._answer.switched:
            return
        if cut.is_due() and cut.reason is not None:
            self._outcome = ("refused", cut.reason.code, cut.reason.message)
            self._say_why(cut)

    def _say_why(self, cut: Cut) -> None:
        """Tell the client as soon as a frame ends, and give the upstream up."""
        if words := cut.last_words():
            self.client.write(words)
            if self._upstream is not None and self._upstream.transport is not None:
                self._upstream.transport.close()

    def charged(self, summary: Mapping[str, Any]) -> None:
        """Take what was read of answers: they may have used up a limit."""
        if self._policy is not None:
            self._policy.charged(summary)
            self._look()

    async def _before(self, call: Call, policy: CallPolicy) -> None:
        """Let the policy refuse the tunnel, or change where it goes and with what key."""
        await policy.before(call)
        own = call.head.own
        call.head = sort_out(call.headers)
        call.head.own = own
        call.head.address(call.upstream.host_header, call.child_traceparent)

    async def _open(self, path: bytes, query: bytes) -> Call:
        relay = self._relay
        head = sort_out(self._headers)
        project = await relay.admit(self._method, self._headers, head)
        route = relay.router.route(path, query, self._headers, head.own)
        call_id = os.urandom(16).hex()
        child = child_traceparent(call_id, head, self._headers, query)
        head.address(route.upstream.host_header, child)
        self._rest = route.rest
        return Call(
            call_id=call_id,
            number=relay.next_number(),
            provider=route.upstream.name,
            method=self._method,
            upstream=route.upstream,
            path=route.path,
            query=query,
            headers=self._headers,
            head=head,
            project=project,
            started_ns=self._begun_ns + self._offset_ns,
            child_traceparent=child,
        )

    # Bytes ----------------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Pass bytes of the client on; before the upstream is there, keep them and read no more."""
        side = self._upstream
        if side is None or side.transport is None:
            self._waiting.append(data)
            self.client.pause_reading()
            return
        if self._answer.refused or (self._cut is not None and self._cut.reason is not None):
            return  # what follows a refused upgrade would reach the upstream unrouted
        side.transport.write(data)
        self._copy(frames.CLIENT_BYTES, data)

    def from_upstream(self, data: bytes) -> None:
        """Pass bytes of the upstream on, when they are on record."""
        at_ns = perf_counter_ns() + self._offset_ns
        body = self._answer.feed(data)
        if self._answer.fresh and self._tee is not None:
            self._answer.fresh = False
            self._tee.request_end(at_ns)
            self._tee.response_start(self._answer.status, self._answer.headers, at_ns)
        if self._cut is not None and self._answer.switched:
            head, body = data[: len(data) - len(body)], self._cut.passed(body)
            data = head + body
        self._copy(frames.SERVER_BYTES, body)
        if self._tee is not None:
            self._tee.hand_over()
        self.client.write(data)
        if self._cut is not None:
            self._say_why(self._cut)
        if self._answer.complete:
            self._over.set()

    def client_lost(self) -> None:
        """End the tunnel: the client is gone."""
        if not self._over.is_set() and not self._answer.switched:
            self._outcome = ("client_disconnected", "client_disconnected", "the client closed the connection")
        self._over.set()

    def upstream_lost(self, error: Exception | None) -> None:
        """End the tunnel: the upstream is gone."""
        if self._over.is_set() or (self._cut is not None and self._cut.said):
            return
        if self._cut is not None and self._cut.reason is not None:
            self._over.set()
            return
        if error is not None or not self._answer.status:
            said = type(error).__name__ if error is not None else "closed"
            self._outcome = ("upstream_error", "connection_broken", f"the upstream broke the connection ({said})")
        self._over.set()

    def pause_upstream(self) -> None:
        """Read no more from the upstream: the client does not take it."""
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.pause_reading()

    def resume_upstream(self) -> None:
        """Read on."""
        side = self._upstream
        if side is not None and side.transport is not None and not side.transport.is_closing():
            side.transport.resume_reading()

    def resume_client(self) -> None:
        """Read on from the client."""
        if not self.client.is_closing():
            self.client.resume_reading()

    # ----------------------------------------------------------------------------------------------

    def _copy(self, kind: int, data: bytes) -> None:
        if data and self._tee is not None:
            self._tee.part(kind, data, perf_counter_ns() + self._offset_ns)

    def _refuse(self, error: CollectorError) -> None:
        answer = refusal(error)
        lines = [b"HTTP/1.1 %d %s\r\n" % (answer.status, HTTPStatus(answer.status).phrase.encode())]
        lines += [name + b": " + value + b"\r\n" for name, value in answer.headers]
        self.client.write(b"".join([*lines, b"connection: close\r\n\r\n", *answer.chunks]))
        self.client.close()
        self._answer.status = answer.status

    def _close(self) -> None:
        if not self.client.is_closing():
            self.client.close()
        if self._upstream is not None and self._upstream.transport is not None:
            self._upstream.transport.close()

    def _end(self, call: Call) -> None:
        metrics = self._relay.metrics
        metrics.open_calls.dec()
        outcome, error_type, message = self._outcome
        end = CallEnd(outcome, perf_counter_ns() + self._offset_ns, error_type, message, self._overhead_ns)
        if self._tee is not None:
            moved = call.upstream is not self._asked
            self._tee.end(end, (call.provider, call_url(call)) if moved else None)
        if self._policy is not None:
            guarded(self._policy.ended, call, end)
        metrics.calls.labels(call.provider, outcome, str(self._answer.status or "")).inc()


class TunnelProtocol(asyncio.Protocol):
    """What uvicorn makes of a connection that asks for an upgrade. ``tunnels`` is set by ``bind``."""

    tunnels: Tunnels | None = None

    def __init__(self, config: Any, server_state: Any, app_state: Mapping[str, Any], _loop: Any = None) -> None:
        self._tunnel: Tunnel | None = None
        self._transport: asyncio.Transport | None = None
        self._connections = server_state.connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Take the request's head first, then bytes."""
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        assert self._transport is not None  # noqa: S101 - connected
        line, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = line.split(b" ", 2)
        headers: RawHeaders = []
        for header in lines:
            name, _, value = header.partition(b": ")
            headers.append((name, value))
        if self.tunnels is None or not self.wants(target):
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()
            return
        self._tunnel = self.tunnels.accept(self._transport, method, target, headers)

    def wants(self, target: bytes) -> bool:
        """Tell whether a WebSocket at this path is the proxy's."""
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the tunnel."""
        self._connections.discard(self)
        if self._tunnel is not None:
            self._tunnel.client_lost()

    def pause_writing(self) -> None:
        """Slow the upstream down."""
        if self._tunnel is not None:
            self._tunnel.pause_upstream()

    def resume_writing(self) -> None:
        """Let the upstream go on."""
        if self._tunnel is not None:
            self._tunnel.resume_upstream()

    def shutdown(self) -> None:
        """Close, because the server stops."""
        if self._transport is not None:
            self._transport.close()


def bind(tunnels: Tunnels, *, prefix: bytes = b"") -> type[TunnelProtocol]:
    """Return the protocol class for uvicorn's ``ws``, for paths that begin with ``prefix``."""

    class Bound(TunnelProtocol):
        def wants(self, target: bytes) -> bool:
            return target.startswith(prefix)

    Bound.tunnels = tunnels
    return Bound
