"""Traces: the list, one trace, its logs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from spanhouse_server.query.logs import trace_logs
from spanhouse_server.query.trace import trace_detail
from spanhouse_server.query.traces import list_traces
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import Cursor, ListParams, TraceId
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.metrics import LogList
from spanhouse_server.show.schemas.traces import TraceDetail, TraceList

router = APIRouter(tags=["traces"])


@router.get("/traces", operation_id="listTraces", response_model=TraceList)
def get_traces(context: Context, project_id: ProjectId, params: ListParams) -> JsonReply:
    """List traces, newest first by default.

    Sorts: start_time, duration, cost, tokens, errors, spans; `cost` ascending, `-cost` descending.
    """
    return JsonReply(list_traces(context.store, project_id, params))


@router.get("/traces/{trace_id}", operation_id="getTrace", response_model=TraceDetail)
def get_trace(
    context: Context,
    project_id: ProjectId,
    trace_id: TraceId,
    limit: Annotated[int, Query(ge=1, le=20_000, description="Spans per page.")] = 5000,
    cursor: Cursor = "",
) -> JsonReply:
    """Give one trace: its totals and the skeleton of its spans, without payloads."""
    return JsonReply(trace_detail(context.store, project_id, trace_id.lower(), limit, cursor))


@router.get("/traces/{trace_id}/logs", operation_id="listTraceLogs", response_model=LogList)
def get_trace_logs(
    context: Context,
    project_id: ProjectId,
    trace_id: TraceId,
    span_id: Annotated[str, Query(pattern=r"^([0-9a-fA-F]{16})?$", description="Only those of one span.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Cursor = "",
) -> JsonReply:
    """List the log records of one trace, oldest first."""
    return JsonReply(trace_logs(context.store, project_id, trace_id.lower(), span_id.lower(), limit, cursor))
