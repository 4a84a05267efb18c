"""Sessions and users."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from spanhouse_server.query.sessions import list_sessions, session_detail
from spanhouse_server.query.users import list_users, user_detail
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import Cursor, Limit, ListParams
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.people import SessionDetail, SessionList, UserDetail, UserList

router = APIRouter(tags=["sessions and users"])

#: Emitters choose these ids, so slashes are part of them.
SomeId = Annotated[str, Path(min_length=1, max_length=2000)]


@router.get("/sessions", operation_id="listSessions", response_model=SessionList)
def get_sessions(context: Context, project_id: ProjectId, params: ListParams) -> JsonReply:
    """List sessions, the most recently active first; the filter selects traces."""
    return JsonReply(list_sessions(context.store, project_id, params))


@router.get("/sessions/{session_id:path}", operation_id="getSession", response_model=SessionDetail)
def get_session(
    context: Context, project_id: ProjectId, session_id: SomeId, limit: Limit = 100, cursor: Cursor = ""
) -> JsonReply:
    """Give one session with its traces, oldest first."""
    return JsonReply(session_detail(context.store, project_id, session_id, limit, cursor))


@router.get("/users", operation_id="listUsers", response_model=UserList)
def get_users(context: Context, project_id: ProjectId, params: ListParams) -> JsonReply:
    """List users, the most recently seen first; the filter selects traces."""
    return JsonReply(list_users(context.store, project_id, params))


@router.get("/users/{user_id:path}", operation_id="getUser", response_model=UserDetail)
def get_user(context: Context, project_id: ProjectId, user_id: SomeId) -> JsonReply:
    """Give one user with the newest sessions."""
    return JsonReply(user_detail(context.store, project_id, user_id))
