"""Sessions: the traces of one conversation together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.clock import NS_PER_MS, rfc3339
from spanhouse_server.errors import NotFound
from spanhouse_server.query.compile import Selection, select_rows
from spanhouse_server.query.page import ListQuery, Sort, SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.rows import Row
from spanhouse_server.query.scores import score_summaries, scores_of
from spanhouse_server.query.totals import SORTS, TOTALS, select_exactly, totals
from spanhouse_server.query.traces import TRACE_COLUMNS, trace_items
from spanhouse_server.store.contract import ColumnarStore

_COLUMNS = (
    f"session_id, {TOTALS}, arraySort(groupUniqArrayIf(50)(user_id, user_id != '')) AS users,"
    " argMin(environment, start_ns) AS place, argMin(input_preview, start_ns) AS first_input,"
    " argMax(output_preview, start_ns) AS last_output"
)
_IDENTITY = (SortKey("last_ns", "Int64"), SortKey("session_id", "String"))
_TURN = SortKey("start_ns", "Int64")
#: Sessions shown with a user.
NEWEST = 50


def list_sessions(store: ColumnarStore, project_id: str, query: ListQuery) -> dict[str, Any]:
    """Return a page of sessions, the most recently active first by default; raise ``BadQuery``."""
    sort = choose_sort(query.sort, SORTS, "-last_time", _IDENTITY)
    selected = select_rows("traces", project_id, query.window, query.q)
    rows = _rows(store, selected, sort, query.limit + 1, query.cursor)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    return {
        "items": _items(store, project_id, rows),
        "next_cursor": cursor_after(sort, rows[-1]) if more else None,
    }


def newest_sessions(store: ColumnarStore, project_id: str, user_id: str) -> list[dict[str, Any]]:
    """Return the most recently active sessions of a user."""
    sort = choose_sort("-last_time", SORTS, "-last_time", _IDENTITY)
    rows = _rows(store, select_exactly("user", user_id, project_id), sort, NEWEST, "")
    return _items(store, project_id, rows)


def session_detail(store: ColumnarStore, project_id: str, session_id: str, limit: int, cursor: str) -> dict[str, Any]:
    """Return a session with a page of its traces, oldest first; raise ``NotFound`` or ``BadQuery``."""
    selected = select_exactly("session", session_id, project_id)
    sort = choose_sort("-last_time", SORTS, "-last_time", _IDENTITY)
    rows = _rows(store, selected, sort, 1, "")
    if not rows:
        raise NotFound(f"no session {session_id[:100]!r} in this project")
    turns = choose_sort("start_time", {"start_time": _TURN}, "start_time", (_TURN, SortKey("trace_id", "String")))
    after = after_cursor(turns, cursor, selected.parameters)
    traces = store.select(
        f"SELECT {TRACE_COLUMNS}, {turns.columns} FROM traces FINAL WHERE {selected.where} AND {after}"
        f" ORDER BY {turns.order_by} LIMIT {limit + 1}",
        selected.parameters,
    )
    more = len(traces) > limit
    traces = traces[:limit]
    return {
        **_items(store, project_id, rows)[0],
        "score_items": scores_of(store, project_id, session_id=session_id),
        "traces": trace_items(store, project_id, traces),
        "next_cursor": cursor_after(turns, traces[-1]) if more else None,
    }


def _rows(store: ColumnarStore, selected: Selection, sort: Sort, limit: int, cursor: str) -> list[Row]:
    parameters = dict(selected.parameters)
    after = after_cursor(sort, cursor, parameters)
    return store.select(
        f"SELECT {_COLUMNS}, {sort.columns} FROM traces FINAL WHERE {selected.where} AND session_id != ''"
        f" GROUP BY session_id HAVING {after} ORDER BY {sort.order_by} LIMIT {limit}",
        parameters,
    )


def _items(store: ColumnarStore, project_id: str, rows: Sequence[Row]) -> list[dict[str, Any]]:
    scores = score_summaries(store, project_id, "session_id", [row["session_id"] for row in rows])
    return [
        {
            "session_id": row["session_id"],
            "start_time": rfc3339(row["first_ns"]),
            "end_time": rfc3339(row["last_ns"]),
            "duration_ms": (row["last_ns"] - row["first_ns"]) / NS_PER_MS,
            **totals(row),
            "user_ids": row["users"],
            "environment": row["place"],
            "input_preview": row["first_input"],
            "output_preview": row["last_output"],
            "scores": scores.get(row["session_id"], {}),
        }
        for row in rows
    ]
