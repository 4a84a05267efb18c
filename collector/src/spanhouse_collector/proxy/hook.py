"""Where policies meet the relay: caches, limits, retries, fallbacks, pools and stored keys.

The relay asks its ``Policy`` once per call. ``None`` (the usual answer) relays the call as it is, with
no further cost. A ``CallPolicy`` is then asked at each step, in this order, all on the event loop:

    before(call)                    may answer itself, or change where the call goes and what it carries
    attempted(call, attempt)        after each try, before the client saw a byte: go on, or try again
    response_chunk(data)            each piece that the client gets (as the upstream sent it)
    ended(call, end)                once, however the call ends
    charged(summary)                later, when the call was read: tokens and cost; once, or of a WebSocket
                                    for its answers as they end (may never come)
    must_end(call)                  again and again while a WebSocket is open: why it has to be closed now

What a policy raises as ``Refused`` is answered to the client; any other fault of a policy is logged and
the call goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from spanhouse_collector.errors import Refused, UpstreamError
from spanhouse_collector.parse.contract import CallEnd
from spanhouse_collector.proxy.headers import RawHeaders, RequestHead, find
from spanhouse_collector.proxy.http1 import Head
from spanhouse_collector.proxy.metrics import ProxyMetrics
from spanhouse_collector.proxy.upstreams import Upstream

#: Bodies up to this size can be sent again by a policy (retries, fallbacks) or hashed (caches).
REPLAYABLE_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class Call:
    """One call on its way. Policies may change the fields up to ``extra_headers``.

    ``upstream``, ``path`` (whole, as asked of the upstream) and ``query`` say where it goes;
    ``headers`` are the client's with lower-case names, ``head`` the same sorted out. When a policy
    changes ``headers`` or ``upstream``, the relay sorts them out again. ``body`` is set when the
    policy asked for it and it was not larger than ``REPLAYABLE_BYTES``; else ``None``.
    ``extra_headers`` are added to the answer. ``retry_count``, ``cache_hit`` and ``fallback_index``
    go to the span. ``project`` is the tenant.
    """

    call_id: str
    number: int
    provider: str
    method: bytes
    upstream: Upstream
    path: bytes
    query: bytes
    headers: RawHeaders
    head: RequestHead
    project: str
    started_ns: int
    child_traceparent: bytes = b""
    client_address: str = ""
    body: bytes | None = None
    extra_headers: RawHeaders = field(default_factory=list)
    retry_count: int = 0
    cache_hit: bool | None = None
    fallback_index: int | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def upgrades(self) -> bool:
        """Tell whether a connection is asked for that stays open, a WebSocket."""
        return bool(find(self.headers, b"upgrade"))

    @property
    def own(self) -> Mapping[str, str]:
        """Return our headers by the name behind the prefix (``cache-enabled``)."""
        return self.head.own


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a policy's own. ``chunks`` are sent as they are."""

    status: int
    headers: RawHeaders
    chunks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one try gave: the head of an answer, or the error that came instead."""

    head: Head | None
    error: UpstreamError | None
    number: int


class CallPolicy(Protocol):
    """What applies to one call. ``needs_body`` asks for the request body before ``before``.

    ``reports`` asks for ``charged``.
    """

    needs_body: bool
    reports: bool

    async def before(self, call: Call) -> Answer | None:
        """Return an answer, or ``None`` to ask the upstream; may change the call."""

    async def attempted(self, call: Call, attempt: Attempt) -> bool:
        """Tell whether to try again, after waiting as long as it should; may change the call.

        Only asked while nothing reached the client and the body can be sent again.
        """

    def response_chunk(self, data: bytes) -> None:
        """See a piece of the answer."""

    def ended(self, call: Call, end: CallEnd) -> None:
        """See the end."""

    def charged(self, summary: Mapping[str, Any]) -> None:
        """See what was read of the call, or of answers over a WebSocket (``charges``): model, tokens, cost."""

    def must_end(self, call: Call) -> Refused | None:
        """Return why a connection that stays open has to end now, nothing while it may go on."""


class Policy(Protocol):
    """Decides what applies to a call."""

    def open(self, call: Call) -> CallPolicy | None:
        """Return what applies, ``None`` for nothing. Must be fast: every call is asked."""

    async def start(self, metrics: ProxyMetrics) -> None:
        """Open what calls need; called before the first one. Raises ``ConfigError``."""

    async def close(self) -> None:
        """Release it again; called after the last call and its report."""


class NoPolicy:
    """Applies nothing."""

    def open(self, call: Call) -> CallPolicy | None:
        """Return ``None``."""
        return None

    async def start(self, metrics: ProxyMetrics) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Release nothing."""
