"""What a figure is put together from: the SQL of its pieces over spans, traces or scores, or over rollups.

Rollups are read as far as they go (``query.rollups``); both give the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, NamedTuple

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import Level, Selection, compile_filter, select_rows
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.fields import Field
from spanhouse_server.query.figures import Figure
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.rollups import HOUR_S, MINUTE_S, Plans, rolled_keys, rolled_rows, within
from spanhouse_server.query.scores import ON_SOMETHING
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore


class Grid(NamedTuple):
    """The buckets: their width, and where the first one after 1970 begins."""

    width_s: int
    offset_s: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows to measure: a project's in a range with both ends, under a filter, in groups and buckets."""

    project_id: str
    window: Window
    q: str
    names: Sequence[str]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces to merge, as a subquery with ``_group`` (array of texts), ``_bucket`` and a column per piece."""

    sql: str
    parameters: dict[str, Any]


def pieces_of(store: ColumnarStore, figure: Figure, asked: Asked, plans: Plans | None = None) -> Pieces:
    """Return the pieces of a figure; raise ``BadQuery`` for fields that it cannot be grouped or filtered by.

    ``plans`` are those that were made a moment ago, if they may be used again.
    """
    fields = [grouping_field(name) for name in asked.names]
    if figure.table != "span_index":
        _check_trace_fields(figure, fields)
    if figure.table == "scores":
        rows = _score_rows(figure, asked, fields)
        return Pieces(_summed(figure, rows.sql, asked.grid), rows.parameters)
    if figure.rolled_where is None:
        level: Level = "traces" if figure.table == "traces" else "spans"
        rows = _rows(figure, select_rows(level, asked.project_id, asked.window, asked.q), fields)
        return Pieces(_summed(figure, rows.sql, asked.grid), rows.parameters)
    return _of_spans(store, figure, asked, fields, plans or Plans(store))


def _of_spans(
    store: ColumnarStore, figure: Figure, asked: Asked, fields: Sequence[tuple[Field, str]], plans: Plans
) -> Pieces:
    """Return the pieces of spans, from rollups as far as they go."""
    node, grid = parse_filter(asked.q), asked.grid
    keys = rolled_keys(fields, node)
    start_ns, end_ns = int(asked.window.from_ns or 0), int(asked.window.to_ns or 0)
    # Rollups must neither straddle a bucket nor its offset.
    step_s = gcd(grid.width_s, grid.offset_s)
    sketches = any(piece.name == "sketch" for piece in figure.pieces)
    plan = None if keys is None else plans.range(asked.project_id, start_ns, end_ns, step_s, keys, sketches=sketches)
    if plan is None or not (plan.minutes or plan.hours):
        rows = _rows(figure, compile_filter("spans", asked.project_id, asked.window, node), fields)
        return Pieces(_summed(figure, rows.sql, grid), rows.parameters)
    # Compiled once, without the window: the filter reads the same columns of both, under the same parameters.
    selected = compile_filter("spans", asked.project_id, Window(), node)
    parts = []
    if plan.spans_ns:
        in_spans = Selection(f"{selected.where} AND {within('start_ns', plan.spans_ns)}", selected.parameters)
        parts.append(_summed(figure, _rows(figure, in_spans, fields).sql, grid))
    group = _group(fields, selected.parameters, over_spans=True)
    columns = ", ".join(f"{piece.rolled} AS _{piece.name}" for piece in figure.pieces)
    for width_s, ranges in ((MINUTE_S, plan.minutes), (HOUR_S, plan.hours)):
        if ranges:
            parts.append(
                f"SELECT {group} AS _group, intDiv(start_s - {grid.offset_s}, {grid.width_s}) AS _bucket, {columns}"
                f" FROM ({rolled_rows(width_s, ranges)}) WHERE {selected.where} AND {figure.rolled_where}"
            )
    return Pieces(" UNION ALL ".join(parts), selected.parameters)


def _summed(figure: Figure, rows: str, grid: Grid) -> str:
    """Return the SQL of a figure's pieces over rows with ``_group`` and ``_t`` (ns)."""
    columns = ", ".join(f"{piece.rows} AS _{piece.name}" for piece in figure.pieces)
    return (
        f"SELECT _group, intDiv(_t - {grid.offset_s * NS_PER_S}, {grid.width_s * NS_PER_S}) AS _bucket, {columns}"
        f" FROM ({rows}) WHERE {figure.where} GROUP BY _group, _bucket"
    )


def _rows(figure: Figure, selected: Selection, fields: Sequence[tuple[Field, str]]) -> Pieces:
    """Return the rows to measure as SQL with ``_t`` and ``_group``."""
    group = _group(fields, selected.parameters, over_spans=figure.table == "span_index")
    sql = f"SELECT *, start_ns AS _t, {group} AS _group FROM {figure.table} FINAL WHERE {selected.where}"
    return Pieces(sql, selected.parameters)


def _score_rows(figure: Figure, asked: Asked, fields: Sequence[tuple[Field, str]]) -> Pieces:
    selected = select_rows("traces", asked.project_id, Window(), asked.q)
    parameters = selected.parameters
    group = _group(fields, parameters, over_spans=False)
    parameters |= {"score": figure.score_name, "first_ns": asked.window.from_ns, "last_ns": asked.window.to_ns}
    sql = (
        "SELECT trace_id, value, created_ns AS _t FROM scores FINAL"
        f" WHERE project_id = {{project:String}} AND {ON_SOMETHING} AND name = {{score:String}}"
        " AND created_ns >= {first_ns:Int64} AND created_ns < {last_ns:Int64}"
    )
    if not fields and not asked.q.strip():
        return Pieces(f"SELECT *, {group} AS _group FROM ({sql})", parameters)
    traces = f"SELECT trace_id, {group} AS _group FROM traces FINAL WHERE {selected.where}"
    return Pieces(f"SELECT s.value AS value, s._t AS _t, t._group AS _group FROM ({sql}) AS s"
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
