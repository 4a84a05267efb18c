"""Figures over time, in groups."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, now_ns, rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.figures import Figure, find_figure
from spanhouse_server.query.pieces import Asked, Grid, Pieces, pieces_of
from spanhouse_server.query.rollups import Plans
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

    Buckets begin at multiples of the width, plus ``offset_s``, which is less than the width. ``known`` are groups
    that are given however small they are, beside the ``limit`` largest; for ``metric_lines`` only.
    """

    metric: str
    group_by: str = ""
    interval_s: int = 0
    window: Window = field(default_factory=Window)
    q: str = ""
    limit: int = 10
    offset_s: int = 0
    known: Sequence[Group] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """One group: its value in the buckets that hold something of it, and over the whole range."""

    group: Group
    values: dict[int, Any]
    total: Any


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
    names = _names(query.group_by)
    asked = Asked(project_id, Window(start_ns, end_ns), query.q, names, Grid(interval_s, offset_s))
    pieces = pieces_of(store, figure, asked)
    found = _lines(store, figure, pieces, "_group", query.limit + 1, totals=len(buckets) > 1)
    lines = found[: query.limit]
    if len(found) > query.limit:
        apart = Pieces(
            f"SELECT * FROM ({pieces.sql}) WHERE NOT has({{leaders:Array(String)}}, {_mark_sql('_group')})",
            {**pieces.parameters, "leaders": [_mark(line.group) for line in lines]},
        )
        lines += _lines(store, figure, apart, "emptyArrayString()", 1, totals=len(buckets) > 1)
    if not names and not lines:
        lines = [_Line((), {}, None)]
    return {
        "metric": query.metric,
        "unit": figure.unit,
        "interval_s": interval_s,
        "from_time": rfc3339(start_ns),
        "to_time": rfc3339(end_ns),
        "series": [
            {
                "group": _shown_group(names, line.group),
                "points": [
                    [bucket * interval_s + offset_s, _number(line.values.get(bucket), figure)] for bucket in buckets
                ],
                "total": _number(line.total, figure),
            }
            for line in lines
        ],
    }


def metric_lines(
    store: ColumnarStore, project_id: str, query: MetricQuery, plans: Plans | None = None
) -> list[tuple[Group, dict[int, float | None]]]:
    """Return the groups of a metric, each with its value by start of bucket (unix s), for workers; raise ``BadQuery``.

    Read at once over any number of buckets, of which those without rows are left out; nothing is said of the groups
    beyond ``limit``. The window has both ends, the interval is set. ``plans`` may come from the reads before.
    """
    figure = find_figure(query.metric)
    names = _names(query.group_by)
    asked = Asked(project_id, query.window, query.q, names, Grid(query.interval_s, query.offset_s))
    pieces = pieces_of(store, figure, asked, plans)
    known = [tuple(group) for group in query.known]
    found = _lines(store, figure, pieces, "_group", query.limit, totals=False, known=known)
    return [
        (
            line.group,
            {
                bucket * query.interval_s + query.offset_s: _number(value, figure)
                for bucket, value in line.values.items()
            },
        )
        for line in found
    ]


def exact_sums(store: ColumnarStore, project_id: str, query: MetricQuery) -> dict[Group, Any]:
    """Return a metric that adds up over the whole window, exactly (money as ``Decimal``), by its largest groups.

    From rollups as far as they go, which keep what spans that have expired added up to. The window has both ends.
    """
    figure = find_figure(query.metric)
    asked = Asked(project_id, query.window, query.q, _names(query.group_by), Grid(INTERVALS_S[-1], 0))
    pieces = pieces_of(store, figure, asked)
    rows = store.select(
        f"SELECT _group, {figure.weight} AS _sum FROM ({pieces.sql}) GROUP BY _group"
        f" HAVING _sum > 0 ORDER BY _sum DESC, _group LIMIT {query.limit}",
        pieces.parameters,
    )
    return {tuple(row["_group"]): row["_sum"] for row in rows}


def _names(group_by: str) -> list[str]:
    names = [name.strip() for name in group_by.split(",") if name.strip()]
    if len(names) > MAX_GROUPINGS:
        raise BadQuery(f"grouped by {len(names)} fields, at most {MAX_GROUPINGS}", "leave some out")
    return names


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


def _lines(
    store: ColumnarStore,
    figure: Figure,
    pieces: Pieces,
    group: str,
    limit: int,
    *,
    totals: bool,
    known: Sequence[Group] = (),
) -> list[_Line]:
    """Return the ``limit`` largest groups (``group``: SQL over ``_group``) with their buckets, from one read.

    Pieces are merged by bucket first and then once more into the ``totals``, which are exact as well: sums add up,
    sketches merge. Without ``totals`` a line's total is that of its only bucket. ``known`` groups come on top.
    """
    merged = ", ".join(f"{piece.merged} AS _merged_{piece.name}" for piece in figure.pieces) if totals else ""
    by_bucket = (
        f"SELECT {group} AS _shown, _bucket, ifNull(toFloat64({figure.value}), nan) AS _value, {figure.weight} AS _part"
        f"{', ' if merged else ''}{merged} FROM ({pieces.sql}) GROUP BY _shown, _bucket"
    )
    total = "NULL"
    if totals:
        renamed = ", ".join(f"_merged_{piece.name} AS _{piece.name}" for piece in figure.pieces)
        by_bucket = f"SELECT _shown, _bucket, _value, _part, {renamed} FROM ({by_bucket})"
        total = figure.value
    parameters, first = pieces.parameters, ""
    if known:
        parameters = {**parameters, "known": [_mark(each) for each in known]}
        first = f"has({{known:Array(String)}}, {_mark_sql('_shown')}) DESC, "
    rows = store.select(
        f"SELECT _shown, {total} AS _total, sum(_part) AS _weight, groupArray(_bucket) AS _buckets,"
        f" groupArray(_value) AS _values FROM ({by_bucket}) GROUP BY _shown HAVING _weight > 0"
        f" ORDER BY {first}_weight DESC, _shown LIMIT {limit + len(known)}",
        parameters,
    )
    found: list[_Line] = []
    named, others = set(known), 0
    for row in rows:
        others += tuple(row["_shown"]) not in named
        if others > limit:
            break
        values = dict(zip(row["_buckets"], row["_values"], strict=True))
        total_value = row["_total"] if totals else next(iter(values.values()), None)
        found.append(_Line(tuple(row["_shown"]), values, total_value))
    return found


def _mark(group: Group) -> str:
    """Return what stands for a group in a statement: some hundred of them fit, however long their values are."""
    return hashlib.sha256("\0".join(group).encode()).hexdigest()


def _mark_sql(group: str) -> str:
    return f"lower(hex(SHA256(arrayStringConcat({group}, '\\0'))))"


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
