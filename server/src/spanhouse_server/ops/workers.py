"""Background workers in our own Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class WorkerNumbers(Protocol):
    """What is shown of one worker; ``derive.status.WorkerState`` has this shape."""

    @property
    def name(self) -> str:
        """Return the worker's name."""

    @property
    def state(self) -> str:
        """Return ``starting running standby failing``."""

    @property
    def lag_s(self) -> float | None:
        """Return how long ago what is not derived may have settled."""

    @property
    def runs(self) -> int:
        """Return the runs of this process."""

    @property
    def rows(self) -> int:
        """Return the rows made by this process."""

    @property
    def busy_s(self) -> float:
        """Return the seconds spent."""

    @property
    def errors(self) -> int:
        """Return the runs that failed."""


class WorkerCollector(Collector):
    """Reads the workers' states at every scrape."""

    def __init__(self, states: Callable[[], Sequence[WorkerNumbers]]) -> None:
        self._states = states

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read what is only being opened."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all workers."""
        states = self._states()
        lag = GaugeMetricFamily(
            "spanhouse_worker_lag_seconds", "What settled longer ago than this is derived.", labels=["worker"]
        )
        active = GaugeMetricFamily(
            "spanhouse_worker_active", "1 in the process that does the work, 0 where it stands by.", labels=["worker"]
        )
        for each in states:
            if each.lag_s is not None:
                lag.add_metric([each.name], each.lag_s)
            active.add_metric([each.name], float(each.state in ("running", "failing")))
        yield lag
        yield active
        for name, help_text, value in (
            ("runs", "Runs that came to their end.", lambda each: each.runs),
            ("rows", "Rows made.", lambda each: each.rows),
            ("busy_seconds", "Time spent.", lambda each: each.busy_s),
            ("errors", "Runs that failed.", lambda each: each.errors),
        ):
            family = CounterMetricFamily(f"spanhouse_worker_{name}", help_text, labels=["worker"])
            for each in states:
                family.add_metric([each.name], value(each))
            yield family
