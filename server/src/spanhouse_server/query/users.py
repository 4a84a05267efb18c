"""Users: what each of them has used."""

from __future__ import annotations

from typing import Any

from spanhouse_server.clock import rfc3339
from spanhouse_server.errors import NotFound
from spanhouse_server.query.compile import Selection, select_rows
from spanhouse_server.query.page import ListQuery, Sort, SortKey, after_cursor, choose_sort, cursor_after
from spanhouse_server.query.rows import Row
from spanhouse_server.query.sessions import newest_sessions
from spanhouse_server.query.totals import SORTS, TOTALS, select_exactly, totals
from spanhouse_server.store.contract import ColumnarStore

_COLUMNS = f"user_id, {TOTALS}, uniqExactIf(session_id, session_id != '') AS session_n"
_IDENTITY = (SortKey("last_ns", "Int64"), SortKey("user_id", "String"))


def list_users(store: ColumnarStore, project_id: str, query: ListQuery) -> dict[str, Any]:
    """Return a page of users, the most recently seen first by default; raise ``BadQuery``."""
    sort = choose_sort(query.sort, SORTS, "-last_time", _IDENTITY)
    selected = select_rows("traces", project_id, query.window, query.q)
    rows = _rows(store, selected, sort, query.limit + 1, query.cursor)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    return {"items": [_item(row) for row in rows], "next_cursor": cursor_after(sort, rows[-1]) if more else None}


def user_detail(store: ColumnarStore, project_id: str, user_id: str) -> dict[str, Any]:
    """Return a user with the newest sessions; raise ``NotFound``."""
    sort = choose_sort("-last_time", SORTS, "-last_time", _IDENTITY)
    rows = _rows(store, select_exactly("user", user_id, project_id), sort, 1, "")
    if not rows:
        raise NotFound(f"no user {user_id[:100]!r} in this project")
    return {**_item(rows[0]), "sessions": newest_sessions(store, project_id, user_id)}


def _rows(store: ColumnarStore, selected: Selection, sort: Sort, limit: int, cursor: str) -> list[Row]:
    parameters = dict(selected.parameters)
    after = after_cursor(sort, cursor, parameters)
    return store.select(
        f"SELECT {_COLUMNS}, {sort.columns} FROM traces FINAL WHERE {selected.where} AND user_id != ''"
        f" GROUP BY user_id HAVING {after} ORDER BY {sort.order_by} LIMIT {limit}",
        parameters,
    )


def _item(row: Row) -> dict[str, Any]:
    return {
        "user_id": row["user_id"],
        "first_seen": rfc3339(row["first_ns"]),
        "last_seen": rfc3339(row["last_ns"]),
        "session_count": row["session_n"],
        **totals(row),
    }
