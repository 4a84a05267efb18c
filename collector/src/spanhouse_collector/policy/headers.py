"""The policy part of the request header language: what a caller asks of the proxy for one call.

Names start with ``Spanhouse-``; the same names with ``Helicone-`` are aliases, and the first wins
where both are sent. Booleans are strict: ``true`` or ``false``.

=======================================  ==========================================================
``Cache-Enabled``                        read from and save to the response cache
``Cache-Read``, ``Cache-Save``           only one of the two
``Cache-Bucket-Max-Size``                1..20 different answers kept per request (default 1)
``Cache-Seed``                           a namespace of its own for the cache keys
``Cache-Control``                        ``max-age=<seconds>``: default 7 days, at most 365 days
``Cache-Ignore-Keys``                    top-level keys of the JSON body that do not matter
``Retry-Enabled``                        try again before the first byte of an answer is passed on
``Retry-Num``, ``Retry-Factor``          further tries (5, at most 10); growth of the pause (2)
``Retry-Min-Timeout``, ``-Max-Timeout``  shortest and longest pause, ms (1,000 and 10,000)
``Fallbacks``                            JSON list of targets, see ``fallback``
``RateLimit-Policy``                     ``quota;w=seconds;u=request|tokens|cents;s=segment``, may be
                                         several, separated by commas
=======================================  ==========================================================

What a malformed value does was decided per header:

- **What protects money fails closed.** A ``RateLimit-Policy`` that cannot be read is a 400 naming
  the header: calls that run without the limit their sender believes in cost real money, and a
  typing error shows at the first call.
- **What only helps is left out, with a warning.** A malformed ``Cache-*``, ``Retry-*`` or
  ``Fallbacks`` header switches that one policy off for the call, whole and never by halves (a cache
  with a default instead of the TTL meant would serve wrong answers, half a list of fallbacks would
  send a prompt where nobody wanted it). The answer says so in ``Spanhouse-Policy-Warning``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from spanhouse_collector.policy.errors import MalformedPolicy
from spanhouse_collector.policy.fallback import FallbackTarget, parse_fallbacks
from spanhouse_collector.policy.limits import Limit, parse_limits
from spanhouse_collector.policy.retry import RetryAsk
from spanhouse_collector.proxy.headers import read_bool

CACHE_DEFAULT_TTL_S = 7 * 86_400
CACHE_MAX_TTL_S = 365 * 86_400
CACHE_MAX_BUCKETS = 20
MAX_RETRIES = 10
_MAX_PAUSE_MS = 60_000
_MAX_SEED_CHARACTERS = 256
_MAX_IGNORED_KEYS = 32

#: The names without their prefix.
POLICY_HEADERS = frozenset(
    [
        "cache-enabled",
        "cache-read",
        "cache-save",
        "cache-bucket-max-size",
        "cache-seed",
        "cache-control",
        "cache-ignore-keys",
        "retry-enabled",
        "retry-num",
        "retry-factor",
        "retry-min-timeout",
        "retry-max-timeout",
        "fallbacks",
        "ratelimit-policy",
    ]
)
#: Later ones win over earlier ones.
_PREFIXES = ("helicone-", "x-spanhouse-", "spanhouse-")
_MAX_AGE = re.compile(r"(?:s-maxage|max-age)\s*=\s*\"?(\d{1,12})\"?")
_DIRECTIVE = re.compile(r"[a-z-]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s,;]+))?")


@dataclass(frozen=True, slots=True)
class CacheAsk:
    """What a call wants of the response cache."""

    read: bool = True
    save: bool = True
    buckets: int = 1
    seed: str = ""
    ttl_s: int = CACHE_DEFAULT_TTL_S
    ignore_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyAsk:
    """Everything a call asks for; ``warnings`` name what was left out and why."""

    cache: CacheAsk | None = None
    retry: RetryAsk | None = None
    fallbacks: tuple[FallbackTarget, ...] = ()
    limits: tuple[Limit, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def needs_body(self) -> bool:
        """Tell whether the request body must be held to be hashed or sent again."""
        return self.cache is not None or self.retry is not None or bool(self.fallbacks)


#: What a call without any policy header asks for; the common case allocates nothing.
NOTHING = PolicyAsk()


def read_policy(headers: Iterable[tuple[str, str]]) -> PolicyAsk:
    """Read the policy headers of a request; raises ``MalformedPolicy`` (400) for a bad limit.

    ``headers`` are (name, value) pairs in any case, as received.
    """
    asked = _ours(headers)
    if not asked:
        return NOTHING
    warnings: list[str] = []

    def helpful(read: Callable[[_Values], object]) -> object:
        try:
            return read(asked)
        except MalformedPolicy as error:
            warnings.append(f"{error.message}; this policy was left out")
            return None

    cache = helpful(_read_cache)
    retry = helpful(_read_retry)
    fallbacks = helpful(_read_fallbacks)
    return PolicyAsk(
        cache=cache if isinstance(cache, CacheAsk) else None,
        retry=retry if isinstance(retry, RetryAsk) else None,
        fallbacks=fallbacks if isinstance(fallbacks, tuple) else (),
        limits=_read_limits(asked),
        warnings=tuple(warnings),
    )


class _Values:
    """Policy headers by their name without prefix, each with all its values in order."""

    def __init__(self, found: dict[str, list[str]]) -> None:
        self._found = found

    def __bool__(self) -> bool:
        return bool(self._found)

    def all(self, name: str) -> Sequence[str]:
        """Return every value sent under a name."""
        return self._found.get(name, ())

    def one(self, name: str) -> str | None:
        """Return the one value of a header; two different ones are malformed."""
        values = self.all(name)
        if len(set(values)) > 1:
            raise MalformedPolicy(f"header {_shown(name)} was sent {len(values)} times with different values")
        return values[0] if values else None

    def flag(self, name: str) -> bool | None:
        """Return a strict boolean, ``None`` when absent."""
        value = self.one(name)
        if value is None:
            return None
        flag = read_bool(value)
        if flag is None:
            raise MalformedPolicy(f"header {_shown(name)} is {value[:40]!r}, not true or false")
        return flag

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number between two bounds."""
        value = self.one(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            raise MalformedPolicy(f"header {_shown(name)} is {value[:40]!r}, not a whole number from {low} to {high}")
        return int(value)

    def factor(self, name: str, default: float, low: float, high: float) -> float:
        """Return a decimal number between two bounds."""
        value = self.one(name)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,6})?", value) or not low <= float(value) <= high:
            raise MalformedPolicy(f"header {_shown(name)} is {value[:40]!r}, not a number from {low:g} to {high:g}")
        return float(value)


