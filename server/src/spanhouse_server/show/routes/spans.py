"""Spans: the list, and one span in full."""

from __future__ import annotations

from fastapi import APIRouter

from spanhouse_server.query.span import span_detail
from spanhouse_server.query.spans import list_spans
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import ListParams, SpanId, TraceId
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.spans import SpanDetail, SpanList

router = APIRouter(tags=["spans"])


@router.get("/spans", operation_id="listSpans", response_model=SpanList)
def get_spans(context: Context, project_id: ProjectId, params: ListParams) -> JsonReply:
    """List spans, with the same filters as traces. Sorts: start_time, duration, cost, tokens, ttft."""
    return JsonReply(list_spans(context.store, project_id, params))


@router.get("/traces/{trace_id}/spans/{span_id}", operation_id="getSpan", response_model=SpanDetail)
def get_span(context: Context, project_id: ProjectId, trace_id: TraceId, span_id: SpanId) -> JsonReply:
    """Give one span in full: the canonical fields, its scores, and what was received."""
    return JsonReply(span_detail(context.store, project_id, trace_id.lower(), span_id.lower()))
