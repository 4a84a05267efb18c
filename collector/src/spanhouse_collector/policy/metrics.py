"""The policies' Prometheus metrics, read at every scrape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from spanhouse_collector.policy.engine import PolicyEngine


class PolicyCollector(Collector):
    """Tells how the cache, the limits and the pools of an engine stand."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        """Return nothing: the families depend on what is configured."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the families."""
        meter, usage_file = self._engine.meter, self._engine.usage_file
        yield CounterMetricFamily("spanhouse_proxy_limited", "Calls answered with 429.", value=meter.refused)
        yield CounterMetricFamily(
            "spanhouse_proxy_uncharged", "Calls whose tokens or cost a budget could not count.", value=meter.uncharged
        )
        yield CounterMetricFamily(
            "spanhouse_proxy_estimated_charges",
            "Calls that broke off and were charged by the text that passed.",
            value=meter.estimated,
        )
        if usage_file is not None:
            yield CounterMetricFamily(
                "spanhouse_proxy_usage_write_failures",
                "Failed writes of what limits have counted.",
                value=usage_file.failed_writes,
            )
        yield from self._cache()
        yield from self._pools()

    def _cache(self) -> Iterator[Metric]:
        cache = self._engine.cache
        if cache is None:
            return
        lookups = CounterMetricFamily(
            "spanhouse_proxy_cache_lookups", "Lookups in the response cache.", labels=["result"]
        )
        lookups.add_metric(["hit"], cache.hits)
        lookups.add_metric(["miss"], cache.misses)
        yield lookups
        yield GaugeMetricFamily("spanhouse_proxy_cache_bytes", "Memory of the response cache.", value=cache.used_bytes)
        yield CounterMetricFamily(
            "spanhouse_proxy_cache_file_failures", "Failed or late uses of its file.", value=cache.store_failures
        )

    def _pools(self) -> Iterator[Metric]:
        labels = ["pool", "member"]
        up = GaugeMetricFamily("spanhouse_proxy_pool_up", "1 for a member that gets calls.", labels=labels)
        in_flight = GaugeMetricFamily("spanhouse_proxy_pool_in_flight", "Calls under way at a member.", labels=labels)
        latency = GaugeMetricFamily(
            "spanhouse_proxy_pool_latency_seconds", "Peak EWMA of the time to a member's first byte.", labels=labels
        )
        calls = CounterMetricFamily("spanhouse_proxy_pool_calls", "Tries at a member.", labels=labels)
        failures = CounterMetricFamily("spanhouse_proxy_pool_failures", "Tries that failed.", labels=labels)
        for name, pool in self._engine.pools.items():
            for item in pool.pool.states():
                values = [name, item.url]
                up.add_metric(values, float(item.state in ("healthy", "returning")))
                in_flight.add_metric(values, item.in_flight)
                calls.add_metric(values, item.calls)
                failures.add_metric(values, item.failures)
                if item.latency_ms is not None:
                    latency.add_metric(values, item.latency_ms / 1000)
        if self._engine.pools:
            yield from (up, in_flight, latency, calls, failures)
