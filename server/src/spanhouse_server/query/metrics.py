"""Figures over time, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, now_ns, rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.fields import Field
from spanhouse_server.query.figures import Figure, find_figure
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

MAX_GROUPINGS = 3
MAX_BUCKETS = 1500
AIMED_BUCKETS = 60
DEFAULT_RANGE_NS = 24 * 3600 * NS_PER_S
#: Widths that people read: from a second to four weeks.
INTERVALS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
               2 * 86_400, 7 * 86_400, 28 * 86_400)  # fmt: skip
OTHER = {"other": "true"}

Group = tuple[str, ...]
#: No group is empty where groups are asked for, so the empty one stands for all others.
_OTHERS: Group = ()


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """A metric as asked for: ``interval_s`` 0 picks a width, ``limit`` bounds the groups."""

    metric: str
    group_by: str = ""
    interval_s: int = 0
    window: Window = field(default_factory=Window)
    q: str = ""
    limit: int = 10


@dataclass(frozen=True, slots=True)
class _Source:
    """The rows to measure, as a subquery with ``_t`` (ns) and ``_group`` (array of texts)."""

    sql: str
    parameters: dict[str, Any]


def metric_series(store: ColumnarStore, project_id: str, query: MetricQuery) -> dict[str, Any]:
    """Return a metric over time, one series per group, the largest first; raise ``BadQuery``.

    Groups beyond ``limit`` are measured together as the group ``{"other": "true"}``: a percentile of
    it is over all its rows, not made of the groups' percentiles. A row with several values of a
    grouped list (models of a trace, tags) belongs to each of these groups. Groups with nothing to
    measure are left out.
    """
    figure = find_figure(query.metric)
    start_ns, end_ns = bounded_range(query.window, DEFAULT_RANGE_NS)
    interval_s = query.interval_s or pick_interval_s(start_ns, end_ns)
    buckets = buckets_of(start_ns, end_ns, interval_s)
    names = [name.strip() for name in query.group_by.split(",") if name.strip()]
    if len(names) > MAX_GROUPINGS:
        raise BadQuery(f"grouped by {len(names)} fields, at most {MAX_GROUPINGS}", "leave some out")
    source = _source(figure, project_id, Window(start_ns, end_ns), query.q, names)
    totals = _totals(store, figure, source, query.limit)
    if not names and not totals:
        totals = {(): None}
    points = _points(store, figure, source, list(totals), interval_s)
    return {
        "metric": query.metric,
        "unit": figure.unit,
        "interval_s": interval_s,
        "from_time": rfc3339(start_ns),
        "to_time": rfc3339(end_ns),
        "series": [
            {
                "group": _shown_group(names, group),
                "points": [[bucket * interval_s, _number(points.get((group, bucket)), figure)] for bucket in buckets],
                "total": _number(total, figure),
            }
            for group, total in totals.items()
        ],
    }


def bounded_range(window: Window, default_ns: int) -> tuple[int, int]:
    """Return a range with both ends: up to now, and ``default_ns`` long, where they are open."""
    end_ns = now_ns() if window.to_ns is None else window.to_ns
    start_ns = max(end_ns - default_ns, 0) if window.from_ns is None else window.from_ns
    if start_ns > end_ns:
        # `from` lies in the future and `to` is open: an empty range, not an error.
        end_ns = start_ns
    return start_ns, min(end_ns, MAX_TIME_NS)


def pick_interval_s(start_ns: int, end_ns: int) -> int:
    """Return the readable bucket width that gives about ``AIMED_BUCKETS``."""
    range_s = (end_ns - start_ns) / NS_PER_S
    for width_s in INTERVALS_S:
        if range_s / width_s <= AIMED_BUCKETS:
            return width_s
    return int(range_s / AIMED_BUCKETS / 86_400 + 1) * 86_400


def buckets_of(start_ns: int, end_ns: int, interval_s: int) -> range:
    """Return the numbers of the buckets (unix time by width) that a range touches."""
    step_ns = interval_s * NS_PER_S
    buckets = range(start_ns // step_ns, max((end_ns - 1) // step_ns, start_ns // step_ns) + 1)
    if len(buckets) > MAX_BUCKETS:
        raise BadQuery(
            f"{len(buckets)} buckets of {interval_s} s, at most {MAX_BUCKETS}",
            "use a wider interval or a shorter time range",
        )
    return buckets


def _source(figure: Figure, project_id: str, window: Window, q: str, names: Sequence[str]) -> _Source:
    fields = [grouping_field(name) for name in names]
    over_spans = figure.table == "span_index"
    if not over_spans:
        _check_trace_fields(figure, fields)
    of_scores = figure.table == "scores"
    selected = select_rows("spans" if over_spans else "traces", project_id, Window() if of_scores else window, q)
    parameters = selected.parameters
    keys = []
    for index, (known, key) in enumerate(fields):
        own, many = (known.span, known.span_many) if over_spans else (known.trace, known.trace_many)
        if key:
            parameters[f"key{index}"] = key
        own = str(own).replace("{key}", f"{{key{index}:String}}")
        keys.append(f"arrayJoin(if(empty({own}), [''], {own}))" if many else own)
    group = f"[{', '.join(f'toString({key})' for key in keys)}]" if keys else "emptyArrayString()"
    if not of_scores:
        sql = f"SELECT *, start_ns AS _t, {group} AS _group FROM {figure.table} FINAL WHERE {selected.where}"
        return _Source(sql, parameters)
    parameters |= {"score": figure.score_name, "first_ns": window.from_ns, "last_ns": window.to_ns}
    sql = (
        "SELECT trace_id, value, created_ns AS _t FROM scores FINAL"
        " WHERE project_id = {project:String} AND name = {score:String}"
        " AND created_ns >= {first_ns:Int64} AND created_ns < {last_ns:Int64}"
    )
    if not keys and not q.strip():
        return _Source(f"SELECT *, {group} AS _group FROM ({sql})", parameters)
    traces = f"SELECT trace_id, {group} AS _group FROM traces FINAL WHERE {selected.where}"
    return _Source(f"SELECT s.value AS value, s._t AS _t, t._group AS _group FROM ({sql}) AS s"
                   f" INNER JOIN ({traces}) AS t ON s.trace_id = t.trace_id", parameters)  # fmt: skip


def _check_trace_fields(figure: Figure, fields: Sequence[tuple[Field, str]]) -> None:
    for known, _ in fields:
        if known.trace is None:
            what = "scores" if figure.table == "scores" else "traces"
            raise BadQuery(
                f"{what} cannot be grouped by {known.name}", "use a metric of spans, such as spans or errors"
            )


def _totals(store: ColumnarStore, figure: Figure, source: _Source, limit: int) -> dict[Group, Any]:
    """Return the metric over the whole range of the largest groups, then of the others together."""
    rows = store.select(
        f"SELECT _group, {figure.aggregate} AS _value, {figure.rank} AS _weight FROM ({source.sql})"
        f" GROUP BY _group HAVING _weight > 0 ORDER BY _weight DESC, _group LIMIT {limit + 1}",
        source.parameters,
    )
    totals: dict[Group, Any] = {tuple(row["_group"]): row["_value"] for row in rows[:limit]}
    if len(rows) > limit:
        others = store.select(
            f"SELECT {figure.aggregate} AS _value FROM ({source.sql})"
            " WHERE NOT has({leaders:Array(Array(String))}, _group)",
            {**source.parameters, "leaders": [list(group) for group in totals]},
        )
        totals[_OTHERS] = others[0]["_value"]
    return totals


def _points(
    store: ColumnarStore, figure: Figure, source: _Source, groups: Sequence[Group], interval_s: int
) -> dict[tuple[Group, int], Any]:
    if not groups:
        return {}
    leaders = [list(group) for group in groups if group]
    shown = "if(has({leaders:Array(Array(String))}, _group), _group, emptyArrayString())" if leaders else "_group"
    rows = store.select(
        f"SELECT {shown} AS _shown, intDiv(_t, {interval_s * NS_PER_S}) AS _bucket, {figure.aggregate} AS _value"
        f" FROM ({source.sql}) GROUP BY _shown, _bucket",
        {**source.parameters, **({"leaders": leaders} if leaders else {})},
    )
    return {(tuple(row["_shown"]), row["_bucket"]): row["_value"] for row in rows}


def _shown_group(names: Sequence[str], group: Group) -> dict[str, str]:
    if names and group == _OTHERS:
        return dict(OTHER)
    return dict(zip(names, group, strict=True))


def _number(value: Any, figure: Figure) -> float | None:
    """Return a figure as JSON can hold it; NaN is what aggregates give for nothing."""
    if value is None:
        return figure.empty
    number = float(value)
    return figure.empty if number != number else number
