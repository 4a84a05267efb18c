"""Our own Prometheus instruments: one registry per server, so that two in one process stay apart.

What must survive a restart (spans received, stored, rejected…) is counted durably by the spool and
only read here, at scrape time; the instruments below count what one process does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.ops.workers import WorkerCollector, WorkerNumbers

#: Bounds in seconds: from a cached answer to the longest query allowed by default.
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class IngestStats(Protocol):
    """What the durable counters say; the spool's ``SpoolStats`` has this shape."""

    bytes: int
    requests: int
    oldest_age_s: float
    set_aside: int
    received_spans: int
    stored_spans: int
    duplicate_spans: int
    received_logs: int
    received_metric_points: int
    rejected: dict[str, int]


class Metrics:
    """The registry and every instrument of one server."""

    def __init__(self, version: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Info("spanhouse_build", "The version that runs.", registry=self.registry)
        build.info({"version": version or _installed_version()})

        self.ingest_requests = Counter(
            "spanhouse_ingest_requests",
            "OTLP requests answered, by transport (http, grpc), signal and HTTP status (gRPC: its nearest).",
            ["transport", "signal", "status"],
            registry=self.registry,
        )
        self.ingest_bytes = Counter(
            "spanhouse_ingest_bytes",
            "Bytes of accepted OTLP requests after decompression.",
            ["transport", "signal"],
            registry=self.registry,
        )
        self.ingest_seconds = Histogram(
            "spanhouse_ingest_request_duration_seconds",
            "Time from the request's head to its answer, waiting for the disk included.",
            ["transport", "signal"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.drain_batch_seconds = Histogram(
            "spanhouse_drain_batch_duration_seconds",
            "Time to bring one batch from the spool into the store, by stage.",
            ["stage"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.query_seconds = Histogram(
            "spanhouse_query_duration_seconds",
            "Time of one read from the store, by kind of read.",
            ["query"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.http_requests = Counter(
            "spanhouse_http_requests",
            "HTTP requests answered, by route template, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "spanhouse_http_request_duration_seconds",
            "Time to answer an HTTP request, by route template.",
            ["route"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )

    def watch_workers(self, states: Callable[[], Sequence[WorkerNumbers]]) -> None:
        """Read how background workers go from ``states`` at every scrape."""
        self.registry.register(WorkerCollector(states))

    def watch_alerts(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Read how many alerts there are by state, and messages ``waiting``, from ``counts`` at every scrape."""
        self.registry.register(_AlertCollector(counts))

    def watch_ingest(self, stats: Callable[[], IngestStats]) -> None:
        """Read the durable ingest counters and the spool's state from ``stats`` at every scrape."""
        self.registry.register(_IngestCollector(stats))


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe the seconds that the block takes, failures included."""
    begun = perf_counter()
    try:
        yield
    finally:
        histogram.observe(perf_counter() - begun)


class _AlertCollector(Collector):
    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            counts = self._counts()
        except SpanhouseError:
            return  # a store that is away must not take the other figures along
        alerts = GaugeMetricFamily(
            "spanhouse_alerts", "Alerts by state; resolved ones as long as kept.", labels=["state"]
        )
        for state in ("pending", "firing", "resolved"):
            alerts.add_metric([state], counts.get(state, 0))
        yield alerts
        yield GaugeMetricFamily(
            "spanhouse_alert_notifications_waiting", "Messages not yet delivered.", value=counts.get("waiting", 0)
        )


class _IngestCollector(Collector):
    def __init__(self, stats: Callable[[], IngestStats]) -> None:
        self._stats = stats

    def describe(self) -> list[Metric]:
        # Said beforehand so that registering does not read a spool that is only being opened.
        return []

    def collect(self) -> Iterator[Metric]:
        stats = self._stats()
        received = CounterMetricFamily(
            "spanhouse_received_records", "Records acknowledged since the store began.", labels=["record"]
        )
        received.add_metric(["span"], stats.received_spans)
        received.add_metric(["log"], stats.received_logs)
        received.add_metric(["metric_point"], stats.received_metric_points)
        yield received
        rejected = CounterMetricFamily(
            "spanhouse_rejected_records", "Records refused since the store began, by reason.", labels=["reason"]
        )
        for reason, count in sorted(stats.rejected.items()):
            rejected.add_metric([reason], count)
        yield rejected
        for name, help_text, count in (
            ("stored_spans", "Spans stored since the store began.", stats.stored_spans),
            ("duplicate_spans", "Spans that came again since the store began.", stats.duplicate_spans),
        ):
            yield CounterMetricFamily(f"spanhouse_{name}", help_text, value=count)
        for name, help_text, level in (
            ("spool_bytes", "Bytes waiting in the spool.", stats.bytes),
            ("spool_requests", "Requests waiting in the spool.", stats.requests),
            ("spool_oldest_age_seconds", "Age of the oldest waiting request.", stats.oldest_age_s),
            ("spool_set_aside", "Requests set aside because they could not be stored.", stats.set_aside),
        ):
            yield GaugeMetricFamily(f"spanhouse_{name}", help_text, value=level)


def _installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("spanhouse-server")
    except PackageNotFoundError:
        return "unknown"
