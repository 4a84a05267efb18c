"""Join GenAI log events to their spans, whichever arrived first.

Many instrumentations send messages not on the span but as log records with the span's ids. After
each batch, the spans that have such records, and of which the batch brought the span or a record,
are read again together with all their records and stored anew, one version above what they were
made from. Repeating is harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from spanhouse_server.drain.again import COLUMNS, genai_logs, span_again
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.store import rows
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, SpanKey, TraceKey

#: Trace ids per statement.
CHUNK = 1000
#: Spans joined in one go: bounds the content in memory.
SPANS_CHUNK = 500


def join_logs(store: ColumnarStore, touched: Iterable[SpanKey], book: PriceBook = NO_PRICES) -> set[TraceKey]:
    """Store these spans again with the content of their log records.

    Returns the traces that changed.
    """
    by_project: dict[str, dict[str, set[str]]] = {}
    for project_id, trace_id, span_id in touched:
        by_project.setdefault(project_id, {}).setdefault(trace_id, set()).add(span_id)
    changed: set[TraceKey] = set()
    for project_id, traces in by_project.items():
        with_logs = [key for key in _spans_with_logs(store, project_id, traces) if key[1] in traces[key[0]]]
        for part in chunks(with_logs, SPANS_CHUNK):
            changed |= _join(store, project_id, part, book)
    return changed


def _join(store: ColumnarStore, project_id: str, spans: Sequence[tuple[str, str]], book: PriceBook) -> set[TraceKey]:
    logs = genai_logs(store, project_id, _traces_of(spans), spans)
    blobs = BlobRows()
    joined = [
        span_again(project_id, row, logs[row["trace_id"], row["span_id"]], book, blobs)
        for row in _spans(store, project_id, spans)
        if (row["trace_id"], row["span_id"]) in logs
    ]
    keep_blobs(store, blobs)
    if joined:
        store.insert("spans", rows.lines(joined))
    return {(project_id, row["trace_id"]) for row in joined}


def _spans_with_logs(store: ColumnarStore, project_id: str, trace_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the spans of these traces that have GenAI log records."""
    for part in chunks(sorted(trace_ids), CHUNK):
        found = store.select(
            """
            SELECT trace_id, arraySort(groupUniqArray(span_id)) AS span_ids FROM logs
            WHERE project_id = {project_id:String} AND trace_id IN {trace_ids:Array(String)}
              AND span_id != '' AND is_genai
            GROUP BY trace_id
            """,
            {"project_id": project_id, "trace_ids": part},
        )
        for row in found:
            yield from ((row["trace_id"], span_id) for span_id in row["span_ids"])


def _spans(store: ColumnarStore, project_id: str, spans: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return store.select(
        f"""
        SELECT {", ".join(COLUMNS)} FROM spans FINAL
        WHERE project_id = {{project_id:String}} AND trace_id IN {{trace_ids:Array(String)}}
          AND (trace_id, span_id) IN ({{spans:Array(Tuple(String, String))}})
        """,  # noqa: S608 - only our own column names are put in
        {"project_id": project_id, "trace_ids": _traces_of(spans), "spans": spans},
    )


def _traces_of(spans: Sequence[tuple[str, str]]) -> list[str]:
    return sorted({trace_id for trace_id, _ in spans})
