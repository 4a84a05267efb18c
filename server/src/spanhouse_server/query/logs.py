"""The log records of a trace."""

from __future__ import annotations

from typing import Any

import orjson

from spanhouse_server.clock import rfc3339
from spanhouse_server.query.page import SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.store.contract import ColumnarStore

_TIME = SortKey("time_ns", "Int64")
_IDENTITY = (_TIME, SortKey("span_id", "String"), SortKey("log_id", "UInt64"))


def trace_logs(
    store: ColumnarStore, project_id: str, trace_id: str, span_id: str, limit: int, cursor: str
) -> dict[str, Any]:
    """Return a page of the log records of a trace, oldest first; ``span_id`` narrows to one span."""
    parameters: dict[str, Any] = {"project": project_id, "trace": trace_id}
    where = "project_id = {project:String} AND trace_id = {trace:String}"
    if span_id:
        parameters["span"] = span_id
        where += " AND span_id = {span:String}"
    sort = choose_sort("time", {"time": _TIME}, "time", _IDENTITY)
    after = after_cursor(sort, cursor, parameters)
    rows = store.select(
        "SELECT time_ns, span_id, severity_number, severity_text, event_name, service_name, body, attributes,"
        f" {sort.columns} FROM logs FINAL WHERE {where} AND {after} ORDER BY {sort.order_by} LIMIT {limit + 1}",
        parameters,
    )
    more = len(rows) > limit
    rows = rows[:limit]
    items = [
        {
            "time": rfc3339(row["time_ns"]),
            "span_id": row["span_id"],
            "severity_number": row["severity_number"],
            "severity_text": row["severity_text"],
            "event_name": row["event_name"],
            "service_name": row["service_name"],
            "body": orjson.loads(row["body"]) if row["body"] else None,
            "attributes": orjson.loads(row["attributes"]) if row["attributes"] else {},
        }
        for row in rows
    ]
    return {"items": items, "next_cursor": cursor_after(sort, rows[-1]) if more else None}
