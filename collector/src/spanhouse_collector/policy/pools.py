"""Upstream pools: one name, several replicas, and which of them gets the next call.

==================  ================================================================================
least-connections   the fewest calls in flight for its weight (default: output lengths vary a lot)
least-latency       the lowest expected wait: peak EWMA of the time to the first token x calls in flight
session-affinity    the same session always goes to the same replica (rendezvous hashing), so that its
                    KV cache is used; it moves only while that replica is out, and calls without a
                    session go by least-connections
round-robin         in turn, by weight
==================  ================================================================================

Members out of health get nothing; when *all* are out, all are tried (better a chance than a certain
refusal). A member that drains finishes what it has and gets nothing new.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from spanhouse_collector.policy.errors import NoUpstream
from spanhouse_collector.policy.health import Health, HealthRules

STRATEGIES = ("least-connections", "least-latency", "session-affinity", "round-robin")
#: How fast old latencies fade, s: after this time a sample weighs about a third.
_FADE_S = 10.0
DRAIN_S = 120.0


@dataclass(frozen=True, slots=True)
class MemberState:
    """How a member stands, for health pages and metrics; ``latency_ms`` is ``None`` before the first call."""

    url: str
    state: str
    in_flight: int
    calls: int
    failures: int
    latency_ms: float | None
    reason: str


class Member:
    """One replica of a pool."""

    def __init__(self, url: str, weight: float, health: Health) -> None:
        self.url = url
        self.weight = weight
        self.health = health
        self.in_flight = 0
        self.calls = 0
        self.failures = 0
        self.draining = False
        self.idle = asyncio.Event()
        self.idle.set()
        self.latency_s: float | None = None
        self.turn = 0.0
        self._latency_at_s = 0.0

    def observe(self, latency_s: float, now_s: float) -> None:
        """Take in a latency: a peak counts at once, and fades as better ones come (peak EWMA)."""
        faded_s = self.recent_latency_s(now_s)
        if self.latency_s is None or faded_s is None or latency_s >= faded_s:
            self.latency_s = latency_s
        else:
            keep = math.exp(-max(now_s - self._latency_at_s, 0.0) / _FADE_S)
            self.latency_s = self.latency_s * keep + latency_s * (1 - keep)
        self._latency_at_s = now_s

    def recent_latency_s(self, now_s: float) -> float | None:
        """Return what to expect: the latency, fading while there is no news, so that a slow one is tried again."""
        if self.latency_s is None:
            return None
        return self.latency_s * math.exp(-max(now_s - self._latency_at_s, 0.0) / _FADE_S)


class Lease:
    """One call's place at a member: report once how it went, and always ``release`` it.

    Used as a context manager it releases itself; an exception that leaves the block is not judged (it
    may be the client's doing), so report upstream failures with ``failed``.
    """

    __slots__ = ("_clock", "_done", "_failed", "_judged", "_started_s", "member")

    def __init__(self, member: Member, clock: Callable[[], float]) -> None:
        self.member = member
        self._clock = clock
        self._started_s = clock()
        self._judged = False
        self._failed = False
        self._done = False
        member.in_flight += 1
        member.calls += 1
        member.idle.clear()

    @property
    def url(self) -> str:
        """Return the base URL of the replica."""
        return self.member.url

    def answered(self, status: int) -> None:
        """Report the status of the answer; a 5xx counts against the member."""
        if status >= 500:
            self.failed(f"status {status}")
        elif not self._judged:
            self._judged = True
            self.member.health.succeeded(self._clock())

    def first_token(self) -> None:
        """Report that the first byte of the answer's body is here: what least-latency goes by."""
        now_s = self._clock()
        self.member.observe(now_s - self._started_s, now_s)

    def failed(self, reason: str) -> None:
        """Report that the attempt got no answer, a bad one, or one that broke off."""
        if self._failed:
            return
        self._judged = self._failed = True
        now_s = self._clock()
        self.member.failures += 1
        # A member that fails fast must not look fast.
        self.member.observe(max(now_s - self._started_s, self.member.latency_s or 0.0), now_s)
        self.member.health.failed(now_s, reason)

    def release(self, *, unused: bool = False) -> None:
        """Give the place back; a second time does nothing. ``unused``: nothing was sent to the member."""
        if self._done:
            return
        self._done = True
        self.member.calls -= unused
        self.member.in_flight -= 1
        if not self.member.in_flight:
            self.member.idle.set()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Pool:
    """The replicas behind one upstream name. For one event loop."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        *,
        strategy: str = "least-connections",
        weights: Sequence[float] | None = None,
        rules: HealthRules | None = None,
        probed: bool = False,
        clock: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        if strategy not in STRATEGIES:
            raise ValueError(f"{strategy!r} is no strategy: one of {', '.join(STRATEGIES)}")
        if not urls or len(set(urls)) != len(urls):
            raise ValueError(f"the pool {name} needs at least one member, and each once")
        if weights is not None and (len(weights) != len(urls) or min(weights) <= 0):
            raise ValueError(f"the pool {name} needs one weight above 0 for each member")
        self.name = name
        self.strategy = strategy
        self._rules = rules or HealthRules()
        self._probed = probed
        self._clock = clock
        self._rng = rng
        self._members = [
            Member(url, weight, Health(self._rules, probed=probed))
            for url, weight in zip(urls, weights or [1.0] * len(urls), strict=True)
        ]

    @property
    def members(self) -> tuple[Member, ...]:
        """Return every member, draining ones included."""
        return tuple(self._members)

    def lease(self, session: str = "", exclude: Collection[str] = ()) -> Lease:
        """Return a place for a call; ``exclude`` are URLs tried already, taken only if nothing else is left.

        Raises ``NoUpstream`` when every member is draining.
        """
        now_s = self._clock()
        serving = [member for member in self._members if not member.draining]
        if not serving:
            raise NoUpstream(f"every member of the pool {self.name} is draining", "retry soon", [("Retry-After", "5")])
        healthy = [member for member in serving if member.health.available(now_s)]
        fresh = [member for member in healthy or serving if member.url not in exclude]
        return Lease(self._choose(fresh or healthy or serving, session, now_s), self._clock)

    def _choose(self, members: Sequence[Member], session: str, now_s: float) -> Member:
        if len(members) == 1:
            return members[0]
        if self.strategy == "session-affinity" and session:
            return max(members, key=lambda member: _rendezvous(session, member))
        if self.strategy == "round-robin":
            return self._in_turn(members, now_s)
        if self.strategy == "least-latency":
            latencies = {member.url: member.recent_latency_s(now_s) for member in members}
            known = sorted(latency_s for latency_s in latencies.values() if latency_s is not None)
            # One that has answered nothing yet is taken for a middling one, so it is tried but not flooded.
            middling = known[len(known) // 2] if known else 1.0

            def expected_wait(member: Member) -> float:
                latency_s = latencies[member.url]
                return max(middling if latency_s is None else latency_s, 1e-6) * self._load(member, now_s)

            return min(members, key=lambda member: (expected_wait(member), self._rng()))
        return min(members, key=lambda member: (self._load(member, now_s), self._rng()))

    def _load(self, member: Member, now_s: float) -> float:
        """Return the calls in flight with this one, per weight; a returning member counts as smaller."""
        return (member.in_flight + 1) / (member.weight * member.health.share(now_s))

    def _in_turn(self, members: Sequence[Member], now_s: float) -> Member:
        # Smooth weighted round robin: each gains its weight, the richest is taken and pays for all.
        shares = {member.url: member.weight * member.health.share(now_s) for member in members}
        for member in members:
            member.turn += shares[member.url]
        chosen = max(members, key=lambda member: member.turn)
        chosen.turn -= sum(shares.values())
        return chosen

    def close(self, url: str) -> None:
        """Give a member nothing new."""
        self._member(url).draining = True

    async def drain(self, url: str, timeout_s: float = DRAIN_S) -> bool:
        """Give a member nothing new and wait for what it has; tell whether it finished in time."""
        self.close(url)
        member = self._member(url)
        try:
            await asyncio.wait_for(member.idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def undrain(self, url: str) -> None:
        """Let a member take calls again."""
        self._member(url).draining = False

    def add(self, url: str, weight: float = 1.0) -> None:
        """Add a replica; sessions move to it only as far as its share of the hash space goes."""
        if any(member.url == url for member in self._members):
            raise ValueError(f"{url} is a member of the pool {self.name} already")
        self._members.append(Member(url, weight, Health(self._rules, probed=self._probed)))

    def weigh(self, url: str, weight: float) -> None:
        """Change a member's weight."""
        self._member(url).weight = weight

    def remove(self, url: str) -> None:
        """Take a replica out of the list; calls it has in flight go on."""
        self._members.remove(self._member(url))

    def states(self) -> list[MemberState]:
        """Return how each member stands."""
        now_s = self._clock()
        return [
            MemberState(
                member.url,
                "draining" if member.draining else member.health.state(now_s),
                member.in_flight,
                member.calls,
                member.failures,
                None if member.latency_s is None else member.latency_s * 1000,
                member.health.reason,
            )
            for member in self._members
        ]

    def _member(self, url: str) -> Member:
        for member in self._members:
            if member.url == url:
                return member
        raise KeyError(f"{url} is no member of the pool {self.name}")


def _rendezvous(session: str, member: Member) -> float:
    """Return a member's score for a session: the highest wins, in proportion to the weights."""
    digest = hashlib.blake2b(f"{session}\0{member.url}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 2)
    return -member.weight / math.log(uniform)
