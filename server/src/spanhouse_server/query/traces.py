"""Lists of traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.page import MONEY_TYPE, ListQuery, SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.rows import Row, dollars, milliseconds, times
from spanhouse_server.query.scores import score_summaries
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

TRACE_COLUMNS = (
    "start_ns, trace_id, end_ns, duration_ns, name, root_span_id, status_code, span_count, error_count, llm_count,"
    " input_tokens, output_tokens, cost_usd, cost_status, ttft_ns, models, providers, categories, services,"
    " tool_names, agent_names, error_types, session_id, user_id, tags, environment, release,"
    " input_preview, output_preview"
)
_START = SortKey("start_ns", "Int64")
_IDENTITY = (_START, SortKey("trace_id", "String"))
SORTS = {
    "start_time": _START,
    "duration": SortKey("duration_ns", "Int64"),
    "cost": SortKey("ifNull(cost_usd, toDecimal64(-1, 12))", MONEY_TYPE),
    "tokens": SortKey("(ifNull(input_tokens, 0) + ifNull(output_tokens, 0))", "UInt64"),
    "errors": SortKey("toUInt64(error_count)", "UInt64"),
    "spans": SortKey("toUInt64(span_count)", "UInt64"),
}


def list_traces(store: ColumnarStore, project_id: str, query: ListQuery) -> dict[str, Any]:
    """Return a page of traces, newest first by default; raise ``BadQuery``."""
    sort = choose_sort(query.sort, SORTS, "-start_time", _IDENTITY)
    selected = select_rows("traces", project_id, query.window, query.q)
    after = after_cursor(sort, query.cursor, selected.parameters)
    rows = store.select(
        f"SELECT {TRACE_COLUMNS}, {sort.columns} FROM traces FINAL WHERE {selected.where} AND {after}"
        f" ORDER BY {sort.order_by} LIMIT {query.limit + 1}",
        selected.parameters,
    )
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    return {
        "items": trace_items(store, project_id, rows),
        "next_cursor": cursor_after(sort, rows[-1]) if more else None,
    }


def traces_by_id(store: ColumnarStore, project_id: str, trace_ids: Sequence[str], q: str = "") -> list[dict[str, Any]]:
    """Return those of some traces that pass a filter, newest first."""
    if not trace_ids:
        return []
    selected = select_rows("traces", project_id, Window(), q)
    selected.parameters["ids"] = list(trace_ids)
    # The limit changes no result: with it the engine finds the rows before it reads their wide columns.
    rows = store.select(
        f"SELECT {TRACE_COLUMNS} FROM traces FINAL"
        f" WHERE trace_id IN ({{ids:Array(String)}}) AND {selected.where}"
        f" ORDER BY start_ns DESC, trace_id DESC LIMIT {len(trace_ids)}",
        selected.parameters,
    )
    return trace_items(store, project_id, rows)


def trace_items(store: ColumnarStore, project_id: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows with ``TRACE_COLUMNS`` as the API shows them, their scores joined."""
    scores = score_summaries(store, project_id, "trace_id", [row["trace_id"] for row in rows])
    return [{**trace_item(row), "scores": scores.get(row["trace_id"], {})} for row in rows]


def trace_item(row: Row) -> dict[str, Any]:
    """Return one row as the API shows it, without scores."""
    return {
        "trace_id": row["trace_id"],
        "name": row["name"],
        **times(row),
        "status_code": row["status_code"],
        "complete": bool(row["root_span_id"]),
        "span_count": row["span_count"],
        "error_count": row["error_count"],
        "llm_count": row["llm_count"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "cost_usd": dollars(row["cost_usd"]),
        "cost_status": row["cost_status"],
        "ttft_ms": milliseconds(row["ttft_ns"]),
        "models": row["models"],
        "providers": row["providers"],
        "categories": row["categories"],
        "services": row["services"],
        "tool_names": row["tool_names"],
        "agent_names": row["agent_names"],
        "error_types": row["error_types"],
        "session_id": row["session_id"],
        "user_id": row["user_id"],
        "tags": row["tags"],
        "environment": row["environment"],
        "release": row["release"],
        "input_preview": row["input_preview"],
        "output_preview": row["output_preview"],
    }
