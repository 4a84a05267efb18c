"""Scores: store, list, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from spanhouse_server.errors import BadRequest
from spanhouse_server.query.scores import NewScore, delete_score, list_scores, store_scores
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import Cursor, Limit, TimeRange
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.common import Done
from spanhouse_server.show.schemas.scores import ScoreInput, ScoreList, ScoresStored

router = APIRouter(tags=["scores"])
MAX_AT_ONCE = 500


@router.post("/scores", operation_id="createScores", response_model=ScoresStored)
def post_scores(
    context: Context,
    project_id: ProjectId,
    body: Annotated[ScoreInput | list[ScoreInput], Body(description="One score, or up to 500.")],
) -> JsonReply:
    """Store scores on traces, spans or sessions. The same id again replaces the earlier value."""
    given = body if isinstance(body, list) else [body]
    if len(given) > MAX_AT_ONCE:
        raise BadRequest(f"{len(given)} scores at once, at most {MAX_AT_ONCE}", "send them in several requests")
    scores = [NewScore(**item.model_dump()) for item in given]
    project = context.records.project(project_id)
    retention_days = (project.retention_days if project else 0) or context.settings.retention_days
    return JsonReply({"items": store_scores(context.store, project_id, scores, retention_days)})


@router.get("/scores", operation_id="listScores", response_model=ScoreList)
def get_scores(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    trace_id: Annotated[str, Query(pattern=r"^([0-9a-fA-F]{32})?$")] = "",
    span_id: Annotated[str, Query(pattern=r"^([0-9a-fA-F]{16})?$")] = "",
    session_id: Annotated[str, Query(max_length=2000)] = "",
    name: Annotated[str, Query(max_length=100)] = "",
    source: Annotated[str, Query(max_length=20)] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> JsonReply:
    """List scores, newest first."""
    only = {
        "trace_id": trace_id.lower(),
        "span_id": span_id.lower(),
        "session_id": session_id,
        "name": name,
        "source": source,
    }
    return JsonReply(list_scores(context.store, project_id, window, only, limit, cursor))


@router.delete("/scores/{score_id}", operation_id="deleteScore", response_model=Done)
def remove_score(context: Context, project_id: ProjectId, score_id: Annotated[str, Path(max_length=100)]) -> JsonReply:
    """Delete a score."""
    delete_score(context.store, project_id, score_id)
    return JsonReply({"ok": True})
