"""Where policies meet calls: decides in ``open`` what applies, and owns what outlives a call.

A call for which nobody asked anything costs one look at its headers. Everything else is made per call in
``applied``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy.aim import names_stored_key
from spanhouse_collector.policy.applied import Applied
from spanhouse_collector.policy.budgets import Budgets, refusal
from spanhouse_collector.policy.cache import ResponseCache
from spanhouse_collector.policy.cache_file import CacheFile
from spanhouse_collector.policy.checker import Checker
from spanhouse_collector.policy.errors import MalformedPolicy
from spanhouse_collector.policy.headers import POLICY_HEADERS, PolicyAsk, read_policy
from spanhouse_collector.policy.identity import KEY_ID_DIGITS
from spanhouse_collector.policy.keyring import KeyRing
from spanhouse_collector.policy.keys import Vault, master_key
from spanhouse_collector.policy.limits import Limit, Meter
from spanhouse_collector.policy.metrics import PolicyCollector
from spanhouse_collector.policy.prices import Prices
from spanhouse_collector.policy.probe import HttpProbe
from spanhouse_collector.policy.reload import Reloader
from spanhouse_collector.policy.settings import PolicySettings, load_policy
from spanhouse_collector.policy.upstream_pool import UpstreamPool
from spanhouse_collector.policy.usage_file import UsageFile
from spanhouse_collector.proxy.app import ProxyOptions
from spanhouse_collector.proxy.headers import call_context
from spanhouse_collector.proxy.hook import Call
from spanhouse_collector.proxy.metrics import ProxyMetrics
from spanhouse_collector.proxy.upstreams import Upstreams

log = logging.getLogger("spanhouse.proxy")

VAULT_FILE = "provider_keys.db"
MASTER_FILE = "provider_keys.master"
USAGE_FILE = "usage.db"


@dataclass(slots=True)
class _Kept:
    """What outlives calls, opened by ``PolicyEngine.start``."""

    meter: Meter
    cache: ResponseCache | None = None
    cache_file: CacheFile | None = None
    usage_file: UsageFile | None = None
    checkers: list[Checker] = field(default_factory=list)
    reloader: Reloader | None = None


class PolicyEngine:
    """The proxy's ``Policy``. Call ``start`` on the event loop before the first call, ``close`` at the end."""

    def __init__(
        self,
        settings: PolicySettings,
        upstreams: Upstreams,
        data_dir: Path,
        *,
        master: str = "",
        file: Path | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        """``budgets`` tells which of the server's budgets are used up; without it none are enforced."""
        self.settings = settings
        self._budgets = budgets
        self.upstreams = upstreams
        self.prices = Prices(settings.prices)
        self.pools = {name: UpstreamPool(name, pool) for name, pool in settings.pools.items()}
        self._data_dir = data_dir
        self.keys = KeyRing(data_dir / VAULT_FILE, data_dir / MASTER_FILE, master)
        self._file = file
        self._kept = _Kept(Meter())
        self._default_asks: dict[tuple[str, str], PolicyAsk] = {}

    async def start(self, metrics: ProxyMetrics) -> None:
        """Open the files, start the health checks, watch the policy file; raises ``ConfigError``."""
        metrics.registry.register(PolicyCollector(self))
        if any(limit.unit == "cents" for scoped in self.settings.limits for limit in scoped.limits):
            await asyncio.to_thread(self.prices.load)
        usage_file = await asyncio.to_thread(UsageFile, self._data_dir / USAGE_FILE)
        kept = _Kept(Meter(usage_file), usage_file=usage_file)
        cache = self.settings.cache
        if cache is not None:
            if cache.file:
                kept.cache_file = await asyncio.to_thread(CacheFile, self._data_dir / cache.file, cache.file_max_bytes)
            kept.cache = ResponseCache(cache.max_bytes, max_entry_bytes=cache.max_entry_bytes, store=kept.cache_file)
        for name, settings in self.settings.pools.items():
            if settings.health_path:
                probe = HttpProbe(self.pools[name].upstreams, settings.health_path)
                checker = Checker(
                    [self.pools[name].pool], probe, interval_s=settings.interval_s, timeout_s=settings.timeout_s
                )
                checker.start()
                kept.checkers.append(checker)
        if self._file is not None:
            kept.reloader = Reloader(self._file, self.reload)
            kept.reloader.start()
        self._kept = kept

    async def reload(self, settings: PolicySettings) -> None:
        """Take over a changed policy file: limits, defaults, prices and the members of pools.

        A member that is no longer named is drained. Whether there is a cache or a pool at all, and how
        members are judged, is decided at the start.
        """
        old, self.settings = self.settings, settings
        self.prices = Prices(settings.prices)
        self._default_asks.clear()
        if set(old.pools) != set(settings.pools) or old.cache != settings.cache:
            log.warning("pools or the cache were added to or removed from the policy file: that needs a restart")
        for name, pool in settings.pools.items():
            if name in self.pools:
                self.pools[name].follow(name, pool)

    async def close(self) -> None:
        """Write what waits and release everything."""
        kept = self._kept
        if kept.reloader is not None:
            await kept.reloader.stop()
        for checker in kept.checkers:
            await checker.stop()
        for pool in self.pools.values():
            pool.stop()
        if kept.cache is not None:
            await kept.cache.close()
        if kept.cache_file is not None:
            await asyncio.to_thread(kept.cache_file.close)
        if kept.usage_file is not None:
            await asyncio.to_thread(kept.usage_file.close)
        await asyncio.to_thread(self.keys.close)

    @property
    def meter(self) -> Meter:
        """Return what counts uses."""
        return self._kept.meter

    @property
    def cache(self) -> ResponseCache | None:
        """Return the response cache, ``None`` when the operator gave it no memory."""
        return self._kept.cache

    def open(self, call: Call) -> Applied | None:
        """Return what applies to a call, ``None`` for nothing; raises ``Refused`` for a malformed limit."""
        pool = self.pools.get(call.upstream.name)
        ask = self._ask(call)
        # Before anything is decided: a target that may not be asked is told at the first call that names it.
        targets = [self.upstreams.target(item.url) if item.url else None for item in ask.fallbacks]
        providers = {call.provider} | {target.name for target in targets if target is not None}
        limits = (*self._limits(call.project, providers), *ask.limits)
        stored_key = names_stored_key(call)
        # A connection that stays open has to end when a budget is used up that is not watched today.
        budgeted = self._budgets is not None and (self._budgets.watches(call.project) or call.upgrades)
        asks = limits or stored_key or budgeted or ask.needs_body or ask.warnings
        if pool is None and not asks:
            return None
        if any(limit.unit == "cents" for limit in limits) and not self.prices.any:
            raise MalformedPolicy(
                "a limit in cents applies to this call, and this proxy knows no prices",
                "install the package genai-prices beside it, or give [prices] in the policy file",
            )
        return Applied(self, call, ask, targets, limits, pool, budgeted=budgeted)

    def check_budgets(self, call: Call, context: CallContext, key_id: str) -> None:
        """Raise ``BudgetUsedUp`` when a budget that is enforced is used up for the caller."""
        assert self._budgets is not None  # noqa: S101 - only calls of projects it watches come here
        if not self._budgets.watches(call.project):
            return
        used = self._budgets.used_up(call.project, context, key_id[:KEY_ID_DIGITS])
        if used is not None:
            method, path, query = (part.decode("latin-1") for part in (call.method, call.path, call.query))
            raise refusal(used, method, path, query)

    @property
    def usage_file(self) -> UsageFile | None:
        """Return where uses are kept."""
        return self._kept.usage_file

    def context(self, call: Call) -> CallContext:
        """Return who a call says it is for."""
        headers = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in call.headers]
        return call_context(call.own, headers)

    def _ask(self, call: Call) -> PolicyAsk:
        own = call.own
        asked = [name for name in own if name in POLICY_HEADERS]
        if asked:
            # Read from the headers themselves: there a limit sent twice is two limits.
            pairs = [(name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in call.headers]
            return read_policy([*self._defaults(call.project, call.provider, leave_out=asked), *pairs])
        key = (call.project, call.provider)
        found = self._default_asks.get(key)
        if found is None:
            found = read_policy(self._defaults(*key))
            if len(self._default_asks) >= 10_000:  # target headers let callers make up names of providers
                self._default_asks.clear()
            self._default_asks[key] = found
        return found

    def _defaults(self, project: str, provider: str, leave_out: Sequence[str] = ()) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for scoped in self.settings.defaults:
            if scoped.applies(project, provider):
                found |= scoped.headers
        return [(f"spanhouse-{name}", value) for name, value in found.items() if name not in leave_out]

    def _limits(self, project: str, providers: Collection[str]) -> list[Limit]:
        """Return the operator's limits; with fallbacks those of every provider that may be asked."""
        return [
            limit
            for scoped in self.settings.limits
            if any(scoped.applies(project, provider) for provider in providers)
            for limit in scoped.limits
        ]


def open_vault(data_dir: Path, master: str = "") -> Vault:
    """Open (or begin) the store of provider keys in a data folder, for the command that manages them."""
    data_dir.mkdir(parents=True, exist_ok=True)
    return Vault(data_dir / VAULT_FILE, master_key(data_dir / MASTER_FILE, master))


def policy_for(
    options: ProxyOptions, policy_file: str, data_dir: Path, master: str = "", budgets: Budgets | None = None
) -> tuple[ProxyOptions, PolicyEngine]:
    """Return a proxy's options with the pools as upstreams, and its policy; raises ``ConfigError``.

    ``policy_file`` may be empty: headers, stored keys and their limits work without one, and so do ``budgets``.
    """
    file = Path(policy_file) if policy_file else None
    settings = load_policy(file) if file is not None else PolicySettings()
    options = with_pools(options, settings)
    upstreams = Upstreams(options.upstreams, options.target_hosts)
    return options, PolicyEngine(settings, upstreams, data_dir, master=master, file=file, budgets=budgets)


def with_pools(options: ProxyOptions, settings: PolicySettings) -> ProxyOptions:
    """Return the proxy's options with the pools as upstreams, so that paths may name them."""
    return replace(options, upstreams={**options.upstreams, **settings.upstreams()})
