"""The state of ingest."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from spanhouse_server.clock import rfc3339
from spanhouse_server.derive.status import WorkerState
from spanhouse_server.show.auth import Admin
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.admin import IngestReply

router = APIRouter(tags=["ingest"])


@router.get("/ingest", operation_id="getIngest", response_model=IngestReply, dependencies=[Admin])
def get_ingest(context: Context) -> JsonReply:
    """Give the counters of the whole server since its store began, and how its background workers go.

    Needs the admin key where keys are required.
    """
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
            "workers": [_worker(state) for state in context.runner.states()],
        }
    )


def _worker(state: WorkerState) -> dict[str, Any]:
    return {
        "name": state.name,
        "kind": state.kind,
        "state": state.state,
        "every_s": state.every_s,
        "lag_s": state.lag_s,
        "catching_up_before": rfc3339(state.covered_ns) if state.covered_ns else None,
        "runs": state.runs,
        "rows": state.rows,
        "rows_per_s": round(state.rows_per_s, 3),
        "busy_s": round(state.busy_s, 3),
        "errors": state.errors,
        "last_error": state.last_error,
        "last_error_at": None if state.last_error_ns is None else rfc3339(state.last_error_ns),
        "last_run_at": None if state.last_run_ns is None else rfc3339(state.last_run_ns),
    }
