"""Stored spans priced or mapped anew, in the background."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from spanhouse_server.clock import now_ns, rfc3339
from spanhouse_server.errors import NotFound
from spanhouse_server.query.times import parse_time
from spanhouse_server.remake import Job
from spanhouse_server.show.auth import Admin
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.common import ErrorReply
from spanhouse_server.show.schemas.prices import RemakeInput, RemakeItem, RemakeList

_BUSY: dict[int | str, dict[str, Any]] = {409: {"model": ErrorReply, "description": "Another remake is running."}}
router = APIRouter(tags=["prices"], dependencies=[Admin])


@router.post("/reprice", operation_id="startReprice", response_model=RemakeItem, status_code=202, responses=_BUSY)
def post_reprice(context: Context, body: RemakeInput) -> JsonReply:
    """Price stored spans anew, after own prices or the public list changed. Needs the admin key."""
    return _start(context, "reprice", body)


@router.post("/remap", operation_id="startRemap", response_model=RemakeItem, status_code=202, responses=_BUSY)
def post_remap(context: Context, body: RemakeInput) -> JsonReply:
    """Read stored spans anew from their raw records, after a mapping changed. Needs the admin key."""
    return _start(context, "remap", body)


@router.get("/remakes", operation_id="listRemakes", response_model=RemakeList)
def get_remakes(context: Context) -> JsonReply:
    """List the reprices and remaps since this server started."""
    return JsonReply({"items": [_item(job) for job in context.remakes.jobs()]})


@router.get("/remakes/{remake_id}", operation_id="getRemake", response_model=RemakeItem)
def get_remake(context: Context, remake_id: Annotated[str, Path(max_length=100)]) -> JsonReply:
    """Tell how far a reprice or remap is."""
    return JsonReply(_item(context.remakes.job(remake_id)))


def _start(context: ShowContext, kind: str, body: RemakeInput) -> JsonReply:
    project_id = body.project or None
    if project_id and context.records.project(project_id) is None:
        raise NotFound(f"no project {project_id!r}", "leave the project out for all of them")
    since_ns = parse_time(body.since, now_ns(), "since") if body.since else 0
    context.prices.forget()
    return JsonReply(_item(context.remakes.start(kind, project_id, since_ns)), 202)


def _item(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "projects": job.project_ids,
        "since": rfc3339(job.since_ns) if job.since_ns else None,
        "state": job.state,
        "error": job.error,
        "traces": job.totals.traces,
        "spans": job.totals.spans,
        "changed": job.totals.changed,
        "started_at": rfc3339(job.started_ns),
        "ended_at": None if job.ended_ns is None else rfc3339(job.ended_ns),
    }
