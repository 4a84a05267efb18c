"""Rate limits and budgets: requests, tokens or money per tenant, user or property.

A limit is written ``quota;w=seconds;u=request|tokens|cents;s=segment``: at most ``quota`` units in any
``w`` seconds for each value of the segment: ``user``, ``key`` (the credential a call came with), the name of a
property, or none: the tenant as a whole. A budget is a limit in cents with a long window, 366 days at most.

Requests are counted when a call is admitted, so their limit is exact. **Tokens and money are known only
after the call**: a call is admitted while the window is below its quota, and charged when its record
comes. The overshoot is therefore bounded by what the calls cost that were in flight, or not yet read,
when the quota was reached: calls in flight x the price of one. A refused call costs nothing. What is
charged is what the recorder read: a call it had to drop is not charged (it is counted there), and a
WebSocket is charged for each answer as it ends, and closed when nothing is left.

A call whose price nobody knows cannot be charged in cents; it is counted in ``uncharged``, not guessed.
A call that broke off before its usage came is charged by the text that passed (``estimated``).

Calls that name no value for a limit's segment are refused (400): counting them nowhere would make the
limit a matter of leaving a header out.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from spanhouse_collector.policy.errors import MalformedPolicy, RateLimited
from spanhouse_collector.policy.windows import Window

_NS_PER_S = 1_000_000_000
MAX_WINDOW_S = 366 * 86_400
_MAX_QUOTA = Decimal(10) ** 12
_MAX_LIMITS = 8
#: One cent in the unit money is counted in, nano-USD: a whole number, so that sums are exact.
_NANO_USD_PER_CENT = 10_000_000
_NANO_USD_PER_USD = 1_000_000_000
_SHAPE = re.compile(r"([0-9]{1,13}(?:\.[0-9]{1,7})?)((?:\s*;\s*[a-z]+=[^;\s]+)*)", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_UNITS = {"request": "requests", "requests": "requests", "token": "tokens", "tokens": "tokens", "cents": "cents"}
_SEGMENT_VALUE_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``quota`` of ``unit`` (``requests tokens cents``) in ``window_s`` per value of ``segment``."""

    quota: Decimal
    window_s: int
    unit: str = "requests"
    segment: str = ""

    @property
    def amount(self) -> int:
        """Return the quota in the unit that is counted: requests, tokens or nano-USD."""
        return int(self.quota * _NANO_USD_PER_CENT) if self.unit == "cents" else int(self.quota)

    def __str__(self) -> str:
        unit = "" if self.unit == "requests" else f";u={self.unit}"
        return f"{self.quota:f};w={self.window_s}{unit}" + (f";s={self.segment}" if self.segment else "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a call counts for. ``tenant`` is the project; properties are looked up in any case.

    ``key_id`` stands for the credential the call came with and gives nothing of it away.
    """

    tenant: str
    user_id: str = ""
    properties: Mapping[str, str] | None = None
    key_id: str = ""

    def segment(self, name: str) -> str | None:
        """Return the value of a segment, ``None`` when the call names none."""
        if not name:
            return ""
        if name.lower() == "user":
            return self.user_id or None
        if name.lower() == "key":
            return self.key_id or None
        for key, value in (self.properties or {}).items():
            if key.lower() == name.lower():
                return value or None
        return None


def parse_limits(value: str, source: str) -> tuple[Limit, ...]:
    """Read limits separated by commas; ``source`` names the header in ``MalformedPolicy``."""
    parts = [part.strip() for part in value.split(",")]
    if len(parts) > _MAX_LIMITS:
        raise MalformedPolicy(f"{source} holds more than {_MAX_LIMITS} limits")
    return tuple(_limit(part, source) for part in parts)


def _limit(text: str, source: str) -> Limit:
    advice = "write quota;w=seconds;u=request|tokens|cents;s=segment, for example 1000;w=3600;u=cents;s=user"

    def malformed(what: str) -> MalformedPolicy:
        return MalformedPolicy(f"{source}: {what}", advice)

    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise malformed(f"{text[:60]!r} is no limit")
    pairs = [part.strip().partition("=") for part in shape[2].split(";") if part.strip()]
    options = {name: value for name, _, value in pairs}
    if len(options) != len(pairs) or set(options) - {"w", "u", "s"}:
        raise malformed(f"{text[:60]!r} has an option twice or one that is not w, u or s")
    window = options.get("w", "")
    if not re.fullmatch(r"[0-9]{1,8}", window, re.ASCII) or not 1 <= int(window) <= MAX_WINDOW_S:
        raise malformed(f"the window w must be 1 to {MAX_WINDOW_S} seconds")
    unit = _UNITS.get(options.get("u", "request"))
    if unit is None:
        raise malformed(f"the unit u is {options['u'][:20]!r}, not request, tokens or cents")
    segment = options.get("s", "")
    if "s" in options and not _SEGMENT.fullmatch(segment):
        raise malformed("the segment s must be user or the name of a property")
    quota = Decimal(shape[1])
    if quota > _MAX_QUOTA or (unit != "cents" and quota != int(quota)):
        raise malformed(f"the quota {shape[1]!r} is too large or not whole")
    return Limit(quota, int(window), unit, segment)


#: What a window is known by: tenant, unit, window in seconds, segment, value. Not the quota, so that
#: raising or lowering it keeps the count.
WindowKey = tuple[str, str, int, str, str]


class UsageStore(Protocol):
    """Where uses outlive the process; see ``usage_file.UsageFile``."""

    def load(self, key: WindowKey, since_slot: int) -> list[tuple[int, int]]:
        """Return stored (slot, amount) of a window from a slot number on; nothing when it cannot be read."""

    def windows(self, max_windows: int) -> list[WindowKey]:
        """Return the keys of the windows used last, newest first."""

    def add(self, key: WindowKey, slot: int, amount: int) -> None:
        """Keep a use; may be written a little later."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit stands for a caller after admission: what the answer's headers say."""

    limit: Limit
    used: int
    reset_s: int

    @property
    def remaining(self) -> int:
        """Return whole units left: requests, tokens, or cents rounded down."""
        left = max(self.limit.amount - self.used, 0)
        return left // _NANO_USD_PER_CENT if self.limit.unit == "cents" else left


class Ticket:
    """An admitted call: charge it when its usage is known."""

    __slots__ = ("_charged", "_keys", "_meter", "standings")

    def __init__(self, meter: Meter, keys: Sequence[tuple[Limit, WindowKey]], standings: Sequence[Standing]) -> None:
        self._meter = meter
        self._keys = tuple(keys)
        self._charged = False
        self.standings = tuple(standings)

    @property
    def needs_price(self) -> bool:
        """Tell whether a limit of this call is in money."""
        return any(limit.unit == "cents" for limit, _ in self._keys)

    def used_up(self) -> RateLimited | None:
        """Return why a call that goes on may use no more: of its limits in tokens and money one is used up."""
        return self._meter.used_up([pair for pair in self._keys if pair[0].unit != "requests"])

    def charge(self, tokens: int | None, usd: Decimal | None, *, more: bool = False) -> None:
        """Count what the call used; ``None`` is unknown. After a charge that is not one of ``more``, none counts."""
        if not self._charged:
            self._charged = not more
            self._meter.charge(self._keys, tokens, usd)


class Meter:
    """Counts uses and admits calls, from any thread; memory is bounded by ``max_windows``.

    Windows beyond the bound are dropped from memory, the longest unused first; with a ``store`` they
    come back from there. ``store`` gets the uses in tokens and money, and of requests when the window
    is an hour or more; shorter ones start afresh with the process. It is read at the start, and later
    only for windows that memory had no room for, so that a slow disk does not slow calls.
    """

    def __init__(
        self, store: UsageStore | None = None, *, max_windows: int = 20_000, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._max_windows = max_windows
        self._clock = clock
        self._windows: OrderedDict[WindowKey, Window] = OrderedDict()
        self._lock = threading.Lock()
        self.uncharged = 0
        self.estimated = 0
        self.refused = 0
        stored = [] if store is None else store.windows(max_windows + 1)
        self._all_in_memory = len(stored) <= max_windows
        for key in reversed(stored[:max_windows]):
            self._open(key, clock())

    def admit(self, caller: Caller, limits: Sequence[Limit]) -> Ticket:
        """Admit a call under all limits or none: raises ``RateLimited`` (429) with the headers to send.

        Raises ``MalformedPolicy`` (400) when the call does not say whom a limit counts for.
        """
        keys = [(limit, self._key(limit, caller)) for limit in dict.fromkeys(limits)]
        with self._lock:
            return self._admit(keys, self._clock())

    def _admit(self, keys: list[tuple[Limit, WindowKey]], now_ns: int) -> Ticket:
        refused = self._refused(keys, now_ns)
        if refused is not None:
            raise refused
        for limit, key in keys:
            if limit.unit == "requests":
                self._use(key, 1, now_ns)
        return Ticket(self, keys, [self._standing(limit, key, now_ns) for limit, key in keys])

    def used_up(self, keys: Sequence[tuple[Limit, WindowKey]]) -> RateLimited | None:
        """Return the refusal of the limit among these that is used up for longest, nothing when none is."""
        with self._lock:
            return self._refused(keys, self._clock())

    def _refused(self, keys: Sequence[tuple[Limit, WindowKey]], now_ns: int) -> RateLimited | None:
        blocked: tuple[int, Standing] | None = None
        for limit, key in keys:
            room_ns = self._window(key, now_ns).room_at_ns(limit.amount, 1, now_ns)
            if room_ns > now_ns or limit.amount < 1:
                wait_s = max(-(-(room_ns - now_ns) // _NS_PER_S), 1)
                if blocked is None or wait_s > blocked[0]:
                    blocked = wait_s, self._standing(limit, key, now_ns)
        if blocked is None:
            return None
        self.refused += 1
        return _refusal(*blocked)

    def charge(self, keys: Sequence[tuple[Limit, WindowKey]], tokens: int | None, usd: Decimal | None) -> None:
        """Count tokens and money of a finished call in its windows."""
        nano_usd = (max(usd or Decimal(0), Decimal(0)) * _NANO_USD_PER_USD).to_integral_value(ROUND_CEILING)
        unknown = False
        with self._lock:
            now_ns = self._clock()
            for limit, key in keys:
                if limit.unit == "tokens":
                    unknown |= tokens is None
                    self._use(key, max(tokens or 0, 0), now_ns)
                elif limit.unit == "cents":
                    unknown |= usd is None
                    self._use(key, int(nano_usd), now_ns)
            self.uncharged += unknown

    def standing(self, caller: Caller, limit: Limit) -> Standing:
        """Return how a limit stands for a caller, without using it."""
        with self._lock:
            return self._standing(limit, self._key(limit, caller), self._clock())

    def _key(self, limit: Limit, caller: Caller) -> WindowKey:
        value = caller.segment(limit.segment)
        if value is None:
            known = {"user": "Spanhouse-User-Id", "key": "Authorization"}
            raise MalformedPolicy(
                f"the limit {limit} counts per {limit.segment!r}, and this call names none",
                f"send {known.get(limit.segment.lower(), f'Spanhouse-Property-{limit.segment}')}",
            )
        if len(value) > _SEGMENT_VALUE_CHARACTERS:
            raise MalformedPolicy(f"the value of segment {limit.segment!r} is longer than 256 characters")
        return caller.tenant, limit.unit, limit.window_s, limit.segment.lower(), value

    def _window(self, key: WindowKey, now_ns: int) -> Window:
        window = self._windows.get(key)
        if window is not None:
            self._windows.move_to_end(key)
            return window
        if not self._all_in_memory:
            return self._open(key, now_ns)
        window = self._windows[key] = Window(key[2] * _NS_PER_S)
        self._shrink()
        return window

    def _open(self, key: WindowKey, now_ns: int) -> Window:
        window = self._windows[key] = Window(key[2] * _NS_PER_S)
        if self._store is not None and _durable(key):
            window.restore(self._store.load(key, window.oldest_slot(now_ns)), now_ns)
        self._shrink()
        return window

    def _shrink(self) -> None:
        while len(self._windows) > self._max_windows:
            dropped, _ = self._windows.popitem(last=False)
            self._all_in_memory &= not _durable(dropped)

    def _use(self, key: WindowKey, amount: int, now_ns: int) -> None:
        if not amount:
            return
        slot = self._window(key, now_ns).add(amount, now_ns)
        if self._store is not None and _durable(key):
            self._store.add(key, slot, amount)

    def _standing(self, limit: Limit, key: WindowKey, now_ns: int) -> Standing:
        window = self._window(key, now_ns)
        window.forget(now_ns)
        return Standing(limit, window.used, -(-(window.empty_at_ns(now_ns) - now_ns) // _NS_PER_S))


def _durable(key: WindowKey) -> bool:
    return key[1] != "requests" or key[2] >= 3_600


def _refusal(wait_s: int, standing: Standing) -> RateLimited:
    limit = standing.limit
    per = f" per {limit.segment}" if limit.segment else ""
    return RateLimited(
        f"the limit of {limit.quota:f} {limit.unit} in {limit.window_s} s{per} is used up",
        f"wait {wait_s} s; the limit is {limit}",
        [("Retry-After", str(wait_s)), *limit_headers([standing], wait_s)],
    )


def limit_headers(standings: Sequence[Standing], reset_s: int | None = None) -> list[tuple[str, str]]:
    """Return ``RateLimit-*`` headers for the answer: of the limit with the smallest share left.

    ``RateLimit-Limit``, ``-Remaining`` and ``-Reset`` are the widespread form of the IETF's draft,
    ``RateLimit`` and ``RateLimit-Policy`` its newest one with all limits. ``reset_s`` replaces the time
    until everything is given back by the time until a call fits again.
    """
    if not standings:
        return []

    def share(standing: Standing) -> float:
        return standing.remaining / max(float(standing.limit.quota), 1.0)

    tightest = min(standings, key=share)
    named = [(f'"{_name(standing.limit)}"', standing) for standing in standings]
    return [
        ("RateLimit-Limit", str(int(tightest.limit.quota))),
        ("RateLimit-Remaining", str(tightest.remaining)),
        ("RateLimit-Reset", str(tightest.reset_s if reset_s is None else reset_s)),
        (
            "RateLimit-Policy",
            ", ".join(
                f'{name};q={int(item.limit.quota)};w={item.limit.window_s};qu="{item.limit.unit}"'
                for name, item in named
            ),
        ),
        (
            "RateLimit",
            ", ".join(
                f"{name};r={item.remaining};t={item.reset_s if reset_s is None else reset_s}" for name, item in named
            ),
        ),
    ]


def _name(limit: Limit) -> str:
    return "-".join(filter(None, [limit.unit, str(limit.window_s), limit.segment]))
