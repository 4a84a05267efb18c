"""Join GenAI log events to their spans, whichever arrived first.

Many instrumentations send messages not on the span but as log records with the span's ids. After
each batch, the spans of the touched traces that have such records are read again together with
them and stored anew, one version above what they were made from. Repeating is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spanhouse_server.drain.again import COLUMNS, genai_logs, span_again
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Trace ids per statement.
CHUNK = 1000


def join_logs(store: ColumnarStore, traces: Iterable[TraceKey], book: PriceBook = NO_PRICES) -> set[TraceKey]:
    """Store the spans of these traces again with the content of their log records.

    Returns the traces that changed.
    """
    by_project: dict[str, list[str]] = {}
    for project_id, trace_id in traces:
        by_project.setdefault(project_id, []).append(trace_id)
    changed: set[TraceKey] = set()
    for project_id, trace_ids in by_project.items():
        for start in range(0, len(trace_ids), CHUNK):
            changed |= _join_chunk(store, project_id, trace_ids[start : start + CHUNK], book)
    return changed


def _join_chunk(store: ColumnarStore, project_id: str, trace_ids: list[str], book: PriceBook) -> set[TraceKey]:
    logs = genai_logs(store, project_id, trace_ids)
    if not logs:
        return set()
    touched = sorted({trace_id for trace_id, _ in logs})
    joined: list[dict[str, Any]] = []
    for row in _spans(store, project_id, touched):
        records = logs.get((row["trace_id"], row["span_id"]))
        if records:
            joined.append(span_again(project_id, row, records, book))
    if joined:
        store.insert("spans", rows.lines(joined))
    return {(project_id, row["trace_id"]) for row in joined}


def _spans(store: ColumnarStore, project_id: str, trace_ids: list[str]) -> list[dict[str, Any]]:
    return store.select(
        f"""
        SELECT {", ".join(COLUMNS)} FROM spans FINAL
        WHERE project_id = {{project_id:String}} AND trace_id IN {{trace_ids:Array(String)}}
        """,  # noqa: S608 - only our own column names are put in
        {"project_id": project_id, "trace_ids": trace_ids},
    )
