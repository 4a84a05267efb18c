"""The operator's policy file: TOML (or JSON, by its suffix), read once at the start.

::

    [cache]                              # responses; without it the Cache headers do nothing
    max_mb = 256
    file = "cache.db"                    # optional, in the data folder
    file_max_mb = 2048

    [[limits]]                           # always applied, whatever a caller sends
    limit = "5000;w=2592000;u=cents"     # 50 USD in 30 days; add ;s=user, ;s=key or ;s=<property>
    projects = ["default"]               # optional: all
    providers = ["openai"]               # optional: all

    [[defaults]]                         # headers a caller of these projects need not send
    projects = ["default"]
    headers = { Retry-Enabled = "true", Cache-Enabled = "true" }

    [pools.llama]                        # reached at /proxy/llama/...
    members = ["http://10.0.0.5:8000", { url = "http://10.0.0.6:8000", weight = 2 }]
    strategy = "session-affinity"
    health_path = "/health"              # optional: active checks

    [prices."my-model"]                  # USD per million tokens, for budgets in money
    input = 0.20
    output = 0.60

Everything that cannot be read is a ``ConfigError`` that names its place: a limit that silently does
nothing is worse than a proxy that does not start.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from spanhouse_collector.errors import ConfigError
from spanhouse_collector.policy.errors import MalformedPolicy
from spanhouse_collector.policy.headers import POLICY_HEADERS, read_policy
from spanhouse_collector.policy.health import HealthRules
from spanhouse_collector.policy.limits import Limit, parse_limits
from spanhouse_collector.policy.pools import STRATEGIES
from spanhouse_collector.policy.prices import ModelPrice
from spanhouse_collector.proxy.upstreams import parse_upstream

_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Bounds of the response cache. ``file`` is relative to the data folder; empty for memory only."""

    max_bytes: int = 256 * _MB
    max_entry_bytes: int = 8 * _MB
    file: str = ""
    file_max_bytes: int = 2048 * _MB


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """One pool: its members' base URLs with weights, and how they are judged; times in seconds."""

    members: tuple[tuple[str, float], ...]
    strategy: str = "least-connections"
    health_path: str = ""
    interval_s: float = 10.0
    timeout_s: float = 5.0
    rules: HealthRules = field(default_factory=HealthRules)


