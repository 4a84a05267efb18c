"""Figures over time, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any, NamedTuple

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, now_ns, rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import Selection, compile_filter, select_rows
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.fields import Field
from spanhouse_server.query.figures import Figure, find_figure
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.rollups import HOUR_S, MINUTE_S, plan_range, rolled_keys, rolled_rows, within
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
    """A metric as asked for: ``interval_s`` 0 picks a width, ``limit`` bounds the groups.

    Buckets begin at multiples of the width, plus ``offset_s``, which is less than the width.
    """

    metric: str
    group_by: str = ""
    interval_s: int = 0
    window: Window = field(default_factory=Window)
    q: str = ""
    limit: int = 10
    offset_s: int = 0


class _Grid(NamedTuple):
    """The buckets: their width, and where the first one after 1970 begins."""

    width_s: int
    offset_s: int


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows to measure, as a subquery with ``_t`` (ns) and ``_group`` (array of texts)."""

    sql: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Source:
    """The pieces to merge, as a subquery with ``_group`` (array of texts), ``_bucket`` and a column per piece."""

    sql: str
    parameters: dict[str, Any]


def metric_series(store: ColumnarStore, project_id: str, query: MetricQuery) -> dict[str, Any]:
    """Return a metric over time, one series per group, the largest first; raise ``BadQuery``.

    Groups beyond ``limit`` are measured together as the group ``{"other": "true"}``: a percentile of
    it is over all its rows, not made of the groups' percentiles. A row with several values of a
    grouped list (models of a trace, tags) belongs to each of these groups. Groups with nothing to
    measure are left out. Where rollups hold what is asked for they are read instead of the rows
    (``query.rollups``); the figures are the same.
    """
    figure = find_figure(query.metric)
    start_ns, end_ns = bounded_range(query.window, DEFAULT_RANGE_NS)
    interval_s = query.interval_s or pick_interval_s(start_ns, end_ns)
    offset_s = query.offset_s
    buckets = buckets_of(start_ns - offset_s * NS_PER_S, end_ns - offset_s * NS_PER_S, interval_s)
    names = [name.strip() for name in query.group_by.split(",") if name.strip()]
    if len(names) > MAX_GROUPINGS:
        raise BadQuery(f"grouped by {len(names)} fields, at most {MAX_GROUPINGS}", "leave some out")
    source = _source(store, figure, project_id, Window(start_ns, end_ns), query.q, names, _Grid(interval_s, offset_s))
    totals = _totals(store, figure, source, query.limit)
    if not names and not totals:
        totals = {(): None}
    # One bucket is the whole range: its figures are the totals.
    alone = {(group, buckets[0]): total for group, total in totals.items()} if len(buckets) == 1 else None
    points = _points(store, figure, source, list(totals)) if alone is None else alone
    return {
        "metric": query.metric,
        "unit": figure.unit,
        "interval_s": interval_s,
        "from_time": rfc3339(start_ns),
        "to_time": rfc3339(end_ns),
        "series": [
            {
                "group": _shown_group(names, group),
                "points": [
                    [bucket * interval_s + offset_s, _number(points.get((group, bucket)), figure)] for bucket in buckets
                ],
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


def _source(
    store: ColumnarStore,
    figure: Figure,
    project_id: str,
    window: Window,
    q: str,
    names: Sequence[str],
    grid: _Grid,
) -> _Source:
    fields = [grouping_field(name) for name in names]
    if figure.table != "span_index":
        _check_trace_fields(figure, fields)
    if figure.table == "scores":
        rows = _score_rows(figure, project_id, window, q, fields)
        return _Source(_pieces(figure, rows.sql, grid), rows.parameters)
    if figure.rolled_where is None:
        selected = select_rows("traces" if figure.table == "traces" else "spans", project_id, window, q)
        rows = _rows(figure, selected, fields)
        return _Source(_pieces(figure, rows.sql, grid), rows.parameters)
    return _span_source(store, figure, project_id, window, q, fields, grid)


def _span_source(
    store: ColumnarStore,
    figure: Figure,
    project_id: str,
    window: Window,
    q: str,
    fields: Sequence[tuple[Field, str]],
    grid: _Grid,
) -> _Source:
    """Return the pieces of spans, from rollups as far as they go."""
    node = parse_filter(q)
    keys = rolled_keys(fields, node)
    start_ns, end_ns = int(window.from_ns or 0), int(window.to_ns or 0)
    # Rollups must neither straddle a bucket nor its offset.
    step_s = gcd(grid.width_s, grid.offset_s)
    sketches = any(piece.name == "sketch" for piece in figure.pieces)
    plan = None if keys is None else plan_range(store, project_id, start_ns, end_ns, step_s, keys, sketches=sketches)
    if plan is None or not (plan.minutes or plan.hours):
        rows = _rows(figure, compile_filter("spans", project_id, window, node), fields)
        return _Source(_pieces(figure, rows.sql, grid), rows.parameters)
    # Compiled once, without the window: the filter reads the same columns of both, under the same parameters.
    selected = compile_filter("spans", project_id, Window(), node)
    parts = []
    if plan.spans_ns:
        in_spans = Selection(f"{selected.where} AND {within('start_ns', plan.spans_ns)}", selected.parameters)
        parts.append(_pieces(figure, _rows(figure, in_spans, fields).sql, grid))
    group = _group(fields, selected.parameters, over_spans=True)
    columns = ", ".join(f"{piece.rolled} AS _{piece.name}" for piece in figure.pieces)
    for step_s, ranges in ((MINUTE_S, plan.minutes), (HOUR_S, plan.hours)):
        if ranges:
            parts.append(
                f"SELECT {group} AS _group, intDiv(start_s - {grid.offset_s}, {grid.width_s}) AS _bucket, {columns}"
                f" FROM ({rolled_rows(step_s, ranges)}) WHERE {selected.where} AND {figure.rolled_where}"
            )
    return _Source(" UNION ALL ".join(parts), selected.parameters)


def _pieces(figure: Figure, rows: str, grid: _Grid) -> str:
    """Return the SQL of a figure's pieces over rows with ``_group`` and ``_t`` (ns)."""
    columns = ", ".join(f"{piece.rows} AS _{piece.name}" for piece in figure.pieces)
    return (
        f"SELECT _group, intDiv(_t - {grid.offset_s * NS_PER_S}, {grid.width_s * NS_PER_S}) AS _bucket, {columns}"
        f" FROM ({rows}) WHERE {figure.where} GROUP BY _group, _bucket"
    )


def _rows(figure: Figure, selected: Selection, fields: Sequence[tuple[Field, str]]) -> _Rows:
    """Return the rows to measure as SQL with ``_t`` and ``_group``."""
    group = _group(fields, selected.parameters, over_spans=figure.table == "span_index")
    sql = f"SELECT *, start_ns AS _t, {group} AS _group FROM {figure.table} FINAL WHERE {selected.where}"
    return _Rows(sql, selected.parameters)


def _score_rows(figure: Figure, project_id: str, window: Window, q: str, fields: Sequence[tuple[Field, str]]) -> _Rows:
    selected = select_rows("traces", project_id, Window(), q)
    parameters = selected.parameters
    group = _group(fields, parameters, over_spans=False)
    parameters |= {"score": figure.score_name, "first_ns": window.from_ns, "last_ns": window.to_ns}
    sql = (
        "SELECT trace_id, value, created_ns AS _t FROM scores FINAL"
        " WHERE project_id = {project:String} AND name = {score:String}"
        " AND created_ns >= {first_ns:Int64} AND created_ns < {last_ns:Int64}"
    )
    if not fields and not q.strip():
        return _Rows(f"SELECT *, {group} AS _group FROM ({sql})", parameters)
    traces = f"SELECT trace_id, {group} AS _group FROM traces FINAL WHERE {selected.where}"
    return _Rows(f"SELECT s.value AS value, s._t AS _t, t._group AS _group FROM ({sql}) AS s"
                 f" INNER JOIN ({traces}) AS t ON s.trace_id = t.trace_id", parameters)  # fmt: skip


def _group(fields: Sequence[tuple[Field, str]], parameters: dict[str, Any], *, over_spans: bool) -> str:
    """Return the SQL of a row's group; keys of metadata are added to ``parameters``."""
    keys = []
    for index, (known, key) in enumerate(fields):
        own, many = (known.span, known.span_many) if over_spans else (known.trace, known.trace_many)
        if key:
            parameters[f"key{index}"] = key
        own = str(own).replace("{key}", f"{{key{index}:String}}")
        keys.append(f"arrayJoin(if(empty({own}), [''], {own}))" if many else own)
    return f"CAST([{', '.join(f'toString({key})' for key in keys)}], 'Array(String)')" if keys else "emptyArrayString()"


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
        f"SELECT _group, {figure.value} AS _value, {figure.weight} AS _weight FROM ({source.sql})"
        f" GROUP BY _group HAVING _weight > 0 ORDER BY _weight DESC, _group LIMIT {limit + 1}",
        source.parameters,
    )
    totals: dict[Group, Any] = {tuple(row["_group"]): row["_value"] for row in rows[:limit]}
    if len(rows) > limit:
        others = store.select(
            f"SELECT {figure.value} AS _value FROM ({source.sql})"
            " WHERE NOT has({leaders:Array(Array(String))}, _group)",
            {**source.parameters, "leaders": [list(group) for group in totals]},
        )
        totals[_OTHERS] = others[0]["_value"]
    return totals


def _points(
    store: ColumnarStore, figure: Figure, source: _Source, groups: Sequence[Group]
) -> dict[tuple[Group, int], Any]:
    if not groups:
        return {}
    leaders = [list(group) for group in groups if group]
    shown = "if(has({leaders:Array(Array(String))}, _group), _group, emptyArrayString())" if leaders else "_group"
    rows = store.select(
        f"SELECT {shown} AS _shown, _bucket, {figure.value} AS _value FROM ({source.sql}) GROUP BY _shown, _bucket",
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
