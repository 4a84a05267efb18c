"""Stored OTLP metrics: their names, and the series of one over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.query.metrics import bounded_range, buckets_of, pick_interval_s
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

DEFAULT_RANGE_NS = 3600 * NS_PER_S
#: Points in one reply; the web page draws fewer.
MAX_POINTS = 100_000


@dataclass(frozen=True, slots=True)
class PointQuery:
    """A metric's name (empty: list the names), the bucket width in seconds (0: pick one), a bound."""

    name: str = ""
    interval_s: int = 0
    window: Window = field(default_factory=Window)
    limit: int = 100


def otel_metrics(store: ColumnarStore, project_id: str, query: PointQuery) -> dict[str, Any]:
    """Return the names of the metrics stored within a range, or the series of one; raise ``BadQuery``.

    Gauges and sums give the last value of each bucket, histograms and summaries their mean over
    the bucket (cumulative ones: over what was added since the point before).
    """
    start_ns, end_ns = bounded_range(query.window, DEFAULT_RANGE_NS)
    parameters: dict[str, Any] = {"project": project_id, "from_ns": start_ns, "to_ns": end_ns}
    if not query.name:
        return _names(store, parameters, query)
    interval_s = query.interval_s or pick_interval_s(start_ns, end_ns)
    buckets = buckets_of(start_ns, end_ns, interval_s)
    parameters["name"] = query.name
    series = store.select(
        "SELECT series_id, any(attributes) AS labels, any(service_name) AS service, any(host_name) AS host"
        f" FROM metric_points FINAL WHERE {_WHERE} AND name = {{name:String}}"
        f" GROUP BY series_id ORDER BY count() DESC, series_id LIMIT {query.limit + 1}",
        parameters,
    )
    allowed = max(MAX_POINTS // max(len(buckets), 1), 1)
    kept = series[: min(query.limit, allowed)]
    points = _points(store, parameters, [row["series_id"] for row in kept], interval_s)
    return {
        "metrics": [],
        "series": [
            {
                "attributes": row["labels"],
                "service_name": row["service"],
                "host_name": row["host"],
                "points": points.get(row["series_id"], []),
            }
            for row in kept
        ],
        "interval_s": interval_s,
        "truncated": len(series) > len(kept),
    }


_WHERE = "project_id = {project:String} AND time_ns >= {from_ns:Int64} AND time_ns < {to_ns:Int64}"


def _names(store: ColumnarStore, parameters: dict[str, Any], query: PointQuery) -> dict[str, Any]:
    rows = store.select(
        "SELECT name, any(type) AS kind, any(unit) AS measure, any(description) AS about, count() AS n,"
        f" max(time_ns) AS last_ns FROM metric_points FINAL WHERE {_WHERE}"
        f" GROUP BY name ORDER BY name LIMIT {query.limit + 1}",
        parameters,
    )
    return {
        "metrics": [
            {
                "name": row["name"],
                "type": row["kind"],
                "unit": row["measure"],
                "description": row["about"],
                "point_count": row["n"],
                "last_time": rfc3339(row["last_ns"]),
            }
            for row in rows[: query.limit]
        ],
        "series": [],
        "interval_s": 0,
        "truncated": len(rows) > query.limit,
    }


def _points(
    store: ColumnarStore, parameters: dict[str, Any], series: Sequence[int], interval_s: int
) -> dict[int, list[list[float | None]]]:
    if not series:
        return {}
    rows = store.select(
        f"SELECT series_id, intDiv(time_ns, {interval_s * NS_PER_S}) AS _bucket, argMax(value, time_ns) AS last_value,"
        " any(temporality) AS how, sum(sum) AS added_sum, sum(count) AS added_count,"
        " argMax(sum, time_ns) AS last_sum, argMax(count, time_ns) AS last_count"
        f" FROM metric_points FINAL WHERE {_WHERE} AND name = {{name:String}} AND series_id IN ({{series:Array(UInt64)}})"
        " GROUP BY series_id, _bucket ORDER BY series_id, _bucket",
        {**parameters, "series": list(series)},
    )
    found: dict[int, list[list[float | None]]] = {}
    before: dict[int, tuple[float, int]] = {}
    for row in rows:
        series_id = row["series_id"]
        value = row["last_value"]
        if value is None:
            value = _mean(row, before.get(series_id))
            before[series_id] = (row["last_sum"] or 0.0, row["last_count"])
        found.setdefault(series_id, []).append([float(row["_bucket"] * interval_s), value])
    return found


def _mean(row: dict[str, Any], before: tuple[float, int] | None) -> float | None:
    """Return the mean of what a histogram saw in a bucket, or nothing when it saw nothing."""
    if row["how"] != "cumulative":
        total, count = row["added_sum"] or 0.0, row["added_count"]
    else:
        past_sum, past_count = before if before and before[1] <= row["last_count"] else (0.0, 0)
        total, count = (row["last_sum"] or 0.0) - past_sum, row["last_count"] - past_count
    return total / count if count else None
