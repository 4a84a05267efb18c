"""The examples of metrics that a real SDK takes, asked back from the real engine with the spans they were made in."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.trace import TracerProvider

from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.decode import decode, parse
from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import Keeper


@pytest.fixture(scope="module")
def measured(columnar: ColumnarStore) -> list[tuple[str, str, float]]:
    """Record durations and tokens in spans of their own; return trace, span and value of each duration."""
    reader = InMemoryMetricReader()
    view = View(instrument_name="example.duration", attribute_keys={"model"})
    provider = MeterProvider([reader], views=[view], exemplar_filter=AlwaysOnExemplarFilter())
    meter = provider.get_meter("test")
    histogram, counter = meter.create_histogram("example.duration", "s"), meter.create_counter("example.tokens")
    tracer = TracerProvider().get_tracer("test")
    told = []
    for model, seconds in (("a", 0.3), ("a", 7.0), ("b", 40.0)):
        with tracer.start_as_current_span("call") as span:
            histogram.record(seconds, {"model": model, "user": f"user of {seconds}"})
            counter.add(round(seconds * 10), {"model": model})
            told.append(
                (f"{span.get_span_context().trace_id:032x}", f"{span.get_span_context().span_id:016x}", seconds)
            )
    message = encode_metrics(reader.get_metrics_data())
    decoded = decode("metrics", parse("metrics", "application/x-protobuf", message.SerializeToString()), now_ns())
    assert not decoded.rejected
    keeper = Keeper(columnar)
    for _ in range(2):  # sent twice, kept once
        keeper.points(decoded.points)
    return told


def series(store: ColumnarStore, name: str, **query: Any) -> list[dict[str, Any]]:
    """Return the lines of a metric over the last hour."""
    window = Window(now_ns() - 3600 * NS_PER_S, now_ns() + NS_PER_S)
    found: list[dict[str, Any]] = otel_metrics(store, "default", PointQuery(name, 60, window, **query))["series"]
    return found


def test_each_line_has_the_spans_behind_it(columnar: ColumnarStore, measured: list[tuple[str, str, float]]) -> None:
    lines = {
        line["attributes"]["model"]: line["exemplars"] for line in series(columnar, "example.duration", exemplars=10)
    }
    told = {model: [(e["trace_id"], e["span_id"], e["value"]) for e in found] for model, found in lines.items()}
    assert told == {"a": [measured[1], measured[0]], "b": [measured[2]]}  # newest first
    assert [example["attributes"] for example in lines["a"]] == [{"user": "user of 7.0"}, {"user": "user of 0.3"}]


def test_as_many_as_asked_for(columnar: ColumnarStore, measured: list[tuple[str, str, float]]) -> None:
    assert [line["exemplars"] for line in series(columnar, "example.duration")] == [[], []]
    (together,) = series(columnar, "example.duration", group_by=(), exemplars=2)
    assert [example["value"] for example in together["exemplars"]] == [40.0, 7.0]


def test_counters_have_them_too(columnar: ColumnarStore, measured: list[tuple[str, str, float]]) -> None:
    found = {line["attributes"]["model"]: line["exemplars"] for line in series(columnar, "example.tokens", exemplars=5)}
    assert [example["value"] for example in found["b"]] == [400.0]
    assert found["b"][0]["span_id"] == measured[2][1]


def test_of_another_project_none(columnar: ColumnarStore, measured: list[tuple[str, str, float]]) -> None:
    window = Window(now_ns() - 3600 * NS_PER_S, now_ns() + NS_PER_S)
    query = PointQuery("example.duration", 60, window, exemplars=10)
    assert otel_metrics(columnar, "someone-else", query)["series"] == []