@dataclass(frozen=True, slots=True)
class Scoped:
    """Limits or default headers, and for whom; empty sets mean everyone."""

    projects: frozenset[str]
    providers: frozenset[str]
    limits: tuple[Limit, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def applies(self, project: str, provider: str) -> bool:
        """Tell whether a call is meant."""
        return (not self.projects or project in self.projects) and (not self.providers or provider in self.providers)


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """The whole file. An empty one applies nothing."""

    cache: CacheSettings | None = None
    limits: tuple[Scoped, ...] = ()
    defaults: tuple[Scoped, ...] = ()
    pools: Mapping[str, PoolSettings] = field(default_factory=dict)
    prices: Mapping[str, ModelPrice] = field(default_factory=dict)

    def upstreams(self) -> dict[str, str]:
        """Return what the pools add to the upstreams by name: their first member."""
        return {name: pool.members[0][0] for name, pool in self.pools.items()}


def load_policy(path: Path) -> PolicySettings:
    """Read a policy file; raises ``ConfigError`` naming the file and the place."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the policy file {path} cannot be read: {error.strerror}") from None
    try:
        document = orjson.loads(text) if path.suffix == ".json" else tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, orjson.JSONDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the policy file {path} cannot be read: {error}") from None
    return read_document(document, str(path))


def read_document(document: Any, source: str) -> PolicySettings:
    """Read the parsed file; ``source`` names it in ``ConfigError``."""
    root = _Table(document, source)
    root.only("cache", "limits", "defaults", "pools", "prices")
    cache = root.table("cache")
    pools = root.table("pools")
    prices = root.table("prices")
    return PolicySettings(
        _cache(cache) if cache else None,
        tuple(_limits(item) for item in root.tables("limits")),
        tuple(_defaults(item) for item in root.tables("defaults")),
        {
            name: _pool(name, _Table(value, f"{source}: pools.{name}"))
            for name, value in (pools.values() if pools else ())
        },
        {
            name: _price(_Table(value, f"{source}: prices.{name}"))
            for name, value in (prices.values() if prices else ())
        },
    )


class _Table:
    """A table of the file that knows its place."""

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{place} is not a table")
        self._value = value
        self.place = place

    def only(self, *names: str) -> None:
        """Refuse keys that nobody reads: they are typing errors."""
        unknown = sorted(set(self._value) - set(names))
        if unknown:
            raise ConfigError(f"{self.place}: {unknown[0]!r} is not known", f"known are {', '.join(names)}")

    def values(self) -> list[tuple[str, Any]]:
        """Return every key and value."""
        return list(self._value.items())

    def table(self, name: str) -> _Table | None:
        """Return a table below, if there is one."""
        return _Table(self._value[name], f"{self.place}: {name}") if name in self._value else None

    def tables(self, name: str) -> list[_Table]:
        """Return a list of tables below."""
        items = self._value.get(name, [])
        if not isinstance(items, list):
            raise ConfigError(f"{self.place}: {name} is not a list of tables", f"write [[{name}]]")
        return [_Table(item, f"{self.place}: {name}[{index}]") for index, item in enumerate(items)]

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        value = self._value.get(name, default)
        if not isinstance(value, str):
            raise ConfigError(f"{self.place}: {name} is not a text")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number between two bounds."""
        value = self._value.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigError(f"{self.place}: {name} is not a number from {low:g} to {high:g}")
        return value

    def names(self, name: str) -> frozenset[str]:
        """Return a set of texts."""
        value = self._value.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{self.place}: {name} is not a list of texts")
        return frozenset(value)

    def raw(self, name: str) -> Any:
        """Return whatever stands there, ``None`` for nothing."""
        return self._value.get(name)


def _cache(table: _Table) -> CacheSettings:
    table.only("max_mb", "max_entry_mb", "file", "file_max_mb")
    return CacheSettings(
        int(table.number("max_mb", 256, 1, 65_536) * _MB),
        int(table.number("max_entry_mb", 8, 0.01, 1_024) * _MB),
        table.text("file"),
        int(table.number("file_max_mb", 2_048, 1, 1_048_576) * _MB),
    )


def _limits(table: _Table) -> Scoped:
    table.only("limit", "projects", "providers")
    try:
        limits = parse_limits(table.text("limit"), table.place)
    except MalformedPolicy as error:
        raise ConfigError(error.message, error.hint) from None
    return Scoped(table.names("projects"), table.names("providers"), limits)


def _defaults(table: _Table) -> Scoped:
    table.only("headers", "projects", "providers")
    headers = []
    for name, value in _Table(table.raw("headers") or {}, f"{table.place}: headers").values():
        short = name.lower().removeprefix("spanhouse-")
        if short not in POLICY_HEADERS or short == "ratelimit-policy" or not isinstance(value, str):
            raise ConfigError(f"{table.place}: {name!r} is no policy header with a text", "limits go under [[limits]]")
        headers.append((short, value))
    warnings = read_policy([(f"spanhouse-{name}", value) for name, value in headers]).warnings
    if warnings:
        raise ConfigError(f"{table.place}: {warnings[0]}")
    return Scoped(table.names("projects"), table.names("providers"), headers=tuple(headers))


def _pool(name: str, table: _Table) -> PoolSettings:
    rules = HealthRules()
    table.only(
        *("members", "strategy", "health_path", "interval_s", "timeout_s", "consecutive_failures", "failure_share"),
        *("base_s", "longest_s", "slow_start_s"),
    )
    items = table.raw("members")
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{table.place}: members is not a list of base URLs")
    members = tuple(_member(name, item, f"{table.place}: members[{index}]") for index, item in enumerate(items))
    if len({url for url, _ in members}) != len(members):
        raise ConfigError(f"{table.place}: a member stands there twice")
    strategy = table.text("strategy", "least-connections")
    if strategy not in STRATEGIES:
        raise ConfigError(f"{table.place}: {strategy!r} is no strategy", f"one of {', '.join(STRATEGIES)}")
    health_path = table.text("health_path")
    if health_path and (not health_path.startswith("/") or not health_path.isascii() or " " in health_path):
        raise ConfigError(f"{table.place}: health_path is not like /health")
    return PoolSettings(
        members,
        strategy,
        health_path,
        table.number("interval_s", 10, 0.1, 3_600),
        table.number("timeout_s", 5, 0.1, 300),
        HealthRules(
            consecutive_failures=int(table.number("consecutive_failures", rules.consecutive_failures, 1, 10_000)),
            failure_share=table.number("failure_share", rules.failure_share, 0.01, 1),
            base_s=table.number("base_s", rules.base_s, 0.1, 3_600),
            longest_s=table.number("longest_s", rules.longest_s, 0.1, 86_400),
            slow_start_s=table.number("slow_start_s", rules.slow_start_s, 0, 3_600),
        ),
    )


def _member(name: str, item: Any, place: str) -> tuple[str, float]:
    table = _Table({"url": item} if isinstance(item, str) else item, place)
    table.only("url", "weight")
    url = parse_upstream(name, table.text("url"), trusted=True).url
    return url, table.number("weight", 1, 0.001, 1_000)


def _price(table: _Table) -> ModelPrice:
    table.only("input", "output")
    # By way of the text, so that 0.1 is a tenth.
    return ModelPrice(*(Decimal(str(table.number(name, 0, 0, 1_000_000))) for name in ("input", "output")))
