"""Connections to upstreams: made to checked addresses, kept for a few seconds, watched for silence."""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from spanhouse_collector.errors import UpstreamTimeout, UpstreamUnreachable
from spanhouse_collector.proxy.addresses import resolve
from spanhouse_collector.proxy.egress import Egress, Gateway, tunnel
from spanhouse_collector.proxy.http1 import Connection
from spanhouse_collector.proxy.upstreams import Upstream

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)

#: Shorter than the 5 s after which common servers close an idle connection: a call must not be sent
#: on one that is being closed, since it could not be told whether it was worked on.
KEEP_IDLE_S = 4.0
MAX_IDLE_PER_UPSTREAM = 256
#: The next address is tried beside the last one after this long (RFC 8305 asks for 250 ms).
NEXT_ADDRESS_S = 0.25
SWEEP_S = 1.0


class Pool:
    """All connections to upstreams of one proxy. Used on one event loop only."""

    def __init__(
        self, *, connect_timeout_s: float = 30.0, idle_timeout_s: float = 3600.0, egress: Egress | None = None
    ) -> None:
        self._egress = egress
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._idle: dict[tuple[str, str, int, bool], deque[Connection]] = {}
        self._active: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def acquire(self, upstream: Upstream) -> Connection:
        """Return a connection to the upstream, a kept one where there is one.

        Raises ``ForbiddenTarget``, ``UpstreamUnreachable`` or ``UpstreamTimeout``.
        """
        kept = self._idle.get(upstream.key)
        while kept:
            connection = kept.pop()
            if not connection.closed and not _has_news(connection):
                self._active.add(connection)
                return connection
            connection.abort()
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        connection = await self.connect(upstream, lambda: Connection(self._active.discard))
        connection.key = upstream.key
        self._active.add(connection)
        return connection

    def release(self, connection: Connection) -> None:
        """Take a connection back: keep it when it is clean, close it when not."""
        self._active.discard(connection)
        kept = self._idle.setdefault(connection.key, deque())
        if not connection.reusable or len(kept) >= MAX_IDLE_PER_UPSTREAM:
            connection.abort()
            return
        connection.idle_since_s = asyncio.get_running_loop().time()
        kept.append(connection)

    async def connect(self, upstream: Upstream, factory: Callable[[], AnyProtocol]) -> AnyProtocol:
        """Open a connection of any protocol to one of the upstream's checked addresses.

        Where there is another proxy to go out through, to the upstream's name by that one.
        """
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                gateway = self._egress.gateway(upstream) if self._egress is not None else None
                if gateway is not None:
                    return await self._through(gateway, upstream, factory)
                addresses = await resolve(upstream.host, upstream.port, private_allowed=upstream.trusted)
                return await self._first(upstream, addresses, factory)
        except TimeoutError:
            raise UpstreamTimeout(
                f"{upstream.host} did not accept a connection within {self._connect_timeout_s:g} s"
            ) from None

    async def _first(self, upstream: Upstream, addresses: list[str], factory: Callable[[], AnyProtocol]) -> AnyProtocol:
        """Return the first connection that comes up, trying addresses in turn with a head start each."""
        attempts: set[asyncio.Task[AnyProtocol]] = set()
        errors: list[BaseException] = []
        waiting = deque(addresses)
        try:
            while waiting or attempts:
                if waiting:
                    attempts.add(asyncio.create_task(self._open(upstream, waiting.popleft(), factory)))
                done, attempts = await asyncio.wait(
                    attempts, timeout=NEXT_ADDRESS_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
                )
                for attempt in done:
                    error = attempt.exception()
                    if error is None:
                        return attempt.result()
                    errors.append(error)
        finally:
            for attempt in attempts:
                attempt.cancel()
        error = errors[0]
        if not isinstance(error, OSError):
            raise error
        raise UpstreamUnreachable(f"no connection to {upstream.host}:{upstream.port}: {_said(error)}") from None

    async def _open(self, upstream: Upstream, address: str, factory: Callable[[], AnyProtocol]) -> AnyProtocol:
        secure = upstream.scheme == "https"
        _, protocol = await asyncio.get_running_loop().create_connection(
            factory,
            address,
            upstream.port,
            ssl=self._tls_context() if secure else None,
            server_hostname=upstream.host if secure else None,
        )
        return protocol

    async def _through(self, gateway: Gateway, upstream: Upstream, factory: Callable[[], AnyProtocol]) -> AnyProtocol:
        secure = upstream.scheme == "https"
        connection = await tunnel(gateway, upstream)
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(
                factory,
                sock=connection,
                ssl=self._tls_context() if secure else None,
                server_hostname=upstream.host if secure else None,
            )
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError):
                raise
            raise UpstreamUnreachable(f"no connection to {upstream.host}:{upstream.port}: {_said(error)}") from None
        return protocol

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    async def _sweep(self) -> None:
        """Close what was kept too long, and break exchanges whose upstream is silent for too long."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = asyncio.get_running_loop().time()
            for key, kept in list(self._idle.items()):
                while kept and (kept[0].closed or now_s - kept[0].idle_since_s > KEEP_IDLE_S):
                    kept.popleft().abort()
                if not kept:
                    del self._idle[key]
            for connection in list(self._active):
                if connection.waiting and now_s - connection.active_s > self._idle_timeout_s:
                    connection.fail(UpstreamTimeout(f"the upstream was silent for {self._idle_timeout_s:g} s"))

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()
        self._idle.clear()
        for connection in list(self._active):
            connection.abort()


def _has_news(connection: Connection) -> bool:
    """Tell whether an idle connection has something to read: only its end, or what nobody asked for."""
    descriptor = connection.file_descriptor()
    if descriptor < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed ({error.reason or 'unknown reason'})"
    return error.strerror or type(error).__name__
