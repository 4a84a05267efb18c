"""Ranges of the past that background workers derive again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from spanhouse_server.clock import now_ns, rfc3339
from spanhouse_server.model.leases import Backfill
from spanhouse_server.query.times import parse_time
from spanhouse_server.show.auth import Admin
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.workers import BackfillInput, BackfillItem, BackfillList

router = APIRouter(tags=["ingest"], dependencies=[Admin])


@router.post("/backfills", operation_id="startBackfill", response_model=BackfillItem, status_code=202)
def post_backfill(context: Context, body: BackfillInput) -> JsonReply:
    """Have a worker derive a range of start times again. Needs the admin key where keys are required."""
    at_ns = now_ns()
    since_ns = parse_time(body.since, at_ns, "since")
    until_ns = parse_time(body.until, at_ns, "until") if body.until else at_ns
    return JsonReply(_item(context.runner.add_backfill(body.worker, body.project, since_ns, until_ns)), 202)


@router.get("/backfills", operation_id="listBackfills", response_model=BackfillList)
def get_backfills(context: Context) -> JsonReply:
    """List the backfills, newest first."""
    return JsonReply({"items": [_item(each) for each in reversed(context.records.backfills())]})


@router.get("/backfills/{backfill_id}", operation_id="getBackfill", response_model=BackfillItem)
def get_backfill(context: Context, backfill_id: Annotated[str, Path(max_length=100)]) -> JsonReply:
    """Tell how far a backfill is."""
    return JsonReply(_item(context.records.backfill(backfill_id)))


def _item(backfill: Backfill) -> dict[str, Any]:
    return {
        "id": backfill.id,
        "worker": backfill.worker,
        "project": backfill.project_id,
        "since": rfc3339(backfill.from_ns),
        "until": rfc3339(backfill.to_ns),
        "done_from": rfc3339(backfill.position_ns),
        "state": backfill.state,
        "windows": backfill.windows,
        "rows": backfill.rows,
        "error": backfill.error,
        "created_at": rfc3339(backfill.created_ns),
        "ended_at": None if backfill.ended_ns is None else rfc3339(backfill.ended_ns),
    }
