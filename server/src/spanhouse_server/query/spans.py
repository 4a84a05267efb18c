"""Lists of spans."""

from __future__ import annotations

from typing import Any

from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.page import MONEY_TYPE, ListQuery, SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.rows import Row, dollars, milliseconds, times, tokens_per_s
from spanhouse_server.query.scores import score_summaries
from spanhouse_server.store.contract import ColumnarStore

_COLUMNS = (
    "start_ns, trace_id, span_id, parent_span_id, is_root, end_ns, duration_ns, name, kind, status_code, error_type,"
    " category, operation, provider, model, tool_name, agent_name, finish_reasons, input_tokens, output_tokens,"
    " counted, cost_usd, cost_status, ttft_ns, session_id, user_id, tags, environment, release, service_name,"
    " host_name, input_preview, output_preview"
)
_PLAIN = (
    "trace_id", "span_id", "parent_span_id", "name", "kind", "status_code", "error_type", "category", "operation",
    "provider", "model", "tool_name", "agent_name", "finish_reasons", "input_tokens", "output_tokens", "cost_status",
    "session_id", "user_id", "tags", "environment", "release", "service_name", "host_name", "input_preview",
    "output_preview",
)  # fmt: skip
_START = SortKey("start_ns", "Int64")
_IDENTITY = (_START, SortKey("trace_id", "String"), SortKey("span_id", "String"))
SORTS = {
    "start_time": _START,
    "duration": SortKey("duration_ns", "Int64"),
    "cost": SortKey("ifNull(cost_usd, toDecimal64(-1, 12))", MONEY_TYPE),
    "tokens": SortKey("(ifNull(input_tokens, 0) + ifNull(output_tokens, 0))", "UInt64"),
    "ttft": SortKey("ifNull(ttft_ns, -1)", "Int64"),
}


def list_spans(store: ColumnarStore, project_id: str, query: ListQuery) -> dict[str, Any]:
    """Return a page of spans, newest first by default; raise ``BadQuery``."""
    sort = choose_sort(query.sort, SORTS, "-start_time", _IDENTITY)
    selected = select_rows("spans", project_id, query.window, query.q)
    after = after_cursor(sort, query.cursor, selected.parameters)
    rows = store.select(
        f"SELECT {_COLUMNS}, {sort.columns} FROM span_index FINAL WHERE {selected.where} AND {after}"
        f" ORDER BY {sort.order_by} LIMIT {query.limit + 1}",
        selected.parameters,
    )
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    scores = score_summaries(store, project_id, "span_id", [(row["trace_id"], row["span_id"]) for row in rows])
    return {
        "items": [{**_item(row), "scores": scores.get((row["trace_id"], row["span_id"]), {})} for row in rows],
        "next_cursor": cursor_after(sort, rows[-1]) if more else None,
    }


def _item(row: Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _PLAIN},
        **times(row),
        "is_root": bool(row["is_root"]),
        "counted": bool(row["counted"]),
        "cost_usd": dollars(row["cost_usd"]),
        "ttft_ms": milliseconds(row["ttft_ns"]),
        "output_tokens_per_s": tokens_per_s(row["output_tokens"], row["duration_ns"], row["ttft_ns"]),
    }
