"""Facets: the values of a field with how often they occur."""

from __future__ import annotations

import difflib
from typing import Any

from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.fields import FIELDS, Field, find_field
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore


def facet_values(
    store: ColumnarStore, project_id: str, name: str, window: Window, q: str, scope: str, limit: int
) -> dict[str, Any]:
    """Return the most frequent values of a field under a filter; raise ``BadQuery``.

    ``scope`` says what is counted, ``traces`` or ``spans``. A trace with several values counts for
    each. ``metadata`` and ``score`` without a key give their keys and names.
    """
    selected = select_rows("traces" if scope == "traces" else "spans", project_id, window, q)
    parameters = selected.parameters
    counted, table, where = "count()", "traces" if scope == "traces" else "span_index", selected.where
    if name == "score":
        table, values = "scores", "name"
        where = (
            f"project_id = {{project:String}} AND trace_id IN (SELECT trace_id FROM {_of(scope)} FINAL WHERE {where})"
        )
    elif name == "metadata":
        values = "arrayJoin(mapKeys(metadata))"
    else:
        field, key = grouping_field(name)
        own, many = (field.trace, field.trace_many) if scope == "traces" else (field.span, field.span_many)
        if own is None:
            # Only spans can tell: count the traces that have such a span.
            own, many, counted, table = str(field.span), field.span_many, "uniqExact(trace_id)", "span_index"
            where = f"project_id = {{project:String}} AND trace_id IN (SELECT trace_id FROM traces FINAL WHERE {where})"
        if key:
            parameters["key"] = key
            own = own.replace("{key}", "{key:String}")
        values = f"arrayJoin({own})" if many else own
    parameters["limit"] = limit + 1
    rows = store.select(
        f"SELECT toString({values}) AS _value, {counted} AS _n FROM {table} FINAL WHERE {where}"
        " GROUP BY _value HAVING _value != '' ORDER BY _n DESC, _value LIMIT {limit:UInt32}",
        parameters,
    )
    return {
        "field": name,
        "values": [{"value": row["_value"], "count": row["_n"]} for row in rows[:limit]],
        "more": len(rows) > limit,
    }


def grouping_field(name: str) -> tuple[Field, str]:
    """Return the field and key for a name such as ``model`` or ``metadata.tier``; raise ``BadQuery``."""
    base, _, key = name.partition(".")
    field = find_field(base)
    if field is None or not field.groups or field.keyed != bool(key):
        known = [item.name for item in FIELDS if item.groups]
        near = difflib.get_close_matches(base, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"
        raise BadQuery(f"cannot group by {name[:60]!r}", hint)
    return field, key


def _of(scope: str) -> str:
    return "traces" if scope == "traces" else "span_index"
