"""The policies of one call, step by step as the relay asks for them (see ``proxy.hook``).

    before   pointed at the first target (pool, stored key) -> cache asked -> limits
    attempted    pool and health told -> retry, other member, or next target
    response_chunk, ended    cache and pool see the answer and its end
    charged  tokens and money are counted

A hit in the cache is not counted against limits: it costs nothing. A member of a pool to which *no connection
could be made* is replaced by another without being asked: nothing was sent, so nothing can happen twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spanhouse_collector.errors import Refused, UpstreamUnreachable
from spanhouse_collector.parse.contract import CallEnd
from spanhouse_collector.policy.aim import BASE_TARGET, Request, carries_stored_key, key_id, names_stored_key
from spanhouse_collector.policy.cache import CacheKey, Recorder, cache_key
from spanhouse_collector.policy.errors import PolicyFailed
from spanhouse_collector.policy.fallback import FallbackTarget
from spanhouse_collector.policy.headers import PolicyAsk
from spanhouse_collector.policy.limits import Caller, Limit, Standing, Ticket
from spanhouse_collector.policy.retry import Retrier
from spanhouse_collector.proxy.control import header_text
from spanhouse_collector.proxy.headers import RawHeaders, is_signed
from spanhouse_collector.proxy.hook import Answer, Attempt, Call
from spanhouse_collector.proxy.upstreams import Upstream

if TYPE_CHECKING:
    from spanhouse_collector.policy.engine import PolicyEngine
    from spanhouse_collector.policy.pools import Lease
    from spanhouse_collector.policy.upstream_pool import UpstreamPool

log = logging.getLogger("spanhouse.proxy")

_CACHED_METHODS = (b"GET", b"POST")
WARNING = b"spanhouse-policy-warning"


class Applied:
    """A ``CallPolicy``, made by ``PolicyEngine.open``."""

    def __init__(
        self,
        engine: PolicyEngine,
        call: Call,
        ask: PolicyAsk,
        upstreams: Sequence[Upstream | None],
        limits: Sequence[Limit],
        pool: UpstreamPool | None,
        *,
        budgeted: bool = False,
    ) -> None:
        if ask.fallbacks and is_signed(call.headers, call.query):
            _warn(call, "the request is signed (AWS SigV4) for one host and body: its fallbacks were left out")
            ask, upstreams = replace(ask, fallbacks=()), ()
        self._engine = engine
        self._ask = ask
        self._limits = limits
        self._pool = pool
        self._budgeted = budgeted
        self._provider = self._served_by = call.provider
        self._context = engine.context(call)
        # Of what the caller sent: later the headers carry the real key of a stored one.
        self._key_id = key_id(call)
        self._stored_key = names_stored_key(call) or any(map(carries_stored_key, ask.fallbacks))
        self._request: Request | None = None
        self._retrier = Retrier(ask.retry)
        self._targets = ask.fallbacks or (BASE_TARGET,)
        self._index = 0
        self._upstreams = upstreams or (None,)
        self._lease: Lease | None = None
        self._tried: list[str] = []
        self._ticket: Ticket | None = None
        self._key: CacheKey | None = None
        self._recorder: Recorder | None = None
        self._began = False
        self.needs_body = ask.needs_body or pool is not None
        self.reports = any(limit.unit != "requests" for limit in limits)
        for warning in ask.warnings:
            _warn(call, warning)
        self._base = call.upstream
        self._member: Upstream | None = None

    async def before(self, call: Call) -> Answer | None:
        """Answer from the cache, refuse, or point the call at its first target.

        A fault of ours lets the call go on without policies, unless a limit or a stored key is at stake.
        """
        guards = bool(self._limits) or self._budgeted or self._stored_key
        try:
            return await self._before(call)
        except Refused:
            self._release(unused=True)
            raise
        except Exception as error:
            if not guards:
                raise
            log.exception("a policy failed, and the call was refused")
            raise PolicyFailed("the limits or stored keys of this call cannot be applied", "try again") from error

    async def _before(self, call: Call) -> Answer | None:
        self._request = Request.of(call)
        if self._stored_key:
            await self._engine.keys.refresh()
        if self._pool is not None and self._targets[0].url is None:
            self._take_member(self._pool)
        # Before the cache, so that a stored key that was revoked gets no answer from there either.
        if not self._aim(call, self._request):
            _warn(call, "the body is no JSON object that the first fallback target could override; it stays as it is")
            self._targets = (replace(self._targets[0], body_override=None), *self._targets[1:])
            self._aim(call, self._request)
        cached = await self._cached(call)
        if cached is not None:
            self._release(unused=True)
            return cached
        # What only asks (lists of models and the like) is not billed.
        if self._budgeted and (call.method == b"POST" or call.upgrades):
            self._engine.check_budgets(call, self._context, self._key_id)
        if self._limits:
            caller = Caller(call.project, self._context.user_id, self._context.properties, self._key_id)
            self._ticket = self._engine.meter.admit(caller, self._limits)
            call.extra_headers += _standing_headers(self._ticket.standings)
        if self._ask.fallbacks:
            call.fallback_index = 0
            _set(call, b"spanhouse-fallback-index", b"0")
        if self._ask.needs_body and call.body is None and call.head.has_body:
            _warn(call, "the body is too large to be kept: no cache, retries or fallbacks for this call")
        return None

    async def attempted(self, call: Call, attempt: Attempt) -> bool:
        """Judge a try; wait and point the call anew when another one is due."""
        request = self._request
        status = attempt.head.status if attempt.head is not None else None
        if self._lease is not None:
            if status is None:
                self._lease.failed(attempt.error.error_type if attempt.error is not None else "no answer")
            else:
                self._lease.answered(status)
        if request is not None and await self._again(call, request, attempt, status):
            return True
        if attempt.head is not None:
            self._record(attempt.head.status, attempt.head.headers)
        return False

    async def _again(self, call: Call, request: Request, attempt: Attempt, status: int | None) -> bool:
        if isinstance(attempt.error, UpstreamUnreachable) and self._has_other_member():
            return self._next_member(call, request)
        headers = _text(attempt.head.headers) if attempt.head is not None else []
        target = self._targets[self._index]
        leaves = self._index + 1 < len(self._targets) and target.leaves_on(status)
        pause_s = self._retrier.pause_s(status, headers)
        if pause_s is not None:
            pooled = self._lease is not None
            self._release()
            await asyncio.sleep(pause_s)
            if pooled:
                return self._next_member(call, request)
            call.retry_count += 1
            return True
        return leaves and self._fall_back(call, request)

    def response_chunk(self, data: bytes) -> None:
        """See a piece of the answer."""
        if self._lease is not None and not self._began:
            self._began = True
            self._lease.first_token()
        if self._recorder is not None:
            self._recorder.chunk(data)

    def ended(self, call: Call, end: CallEnd) -> None:
        """Keep a complete answer, and tell the pool how it went."""
        self._served_by = call.provider
        if self._recorder is not None and end.outcome == "complete":
            self._recorder.complete()
        self._recorder = None
        if self._lease is not None:
            if end.outcome in ("upstream_error", "timeout"):
                self._lease.failed(end.error_type or end.outcome)
            elif end.outcome == "complete":
                self._lease.answered(200)  # only for calls that were not judged by their status before
        self._release()

    def charged(self, summary: Mapping[str, Any]) -> None:
        """Count what the call used."""
        if self._ticket is None:
            return
        self._engine.meter.estimated += summary.get("estimated") is True
        parts = [summary.get("input_tokens"), summary.get("output_tokens")]
        known = [part for part in parts if part is not None]
        cost = self._engine.prices.cost_usd(self._served_by, summary) if self._ticket.needs_price else None
        self._ticket.charge(sum(known) if known else None, cost, more=summary.get("more") is True)

    def must_end(self, call: Call) -> Refused | None:
        """Return why an open connection has to end now: a limit in tokens or money, or a budget, is used up."""
        if self._ticket is not None and (refused := self._ticket.used_up()) is not None:
            return refused
        if self._budgeted:
            try:
                self._engine.check_budgets(call, self._context, self._key_id)
            except Refused as refused:
                return refused
        return None

    # Where it goes --------------------------------------------------------------------------------

    def _aim(self, call: Call, request: Request) -> bool:
        other = self._upstreams[self._index]
        if not request.aim(
            call, self._targets[self._index], other or self._member or self._base, self._engine.keys.vault
        ):
            return False
        call.provider = self._provider
        if other is not None and (other.scheme, other.host, other.port) != self._base.key[:3]:
            # What the record and the price go by: the known name, else the host.
            call.provider = other.host if other.name == "target" else other.name
        return True

    def _fall_back(self, call: Call, request: Request) -> bool:
        """Go on to the next target that can be used; tell whether there is one."""
        while self._index + 1 < len(self._targets):
            self._index += 1
            self._release()
            self._tried = []
            try:
                if self._pool is not None and self._targets[self._index].url is None:
                    self._take_member(self._pool)
                usable = self._aim(call, request)
            except Refused as error:
                _warn(call, f"fallback {self._index} was left out: {error.message}")
                continue
            if usable:
                call.fallback_index = self._index
                _set(call, b"spanhouse-fallback-index", b"%d" % self._index)
                return True
            _warn(call, f"fallback {self._index} was left out: its bodyKeyOverride fits no JSON body")
        return False

    def _next_member(self, call: Call, request: Request) -> bool:
        """Point the call at another member for another try; tell whether there is one it may go to."""
        if self._pool is None:
            return False
        self._release()
        try:
            self._take_member(self._pool)
            self._aim(call, request)
        except Refused as error:
            _warn(call, f"no further try: {error.message}")
            return False
        call.retry_count += 1
        return True

    def _has_other_member(self) -> bool:
        if self._lease is None or self._pool is None:
            return False
        return any(not member.draining and member.url not in self._tried for member in self._pool.pool.members)

    def _take_member(self, pool: UpstreamPool) -> None:
        self._lease, self._member = pool.lease(self._context.session_id, self._tried)
        self._tried.append(self._lease.url)

    def _release(self, *, unused: bool = False) -> None:
        if self._lease is not None:
            self._lease.release(unused=unused)
        self._lease = self._member = None

    # The cache ------------------------------------------------------------------------------------

    async def _cached(self, call: Call) -> Answer | None:
        cache, ask, request = self._engine.cache, self._ask.cache, self._request
        if ask is None or request is None or call.method not in _CACHED_METHODS or call.upgrades:
            return None
        if cache is None:
            _warn(call, "this proxy has no response cache: its operator gives it one under [cache] in the policy file")
            return None
        if request.body is None and call.head.has_body:
            return None
        # The member of a pool that would have answered does not matter; a chain of fallbacks does.
        origin = "\0".join([self._provider, self._base.url, *map(_told, self._targets)])
        self._key = cache_key(
            ask,
            call.project,
            origin,
            call.method.decode("latin-1"),
            request.rest.decode("latin-1"),
            request.query.decode("latin-1"),
            request.text_headers(),
            request.body or b"",
        )
        answer = await cache.lookup(self._key, ask) if ask.read else None
        call.cache_hit = answer is not None
        if answer is None:
            call.extra_headers.append((b"spanhouse-cache", b"MISS"))
            return None
        self._key = None
        headers: RawHeaders = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
        ]
        headers += [
            (b"age", b"%d" % cache.age_s(answer)),
            (b"spanhouse-cache", b"HIT"),
            (b"spanhouse-cache-bucket-idx", b"%d" % answer.bucket),
        ]
        return Answer(answer.status, headers + call.extra_headers, answer.chunks)

    def _record(self, status: int, headers: RawHeaders) -> None:
        """Begin to record an answer that will be passed on; one of a later target is not what was asked for."""
        cache = self._engine.cache
        if self._key is not None and cache is not None and self._ask.cache is not None and self._index == 0:
            self._recorder = cache.recorder(self._key, self._ask.cache, status, _text(headers))


def _told(target: FallbackTarget) -> str:
    return f"{target.url}\0{target.headers}\0{target.codes}\0{target.body_override}"


def _text(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _warn(call: Call, text: str) -> None:
    call.extra_headers.append((WARNING, header_text(text)))


def _set(call: Call, name: bytes, value: bytes) -> None:
    call.extra_headers = [pair for pair in call.extra_headers if pair[0] != name] + [(name, value)]


def _standing_headers(standings: Sequence[Standing]) -> RawHeaders:
    """Return how the limits stand, under our names: the upstream's own ``RateLimit`` headers pass untouched."""
    return [
        (
            b"spanhouse-ratelimit",
            f"{item.limit};remaining={item.remaining};reset={item.reset_s}".encode("ascii", "replace"),
        )
        for item in standings
    ]
