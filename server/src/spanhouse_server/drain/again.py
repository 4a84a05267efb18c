"""Read a stored span again: from its raw record to a new version of its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spanhouse_server import price
from spanhouse_server.drain.transform import priced_span
from spanhouse_server.model.prices import PriceBook
from spanhouse_server.model.raw import RawLog, RawSpan
from spanhouse_server.normalise import referred
from spanhouse_server.normalise.chain import UNMAPPED
from spanhouse_server.normalise.outcome import STATUS_INFERRED
from spanhouse_server.store import rows
from spanhouse_server.store.blobs import BlobRows
from spanhouse_server.store.contract import ColumnarStore
from spanhouse_server.store.jsontext import dump
from spanhouse_server.store.readback import RAW_LOG_COLUMNS, RAW_SPAN_COLUMNS, raw_log, raw_span

#: What ``span_again`` reads of a stored span.
COLUMNS = ("version", "arrival_ns", "retention_days", *RAW_SPAN_COLUMNS)

#: Log records of one span, each with its version.
SpanLogs = Sequence[tuple[int, RawLog]]


def span_again(
    project_id: str, row: Mapping[str, Any], logs: SpanLogs, book: PriceBook, blobs: BlobRows
) -> dict[str, Any]:
    """Return the row of a stored span normalised and priced anew, one version above what it is made from.

    Media that still stand in it, and what it refers to, are added to ``blobs``, which are to be stored before the row.

    Above the log records too, or the engine might keep a row without their content; far below the
    stamp of the span's next arrival, which replaces it.
    """
    version = max(row["version"], *(log_version for log_version, _ in logs), 0) + 1
    span = priced_span(as_sent(raw_span(row)), [record for _, record in logs], price.own_prices(book, project_id))
    days = row["retention_days"]
    made = rows.span_row(project_id, version, days, span) | {"arrival_ns": row["arrival_ns"]}
    blobs.add(project_id, version, days, span.blobs)
    blobs.show(project_id, version, days, referred(dump(made)))  # a late log record prolongs the span
    return made


def as_sent(raw: RawSpan) -> RawSpan:
    """Return a stored span without what an earlier reading concluded about it."""
    inferred = STATUS_INFERRED in raw.flags
    if not inferred and UNMAPPED not in raw.flags:
        return raw
    flags = [flag for flag in raw.flags if flag not in (STATUS_INFERRED, UNMAPPED)]
    return replace(raw, flags=flags, status_code="unset" if inferred else raw.status_code)


def genai_logs(
    store: ColumnarStore, project_id: str, trace_ids: Sequence[str], spans: Sequence[tuple[str, str]] = ()
) -> dict[tuple[str, str], list[tuple[int, RawLog]]]:
    """Return the GenAI log records of the spans of these traces by (trace, span), in order of time.

    With ``spans``, (trace, span) pairs of these traces, only theirs.
    """
    these = "AND (trace_id, span_id) IN ({spans:Array(Tuple(String, String))})" if spans else ""
    found = store.select(
        f"""
        SELECT version, {", ".join(RAW_LOG_COLUMNS)} FROM logs FINAL
        WHERE project_id = {{project_id:String}} AND trace_id IN {{trace_ids:Array(String)}}
          AND span_id != '' AND is_genai {these}
        ORDER BY trace_id, span_id, time_ns, log_id
        """,  # noqa: S608 - only our own text is put in
        {"project_id": project_id, "trace_ids": list(trace_ids), **({"spans": list(spans)} if spans else {})},
    )
    logs: dict[tuple[str, str], list[tuple[int, RawLog]]] = {}
    for row in found:
        logs.setdefault((row["trace_id"], row["span_id"]), []).append((row["version"], raw_log(row)))
    return logs
