"""Latency of calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from spanhouse_server.query.latency import MAX_SLOWEST, LatencyQuery, latency
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import FilterText, Limit, TimeRange
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.latency import LatencyReply

router = APIRouter(tags=["latency"])


@router.get("/latency", operation_id="getLatency", response_model=LatencyReply)
def get_latency(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    q: FilterText = "",
    group_by: Annotated[
        str, Query(max_length=500, description="Up to three fields: model, name, operation, release, service …")
    ] = "model",
    of: Annotated[
        str, Query(pattern="^(requests|spans)$", description="Calls of models, or all spans (routes, tools …).")
    ] = "requests",
    limit: Limit = 50,
    slowest: Annotated[int, Query(ge=0, le=MAX_SLOWEST, description="Slowest calls to list.")] = 10,
    slowest_by: Annotated[str, Query(pattern="^(duration_ms|ttft_ms|tpot_ms)$")] = "duration_ms",
) -> JsonReply:
    """Give p50, p95 and p99 of duration, time to first token and time per output token; the last 24 h by default."""
    query = LatencyQuery(group_by, of, window, q, limit, slowest, slowest_by)
    return JsonReply(latency(context.store, project_id, query))
