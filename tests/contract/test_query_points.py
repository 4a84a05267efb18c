"""Stored OTLP metrics of every kind, asked back from the real engine: exact, whatever their temporality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation

from spanhouse_server.decode import decode, parse
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, point

HOUR = Window(T0, T0 + 3600 * NS)
CUMULATIVE: dict[str, Any] = {"type": "sum", "temporality": "cumulative", "monotonic": True}
DELTA = CUMULATIVE | {"temporality": "delta"}
HISTOGRAM: dict[str, Any] = {"type": "histogram", "temporality": "cumulative", "explicit_bounds": [1.0, 2.0, 4.0]}


@pytest.fixture(scope="module")
def store(columnar: ColumnarStore) -> ColumnarStore:
    keeper = Keeper(columnar)
    # A counter that restarts at 150 s and says so, one that does not, one that sends differences.
    keeper.points(
        [
            point("told", at, value=v, start_ns=T0 + start * NS, **CUMULATIVE)
            for at, v, start in (
                (0, 100.0, -500),
                (60, 160.0, -500),
                (120, 220.0, -500),
                (180, 30.0, 150),
                (240, 90.0, 150),
            )
        ]
    )
    keeper.points(
        [
            point("untold", at, value=v, start_ns=0, **CUMULATIVE)
            for at, v in ((0, 10.0), (30, 20.0), (60, 40.0), (90, 5.0), (120, 10.0))
        ]
    )
    keeper.points(
        [
            point("sent", at, value=v, start_ns=T0 + (at - 30) * NS, **DELTA)
            for at, v in ((0, 4.0), (30, 6.0), (60, 2.0))
        ]
    )
    keeper.points(
        [point("queue", at, value=v, **CUMULATIVE | {"monotonic": False}) for at, v in ((0, 5.0), (30, 2.0), (60, 9.0))]
    )
    # The same counter of two replicas.
    for host, grows in (("h1", 60.0), ("h2", 120.0)):
        keeper.points(
            [
                point(
                    "tokens",
                    60 * n,
                    value=grows * n,
                    attributes={"type": "input"},
                    **CUMULATIVE,
                    resource={"service.name": "svc", "host.name": host},
                )
                for n in range(4)
            ]
        )
    keeper.points(
        [
            point("latency", at, count=sum(counts), sum=float(total), bucket_counts=counts, **HISTOGRAM)
            for at, counts, total in ((0, [10, 0, 0, 0], 5), (60, [10, 10, 0, 0], 20), (120, [10, 10, 20, 0], 80))
        ]
    )
    keeper.points(
        [
            point(
                "latency.delta",
                at,
                count=4,
                sum=6.0,
                min=0.5,
                max=3.0,
                bucket_counts=counts,
                **HISTOGRAM | {"temporality": "delta"},
            )
            for at, counts in ((0, [2, 2, 0, 0]), (20, [0, 0, 4, 0]))
        ]
    )
    keeper.points(
        [
            point("quantiles", at, type="summary", count=10 * n, sum=30.0 * n, quantiles=[(0.5, 3.0), (0.99, 7.0 + n)])
            for n, at in ((1, 0), (2, 60))
        ]
    )
    keeper.points([point("told", 0, value=9e9, **CUMULATIVE)], project="other")
    return columnar


def ask(store: ColumnarStore, name: str, stat: str = "", interval_s: int = 60, **more: Any) -> list[Any]:
    query = PointQuery(name=name, stat=stat, interval_s=interval_s, window=more.pop("window", HOUR), **more)
    return otel_metrics(store, "default", query)["series"]


def values(lines: Sequence[dict[str, Any]]) -> list[float | None]:
    assert len(lines) == 1
    return [value for _, value in lines[0]["points"]]


def test_cumulative_counters_across_restarts(store: ColumnarStore) -> None:
    # The first point is where counting begins: its 100 were counted before anything was sent here.
    assert values(ask(store, "told", "increase")) == [0.0, 60.0, 60.0, 30.0, 60.0]
    assert values(ask(store, "told", "rate")) == [0.0, 1.0, 1.0, 0.5, 1.0]
    assert values(ask(store, "told", "last")) == [100.0, 160.0, 220.0, 30.0, 90.0]
    assert values(ask(store, "told")) == values(ask(store, "told", "last"))
    assert values(ask(store, "untold", "increase")) == [10.0, 25.0, 5.0]
    assert values(ask(store, "untold", "increase", interval_s=3600)) == [40.0]


def test_a_range_begins_with_what_came_before_it(store: ColumnarStore) -> None:
    later = Window(T0 + 60 * NS, T0 + 3600 * NS)
    assert values(ask(store, "told", "increase", window=later)) == [60.0, 60.0, 30.0, 60.0]
    # Also where it cuts a bucket in two.
    cut = Window(T0 + 15 * NS, T0 + 3600 * NS)
    assert values(ask(store, "untold", "increase", window=cut)) == [10.0, 25.0, 5.0]


def test_delta_sums_and_sums_that_fall(store: ColumnarStore) -> None:
    assert values(ask(store, "sent", "increase")) == [10.0, 2.0]
    assert values(ask(store, "sent", "rate")) == [10 / 60, 2 / 60]
    # Its first point is as old as its start time: that says that the start is unknown, and where counting begins.
    assert values(ask(store, "queue", "increase", interval_s=3600)) == [4.0]
    assert values(ask(store, "queue")) == [2.0, 9.0]
    assert values(ask(store, "queue", "max", interval_s=3600)) == [9.0]
    assert values(ask(store, "queue", "avg", interval_s=3600)) == [pytest.approx(16 / 3)]


def test_series_put_together_and_selected(store: ColumnarStore) -> None:
    assert len(ask(store, "tokens", "rate")) == 2
    together = ask(store, "tokens", "rate", group_by=[])
    assert values(together) == [0.0, 3.0, 3.0, 3.0]
    assert (together[0]["attributes"], together[0]["series_count"]) == ({}, 2)
    by_host = {
        line["attributes"]["host_name"]: values([line])[-1]
        for line in ask(store, "tokens", "rate", group_by=["host_name"])
    }
    assert by_host == {"h1": 1.0, "h2": 2.0}
    only = ask(store, "tokens", "rate", group_by=["type"], selected=[("host_name", "h2"), ("type", "input")])
    assert only[0]["attributes"] == {"type": "input"}
    assert values(only)[-1] == 2.0
    assert ask(store, "tokens", "rate", selected=[("type", "output")]) == []
    assert values(ask(store, "tokens", "last", group_by=[]))[-1] == 540.0


def test_explicit_histograms(store: ColumnarStore) -> None:
    assert values(ask(store, "latency", "count")) == [0.0, 10.0, 20.0]
    assert values(ask(store, "latency", "sum")) == [0.0, 15.0, 60.0]
    assert values(ask(store, "latency")) == [None, 1.5, 3.0]
    assert values(ask(store, "latency", "rate")) == [0.0, 10 / 60, 20 / 60]
    # Of what was added in each minute, not of all since the start.
    assert values(ask(store, "latency", "p50")) == [None, 1.5, 3.0]
    assert values(ask(store, "latency", "p75", interval_s=3600)) == [3.25]
    assert values(ask(store, "latency.delta", "p50")) == [2.0]
    assert values(ask(store, "latency.delta", "max")) == [3.0]
    assert values(ask(store, "latency.delta", "min")) == [0.5]


def test_summaries_give_what_was_reported(store: ColumnarStore) -> None:
    assert values(ask(store, "quantiles", "p99")) == [8.0, 9.0]
    assert values(ask(store, "quantiles", "p90")) == [None, None]
    assert values(ask(store, "quantiles", "count")) == [0.0, 10.0]


@pytest.mark.parametrize(
    ("name", "stat", "said"),
    [
        ("told", "p99", "a sum has no 'p99'"),
        ("latency", "last", "a histogram has no 'last'"),
        ("told", "nonsense", "a sum has no 'nonsense'"),
        ("none of this name", "nonsense", "no metric has a 'nonsense'"),
        ("latency", "p101", "has no 'p101'"),
    ],
)
def test_what_a_type_does_not_have(store: ColumnarStore, name: str, stat: str, said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        ask(store, name, stat)


def test_another_project_sees_nothing(store: ColumnarStore) -> None:
    query = PointQuery(name="told", stat="last", interval_s=60, window=HOUR)
    assert values(otel_metrics(store, "other", query)["series"]) == [9e9]
    assert otel_metrics(store, "third", query)["series"] == []


@pytest.mark.parametrize("temporality", [AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE])
@pytest.mark.parametrize(
    "aggregation", [ExplicitBucketHistogramAggregation([10, 20, 50, 100]), ExponentialBucketHistogramAggregation()]
)
def test_what_the_sdk_measured_comes_back(
    store: ColumnarStore, temporality: AggregationTemporality, aggregation: Any
) -> None:
    """Values known here go through the SDK, its encoder, our decoder and the engine."""
    exponential = isinstance(aggregation, ExponentialBucketHistogramAggregation)
    project = f"sdk {temporality.name} {exponential}"
    reader = InMemoryMetricReader({Histogram: temporality, Counter: temporality}, {Histogram: aggregation})
    meter = MeterProvider([reader]).get_meter("tests")
    histogram, counter = meter.create_histogram("took", "ms"), meter.create_counter("done")
    keeper = Keeper(store)
    # The second half has a far wider range, so that exponential buckets change their scale on the way.
    for measured in (range(1, 51), range(51, 1001)):
        for value in measured:
            histogram.record(value)
            counter.add(2)
        message = parse(
            "metrics", "application/x-protobuf", encode_metrics(reader.get_metrics_data()).SerializeToString()
        )
        keeper.points(decode("metrics", message, 1).points, project=project)

    def one(name: str, stat: str) -> float:
        query = PointQuery(name=name, stat=stat, interval_s=86_400)
        series = otel_metrics(store, project, query)["series"]
        return sum(value for _, value in series[0]["points"]) if series[0]["points"] else -1.0

    assert one("took", "count") == 1000
    assert one("took", "sum") == 500_500
    assert one("done", "increase") == 2000
    if exponential:
        assert one("took", "p50") == pytest.approx(500, rel=0.03)
        assert one("took", "p99") == pytest.approx(990, rel=0.03)
    else:
        assert one("took", "p5") == pytest.approx(50)
        assert one("took", "p2") == pytest.approx(20)
