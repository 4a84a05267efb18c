"""The proxy's Prometheus instruments, on a registry of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

#: Seconds; the proxy's own time is tenths of milliseconds on a quiet machine.
OVERHEAD_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.006, 0.01, 0.015, 0.03, 0.1, 0.5)
DURATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)

#: What the recorder and the tee count -> the reason it is told by.
_DROPPED = {
    "dropped_behind": "recorder_behind",
    "dropped_queue_full": "queue_full",
    "dropped_refused": "refused",
    "unreadable": "unreadable",
}


class ProxyMetrics:
    """Counts what the relay does."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.calls = Counter(
            "spanhouse_proxy_calls",
            "Calls that ended, by provider, how they ended and HTTP status.",
            ["provider", "outcome", "status"],
            registry=self.registry,
        )
        self.overhead_s = Histogram(
            "spanhouse_proxy_overhead_seconds",
            "Time the proxy itself added before the first byte of the answer.",
            ["provider"],
            buckets=OVERHEAD_BUCKETS,
            registry=self.registry,
        )
        self.duration_s = Histogram(
            "spanhouse_proxy_call_duration_seconds",
            "Time from the call's head to the end of its answer.",
            ["provider"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.open_calls = Gauge("spanhouse_proxy_open_calls", "Calls under way.", registry=self.registry)

    def watch(self, stats: Callable[[], Mapping[str, int]]) -> None:
        """Read the recorder's queue and counts from ``stats`` at every scrape."""
        self.registry.register(_RecorderCollector(stats))


class _RecorderCollector(Collector):
    def __init__(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self._stats = stats

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        dropped = CounterMetricFamily(
            "spanhouse_proxy_dropped", "Calls or spans that were not recorded, by reason.", labels=["reason"]
        )
        for name, reason in _DROPPED.items():
            dropped.add_metric([reason], stats.get(name, 0))
        yield dropped
        yield CounterMetricFamily("spanhouse_proxy_sent_spans", "Spans delivered.", value=stats.get("sent", 0))
        yield CounterMetricFamily(
            "spanhouse_proxy_recorder_restarts", "Times the recorder was started again.", value=stats.get("restarts", 0)
        )
        for name, text, level in (
            ("queue_bytes", "Bytes of spans waiting to be delivered.", stats.get("queue_bytes", 0)),
            ("queue_batches", "Batches of spans waiting to be delivered.", stats.get("queue_batches", 0)),
        ):
            yield GaugeMetricFamily(f"spanhouse_proxy_{name}", text, value=level)
