"""One trace: its totals, and the skeleton of its spans without payloads."""

from __future__ import annotations

from typing import Any

from spanhouse_server.clock import NS_PER_MS, NS_PER_S
from spanhouse_server.errors import NotFound
from spanhouse_server.query.page import SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.rows import Row, dollars
from spanhouse_server.query.scores import MAX_PER_THING, scores_of, summarised
from spanhouse_server.query.traces import TRACE_COLUMNS, trace_item, trace_items
from spanhouse_server.store.contract import ColumnarStore

_MORE_COLUMNS = (
    "cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_input_usd, cost_output_usd, operations,"
    " prompt_names, dialects, metadata"
)
_SPAN_COLUMNS = (
    "span_id, parent_span_id, name, category, start_ns, duration_ns, status_code, model, input_tokens,"
    " output_tokens, counted, cost_usd, ttft_ns, is_root"
)
_START = SortKey("start_ns", "Int64")
_IDENTITY = (_START, SortKey("span_id", "String"))
_THIS = "project_id = {project:String} AND trace_id = {trace:String}"
#: The trace's own time, which is one range of the table's key.
_WITHIN = "start_ns >= {first_ns:Int64} AND start_ns <= {last_ns:Int64}"
#: The same and spans whose start is unknown, which stand at 0: costs twice as much to find.
_ANYWHERE = f"(({_WITHIN}) OR start_ns = 0)"
#: The totals of a large trace that still grows lag behind its spans (``drain.pace``), its end with them.
_LARGE_SPANS = 1000
_GROWTH_NS = 600 * NS_PER_S


def trace_detail(store: ColumnarStore, project_id: str, trace_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """Return a trace with a page of its spans in order of start; raise ``NotFound`` or ``BadQuery``.

    Parents mostly start before their children, so a tree can be built page by page.
    """
    parameters: dict[str, Any] = {"project": project_id, "trace": trace_id}
    rows = store.select(
        f"SELECT {TRACE_COLUMNS}, {_MORE_COLUMNS} FROM traces FINAL WHERE {_THIS} ORDER BY version DESC LIMIT 1",
        parameters,
    )
    if not rows:
        raise NotFound(f"no trace {trace_id} in this project", "it may not have arrived yet, or have expired")
    row = rows[0]
    scores = scores_of(store, project_id, trace_id=trace_id)
    bones, next_cursor = _skeleton(store, parameters, row, limit, cursor)
    whole = not cursor and next_cursor is None
    # What the page holds anyway is not asked for again: each read costs some milliseconds.
    some = len(scores) < MAX_PER_THING
    item = {**trace_item(row), "scores": summarised(scores)} if some else trace_items(store, project_id, [row])[0]
    return {
        **item,
        "root_span_id": row["root_span_id"],
        "cache_read_tokens": row["cache_read_tokens"],
        "cache_write_tokens": row["cache_write_tokens"],
        "reasoning_tokens": row["reasoning_tokens"],
        "cost_input_usd": dollars(row["cost_input_usd"]),
        "cost_output_usd": dollars(row["cost_output_usd"]),
        "operations": row["operations"],
        "prompt_names": row["prompt_names"],
        "dialects": row["dialects"],
        "metadata": row["metadata"],
        "missing_parents": sum(map(_is_orphan, bones)) if whole else _missing_parents(store, parameters, row),
        "score_items": scores,
        "spans": [_bone(bone, row["start_ns"]) for bone in bones],
        "next_cursor": next_cursor,
    }


def _skeleton(
    store: ColumnarStore, parameters: dict[str, Any], trace: Row, limit: int, cursor: str
) -> tuple[list[Row], str | None]:
    sort = choose_sort("start_time", {"start_time": _START}, "start_time", _IDENTITY)
    bound = parameters | _time_of(trace)
    after = after_cursor(sort, cursor, bound)

    def read(within: str) -> list[Row]:
        return store.select(
            f"SELECT {_SPAN_COLUMNS}, {sort.columns} FROM span_index FINAL"
            f" WHERE {_THIS} AND {within} AND {after}"
            f" ORDER BY {sort.order_by} LIMIT {limit + 1}",
            bound,
        )

    small = not cursor and trace["span_count"] <= min(limit, _LARGE_SPANS)
    rows = read(_WITHIN) if small else []
    if not small or len(rows) != trace["span_count"]:
        rows = read(_ANYWHERE)
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, cursor_after(sort, rows[-1]) if more else None


def _time_of(trace: Row) -> dict[str, int]:
    growth_ns = _GROWTH_NS if trace["span_count"] >= _LARGE_SPANS else 0
    return {"first_ns": trace["start_ns"], "last_ns": trace["end_ns"] + growth_ns}


def _is_orphan(row: Row) -> bool:
    return bool(row["is_root"] and row["parent_span_id"])


def _bone(row: Row, trace_start_ns: int) -> dict[str, Any]:
    """Return a skeleton span: what is empty is left out, to keep 10,000 of them small."""
    bone: dict[str, Any] = {
        "span_id": row["span_id"],
        "name": row["name"],
        "category": row["category"],
        "start_ms": max(row["start_ns"] - trace_start_ns, 0) / NS_PER_MS,
        "duration_ms": row["duration_ns"] / NS_PER_MS,
    }
    if row["parent_span_id"]:
        bone["parent_span_id"] = row["parent_span_id"]
    if row["status_code"] != "unset":
        bone["status_code"] = row["status_code"]
    if row["model"]:
        bone["model"] = row["model"]
    if row["ttft_ns"] is not None:
        bone["ttft_ms"] = row["ttft_ns"] / NS_PER_MS
    used = row["input_tokens"] is not None or row["output_tokens"] is not None
    if used:
        bone["tokens"] = (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
    if row["cost_usd"] is not None:
        bone["cost_usd"] = dollars(row["cost_usd"])
    if (used or row["cost_usd"] is not None) and not row["counted"]:
        bone["counted"] = False
    return bone


def _missing_parents(store: ColumnarStore, parameters: dict[str, Any], trace: Row) -> int:
    rows = store.select(
        f"SELECT countIf(is_root AND parent_span_id != '') AS n FROM span_index FINAL WHERE {_THIS} AND {_ANYWHERE}",
        parameters | _time_of(trace),
    )
    return int(rows[0]["n"])
