"""Moves media out of stored log records, which were stored before media lay apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.blob import Blob
from spanhouse_server.normalise import redact_log
from spanhouse_server.normalise.media import MIN_RUN
from spanhouse_server.store import rows
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.readback import RAW_LOG_COLUMNS, raw_log

#: Records read at once: each may hold megabytes.
PAGE_LOGS = 50

_KEY = ("trace_id", "span_id", "time_ns", "log_id")
_COLUMNS = ", ".join(dict.fromkeys((*_KEY, "version", "retention_days", "is_genai", *RAW_LOG_COLUMNS)))


def move_media(store: ColumnarStore, project_id: str, trace_ids: Sequence[str]) -> int:
    """Store the log records of these traces that hold media anew, with references; return how many.

    They keep their ``log_id``, so that each takes its own place; the media come first.
    """
    moved = 0
    for page in _pages(store, project_id, trace_ids):
        blobs, made = BlobRows(), []
        for row in page:
            found: list[Blob] = []
            log = redact_log(raw_log(row), found)
            if found:
                version = row["version"] + 1
                blobs.add(project_id, version, row["retention_days"], found)
                again = rows.log_row(project_id, version, row["retention_days"], log, row["is_genai"])
                made.append(again | {"log_id": row["log_id"], "received_at": version // NS_PER_S})
        if made:
            keep_blobs(store, blobs)
            store.insert("logs", rows.lines(made))
        moved += len(made)
    return moved


def _pages(store: ColumnarStore, project_id: str, trace_ids: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the log records of these traces that are long enough to hold media, page by page."""
    after: tuple[Any, ...] = ("", "", -(2**63), 0)
    while True:
        page = store.select(
            f"""
            SELECT {_COLUMNS} FROM logs FINAL
            WHERE project_id = {{project:String}} AND trace_id IN {{traces:Array(String)}}
              AND length(body) + length(attributes) >= {{least:UInt64}}
              AND (trace_id, span_id, time_ns, log_id) > ({{trace:String}}, {{span:String}}, {{time:Int64}}, {{log:UInt64}})
            ORDER BY trace_id, span_id, time_ns, log_id LIMIT {PAGE_LOGS}
            """,  # noqa: S608 - constants of this room
            {
                "project": project_id,
                "traces": list(trace_ids),
                "least": MIN_RUN,
                **dict(zip(("trace", "span", "time", "log"), after, strict=True)),
            },
        )
        if page:
            yield page
        if len(page) < PAGE_LOGS:
            return
        after = tuple(page[-1][name] for name in _KEY)
