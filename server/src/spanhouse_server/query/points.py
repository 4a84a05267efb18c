"""Stored OTLP metrics: their names, and the series of one over time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query import histograms
from spanhouse_server.query.exemplars import newest_exemplars
from spanhouse_server.query.growth import Growth, growth_of
from spanhouse_server.query.histograms import Segments
from spanhouse_server.query.metrics import bounded_range, buckets_of, pick_interval_s
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

DEFAULT_RANGE_NS = 3600 * NS_PER_S
#: Points in one reply, and in one with percentiles, for which a hundred times as much is read.
MAX_POINTS = 100_000
MAX_PERCENTILES = 10_000
#: Series that are put together into groups.
MAX_SERIES = 2000
MAX_GROUPINGS = 5
MAX_SELECTED = 10

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?|100)")
_NUMBERS = ("last", "avg", "min", "max", "sum")
_HISTOGRAM = ("avg", "count", "sum", "rate", "min", "max", "pNN")
#: What may be asked of each type; the first is what is given when nothing is asked.
STATS: Mapping[str, Sequence[str]] = {
    "gauge": _NUMBERS,
    "sum": (*_NUMBERS, "increase", "rate"),
    "histogram": _HISTOGRAM,
    "exponential_histogram": _HISTOGRAM,
    "summary": ("avg", "count", "sum", "rate", "pNN"),
}


@dataclass(frozen=True, slots=True)
class PointQuery:
    """A metric's name (empty: list the names), the bucket width in seconds (0: pick one), a bound.

    ``stat`` is one of ``STATS`` for the metric's type. ``group_by`` names attributes (or ``service_name``,
    ``host_name``) whose values make a line each, with none everything is one line; ``None`` gives every
    series by itself. ``selected`` are (attribute, value) pairs that a series must have. ``exemplars`` is how
    many examples of each line to give.
    """

    name: str = ""
    interval_s: int = 0
    window: Window = field(default_factory=Window)
    limit: int = 100
    stat: str = ""
    group_by: Sequence[str] | None = None
    selected: Sequence[tuple[str, str]] = ()
    exemplars: int = 0


def otel_metrics(store: ColumnarStore, project_id: str, query: PointQuery) -> dict[str, Any]:
    """Return the names of the metrics stored within a range, or the series of one; raise ``BadQuery``.

    Without ``stat``, gauges and sums give the last value of each bucket, histograms and summaries the
    mean of what was added in it. Whatever is added or counted follows the points' own temporality and is
    not confused by restarts (``growth.py``); buckets without points are left out.
    """
    start_ns, end_ns = bounded_range(query.window, DEFAULT_RANGE_NS)
    parameters: dict[str, Any] = {"project": project_id, "from_ns": start_ns, "to_ns": end_ns}
    if not query.name:
        return _names(store, parameters, query)
    interval_s = query.interval_s or pick_interval_s(start_ns, end_ns)
    buckets = buckets_of(start_ns, end_ns, interval_s)
    parameters["name"] = query.name
    with_buckets = _PERCENTILE.fullmatch(query.stat) is not None
    allowed = max((MAX_PERCENTILES if with_buckets else MAX_POINTS) // max(len(buckets), 1), 1)
    wanted = query.limit if query.group_by is None else MAX_SERIES
    found = _series(store, parameters, query, min(wanted, allowed) + 1)
    kept = found[: min(wanted, allowed)]
    stat = _stat_for(query.stat, {row["kind"] for row in kept})
    lines: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in kept:
        lines.setdefault(_line_of(row, query.group_by), []).append(row)
    shown = dict(list(lines.items())[: query.limit])
    members = {row["series_id"]: key for key, rows in shown.items() for row in rows}
    gathered: dict[tuple[tuple[str, ...], int], list[Growth]] = {}
    for grown in growth_of(store, parameters, list(members), interval_s, with_buckets=with_buckets):
        gathered.setdefault((members[grown.series_id], grown.bucket), []).append(grown)
    points: dict[tuple[str, ...], list[list[float | None]]] = {}
    for (key, bucket), parts in sorted(gathered.items(), key=lambda item: item[0][1]):
        value = _measure(stat, shown[key][0]["kind"], parts, interval_s)
        points.setdefault(key, []).append([float(bucket * interval_s), value])
    examples = newest_exemplars(store, parameters, members, query.exemplars)
    return {
        "metrics": [],
        "series": [
            _shown(key, rows, query.group_by, points.get(key, [])) | {"exemplars": examples.get(key, [])}
            for key, rows in shown.items()
        ],
        "interval_s": interval_s,
        "stat": stat,
        "truncated": len(found) > len(kept) or len(lines) > len(shown),
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
        "stat": "",
        "truncated": len(rows) > query.limit,
    }


def _series(store: ColumnarStore, parameters: Mapping[str, Any], query: PointQuery, limit: int) -> list[dict[str, Any]]:
    if len(query.selected) > MAX_SELECTED:
        raise BadQuery(f"{len(query.selected)} attributes to select by, at most {MAX_SELECTED}", "leave some out")
    if query.group_by is not None and len(query.group_by) > MAX_GROUPINGS:
        raise BadQuery(f"grouped by {len(query.group_by)} attributes, at most {MAX_GROUPINGS}", "leave some out")
    where, own = [_WHERE, "name = {name:String}"], dict(parameters)
    for at, (name, value) in enumerate(query.selected):
        own[f"value{at}"] = value
        if name in ("service_name", "host_name"):
            where.append(f"{name} = {{value{at}:String}}")
        else:
            own[f"key{at}"] = name
            where.append(f"attributes[{{key{at}:String}}] = {{value{at}:String}}")
    return store.select(
        "SELECT series_id, any(attributes) AS labels, any(service_name) AS service, any(host_name) AS host,"
        f" any(type) AS kind, any(unit) AS measure FROM metric_points FINAL WHERE {' AND '.join(where)}"
        f" GROUP BY series_id ORDER BY count() DESC, series_id LIMIT {limit}",
        own,
    )


def _stat_for(stat: str, kinds: set[str]) -> str:
    """Return what to give of a metric of these types; raise ``BadQuery`` when one of them has no such thing."""
    if not stat:
        return "" if len({STATS[kind][0] for kind in kinds}) > 1 else next((STATS[kind][0] for kind in kinds), "")
    asked = "pNN" if _PERCENTILE.fullmatch(stat) else stat
    for kind in sorted(kinds):
        if asked not in STATS[kind]:
            raise BadQuery(f"a {kind} has no {stat[:20]!r}", f"use one of {', '.join(STATS[kind])} (pNN: p50, p99.9 …)")
    if not kinds and not any(asked in known for known in STATS.values()):
        raise BadQuery(f"no metric has a {stat[:20]!r}", "use last, avg, rate, increase, p95 …")
    return stat


def _line_of(row: Mapping[str, Any], group_by: Sequence[str] | None) -> tuple[str, ...]:
    """Return which line of the chart a series belongs to; of different types nothing is put together."""
    if group_by is None:
        return (row["kind"], str(row["series_id"]))
    own = {"service_name": row["service"], "host_name": row["host"]}
    return (row["kind"], *(str(own.get(name) or row["labels"].get(name, "")) for name in group_by))


def _shown(
    key: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    group_by: Sequence[str] | None,
    points: list[list[float | None]],
) -> dict[str, Any]:
    first = rows[0]
    alone = group_by is None
    return {
        "attributes": first["labels"] if group_by is None else dict(zip(group_by, key[1:], strict=True)),
        "service_name": first["service"] if alone else "",
        "host_name": first["host"] if alone else "",
        "type": first["kind"],
        "unit": first["measure"],
        "series_count": len(rows),
        "points": points,
    }


def _measure(stat: str, kind: str, parts: Sequence[Growth], interval_s: int) -> float | None:
    """Return one number for one bucket of one line, whose series may be many."""
    percentile = _PERCENTILE.fullmatch(stat)
    if percentile:
        return _percentile(kind, parts, float(percentile[1]) / 100)
    own = stat or STATS[kind][0]
    if kind in ("gauge", "sum"):
        return _of_numbers(own, kind, parts, interval_s)
    count, total = sum(part.count for part in parts), _fold(sum, [part.total for part in parts])
    if own in ("min", "max"):
        return _fold(min if own == "min" else max, [part.least if own == "min" else part.most for part in parts])
    if own == "avg":
        return total / count if count and total is not None else None
    return {"count": float(count), "sum": total, "rate": count / interval_s}[own]


def _of_numbers(stat: str, kind: str, parts: Sequence[Growth], interval_s: int) -> float | None:
    if stat in ("increase", "rate"):
        added = _fold(sum, [part.added for part in parts])
        return added if added is None or stat == "increase" else added / interval_s
    if stat == "avg":
        known = [(part.mean, part.points) for part in parts if part.mean is not None]
        return sum(mean * n for mean, n in known) / sum(n for _, n in known) if known else None
    if stat in ("min", "max"):
        return _fold(min if stat == "min" else max, [part.lowest if stat == "min" else part.highest for part in parts])
    lasts = _lasts(parts)
    if not lasts:
        return None
    return sum(lasts) / len(lasts) if stat == "last" and kind == "gauge" else sum(lasts)


def _lasts(parts: Sequence[Growth]) -> list[float]:
    """Return the last values of a bucket: of each series the newest, of emitters that overlap each one's."""
    newest: dict[tuple[int, int], Growth] = {}
    for part in parts:  # in the order of their runs
        if part.last is not None:
            newest[part.series_id, part.start_ns] = part
    begun: dict[int, int] = {}
    for series_id, start_ns in newest:
        begun[series_id] = max(start_ns, begun.get(series_id, 0))
    # One whose last point was taken before another began is what that one follows.
    return [
        part.last
        for (series_id, start_ns), part in newest.items()
        if part.last is not None and (start_ns == begun[series_id] or part.last_ns > begun[series_id])
    ]


def _percentile(kind: str, parts: Sequence[Growth], fraction: float) -> float | None:
    if kind == "summary":
        # Summaries cannot be added up: the mean of what several reported is the best there is.
        found = [part.quantiles[fraction] for part in parts if fraction in part.quantiles]
        return sum(found) / len(found) if found else None
    together: Segments = {}
    for part in parts:
        histograms.add(together, part.segments)
    return histograms.quantile(together, fraction)


def _fold(fold: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fold(known) if known else None
