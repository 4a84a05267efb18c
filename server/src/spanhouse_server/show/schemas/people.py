"""Sessions and users: traces grouped by who and in which conversation."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Reply, ScoreSummary
from spanhouse_server.show.schemas.scores import Score
from spanhouse_server.show.schemas.traces import TraceItem


class SessionItem(Reply):
    """One conversation. Previews are of its first input and its last output."""

    session_id: str
    start_time: str
    end_time: str
    duration_ms: float = Field(description="From the first trace's start to the last one's end.")
    trace_count: int
    span_count: int
    error_count: int
    llm_count: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None
    cost_status: str
    models: list[str]
    user_ids: list[str]
    environment: str
    input_preview: str
    output_preview: str
    scores: dict[str, ScoreSummary]


class SessionList(Reply):
    """A page of sessions."""

    items: list[SessionItem]
    next_cursor: str | None


class SessionDetail(SessionItem):
    """One conversation with its turns, oldest first."""

    score_items: list[Score]
    traces: list[TraceItem]
    next_cursor: str | None = Field(description="For the turns that follow; null on the last page.")


class UserItem(Reply):
    """One user's use."""

    user_id: str
    first_seen: str
    last_seen: str
    trace_count: int
    session_count: int
    span_count: int
    error_count: int
    llm_count: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None
    cost_status: str
    models: list[str]


class UserList(Reply):
    """A page of users."""

    items: list[UserItem]
    next_cursor: str | None


class UserDetail(UserItem):
    """One user with the newest sessions."""

    sessions: list[SessionItem]
