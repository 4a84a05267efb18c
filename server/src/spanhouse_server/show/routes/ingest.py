"""The state of ingest."""

from __future__ import annotations

from fastapi import APIRouter

from spanhouse_server.show.auth import Admin
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.admin import IngestReply

router = APIRouter(tags=["ingest"])


@router.get("/ingest", operation_id="getIngest", response_model=IngestReply, dependencies=[Admin])
def get_ingest(context: Context) -> JsonReply:
    """Give the counters of the whole server since its store began; needs the admin key where keys are required."""
    stats = context.spool.stats()
    return JsonReply(
        {
            "received_spans": stats.received_spans,
            "stored_spans": stats.stored_spans,
            "duplicate_spans": stats.duplicate_spans,
            "received_logs": stats.received_logs,
            "received_metric_points": stats.received_metric_points,
            "rejected": dict(stats.rejected),
            "spool": {
                "bytes": stats.bytes,
                "requests": stats.requests,
                "oldest_age_s": stats.oldest_age_s,
                "set_aside": stats.set_aside,
            },
            "lag_s": stats.oldest_age_s,
        }
    )