def _ours(headers: Iterable[tuple[str, str]]) -> _Values:
    by_prefix: dict[str, dict[str, list[str]]] = {prefix: {} for prefix in _PREFIXES}
    for name, value in headers:
        lower = name.lower()
        for prefix in _PREFIXES:
            if lower.startswith(prefix) and lower[len(prefix) :] in POLICY_HEADERS:
                by_prefix[prefix].setdefault(lower[len(prefix) :], []).append(value.strip())
    found: dict[str, list[str]] = {}
    for prefix in _PREFIXES:
        found |= by_prefix[prefix]
    return _Values(found)


def _read_cache(asked: _Values) -> CacheAsk | None:
    both = asked.flag("cache-enabled")
    read, save = asked.flag("cache-read"), asked.flag("cache-save")
    if both is False:
        read = save = False
    read = bool(both) if read is None else read
    save = bool(both) if save is None else save
    buckets = asked.number("cache-bucket-max-size", 1, 1, CACHE_MAX_BUCKETS)
    seed = asked.one("cache-seed") or ""
    if len(seed) > _MAX_SEED_CHARACTERS:
        raise MalformedPolicy(f"header {_shown('cache-seed')} is longer than {_MAX_SEED_CHARACTERS} characters")
    ttl_s, no_read, no_save = _cache_control(asked.one("cache-control"))
    ignored = tuple(sorted({key.strip() for key in (asked.one("cache-ignore-keys") or "").split(",")} - {""}))
    if len(ignored) > _MAX_IGNORED_KEYS:
        raise MalformedPolicy(f"header {_shown('cache-ignore-keys')} names more than {_MAX_IGNORED_KEYS} keys")
    read, save = read and not no_read, save and not no_save
    return CacheAsk(read, save, buckets, seed, ttl_s, ignored) if read or save else None


def _cache_control(value: str | None) -> tuple[int, bool, bool]:
    """Return (TTL in seconds, do not read, do not save); directives not known are skipped, as in HTTP."""
    if value is None:
        return CACHE_DEFAULT_TTL_S, False, False
    directives = [part.strip().lower() for part in value.split(",") if part.strip()]
    if not all(_DIRECTIVE.fullmatch(directive) for directive in directives):
        raise MalformedPolicy(f"header {_shown('cache-control')} is {value[:40]!r}, not like max-age=3600")
    ttl_s = CACHE_DEFAULT_TTL_S
    for directive in directives:
        if directive.startswith(("max-age", "s-maxage")):
            age = _MAX_AGE.fullmatch(directive)
            if age is None:
                raise MalformedPolicy(f"header {_shown('cache-control')} is {value[:40]!r}, not like max-age=3600")
            ttl_s = min(int(age[1]), CACHE_MAX_TTL_S)
    no_store = "no-store" in directives
    return ttl_s, no_store or "no-cache" in directives, no_store or ttl_s == 0


def _read_retry(asked: _Values) -> RetryAsk | None:
    enabled = asked.flag("retry-enabled")
    retries = asked.number("retry-num", 5, 0, MAX_RETRIES)
    factor = asked.factor("retry-factor", 2.0, 1.0, 10.0)
    shortest_ms = asked.number("retry-min-timeout", 1_000, 0, _MAX_PAUSE_MS)
    longest_ms = asked.number("retry-max-timeout", 10_000, 0, _MAX_PAUSE_MS)
    if shortest_ms > longest_ms and asked.one("retry-max-timeout") is not None:
        raise MalformedPolicy(f"header {_shown('retry-min-timeout')} is larger than {_shown('retry-max-timeout')}")
    if not enabled or not retries:
        return None
    return RetryAsk(retries, factor, shortest_ms, max(shortest_ms, longest_ms))


def _read_fallbacks(asked: _Values) -> tuple[FallbackTarget, ...]:
    value = asked.one("fallbacks")
    return () if value is None else parse_fallbacks(value, _shown("fallbacks"))


def _read_limits(asked: _Values) -> tuple[Limit, ...]:
    return tuple(
        limit
        for value in asked.all("ratelimit-policy")
        for limit in parse_limits(value, f"header {_shown('ratelimit-policy')}")
    )


def _shown(name: str) -> str:
    """Return a header's name as the documentation writes it."""
    words = {"ratelimit": "RateLimit"}
    return "Spanhouse-" + "-".join(words.get(word, word.capitalize()) for word in name.split("-"))
