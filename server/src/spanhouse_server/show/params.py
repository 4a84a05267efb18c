"""Query parameters that many handlers share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from spanhouse_server.clock import now_ns
from spanhouse_server.query.page import ListQuery
from spanhouse_server.query.times import Window, parse_window

_TIME = "RFC 3339, unix seconds or milliseconds, `now`, or relative such as `-1h` or `-7d`."

FilterText = Annotated[
    str, Query(max_length=8000, description="Filter, e.g. `model:gpt-4o cost>0.01 status:error`; see /api/v1/fields.")
]
TraceId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{32}$", description="32 hex digits.")]
SpanId = Annotated[str, Path(pattern=r"^[0-9a-fA-F]{16}$", description="16 hex digits.")]
Cursor = Annotated[str, Query(max_length=2000, description="next_cursor of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200, description="Items per page.")]


def window_of(
    from_: Annotated[str, Query(alias="from", max_length=64, description=f"Earliest start. {_TIME}")] = "",
    to: Annotated[str, Query(max_length=64, description=f"Latest start, exclusive. {_TIME}")] = "",
) -> Window:
    """Return the time range asked for; open ends where none was given."""
    return parse_window(from_, to, now_ns())


TimeRange = Annotated[Window, Depends(window_of)]


def list_of(
    window: TimeRange,
    q: FilterText = "",
    sort: Annotated[str, Query(max_length=50, description="Field to sort by; `-` before it turns the order.")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> ListQuery:
    """Return what a list is asked for."""
    return ListQuery(window=window, q=q, sort=sort, limit=limit, cursor=cursor)


ListParams = Annotated[ListQuery, Depends(list_of)]
