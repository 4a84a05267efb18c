"""Make spans of what came in pieces, as log records: Langfuse's ingestion events.

After each batch, every span of which the batch brought a piece is made again from all its pieces, and so
is the root that stands for its trace. Repeating is harmless: the same pieces give the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from spanhouse_server import price
from spanhouse_server.drain.transform import priced_span
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.model.raw import RawLog
from spanhouse_server.normalise import referred
from spanhouse_server.normalise.langfuse_events import EVENT_PREFIX, root_hex, span_of
from spanhouse_server.store import rows
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, SpanKey, TraceKey
from spanhouse_server.store.jsontext import dump
from spanhouse_server.store.readback import RAW_LOG_COLUMNS, raw_log

#: Spans made again in one go: bounds the pieces in memory.
CHUNK = 250


class Assembled(NamedTuple):
    """What was made of pieces: the traces that changed, and how many spans no earlier batch had made."""

    traces: set[TraceKey]
    new_spans: int


_Pieces = dict[tuple[str, str], list[tuple[Mapping[str, Any], RawLog]]]


#: How many of these spans, with the versions a batch brings, were stored before it (``counting.Counting.repeated``).
Repeated = Callable[[Mapping[SpanKey, Collection[int]], Mapping[SpanKey, int]], int]


def assemble_spans(
    store: ColumnarStore, touched: Mapping[SpanKey, int], repeated: Repeated, book: PriceBook = NO_PRICES
) -> Assembled:
    """Store these spans and their traces' roots as their pieces tell.

    ``touched`` has the version of the first piece of each span that came now.
    """
    by_project: dict[str, set[tuple[str, str]]] = {}
    first: dict[TraceKey, int] = {}
    for (project_id, trace_id, span_id), version in touched.items():
        by_project.setdefault(project_id, set()).add((trace_id, span_id))
        first[project_id, trace_id] = min(version, first.get((project_id, trace_id), version))
    changed: set[TraceKey] = set()
    new_spans = 0
    for project_id, spans in by_project.items():
        roots = {(trace_id, root_hex(trace_id)) for trace_id, _ in spans}
        for part in chunks(sorted(spans - roots), CHUNK):
            made = _assemble(store, project_id, part, {}, first, repeated, book)
            changed, new_spans = changed | made.traces, new_spans + made.new_spans
        for part in chunks(sorted(roots), CHUNK):
            latest = _latest(store, project_id, part)
            made = _assemble(store, project_id, part, latest, first, repeated, book)
            changed, new_spans = changed | made.traces, new_spans + made.new_spans
    return Assembled(changed, new_spans)


def _assemble(
    store: ColumnarStore,
    project_id: str,
    spans: Sequence[tuple[str, str]],
    latest: Mapping[str, tuple[int, int]],
    first: Mapping[TraceKey, int],
    repeated: Repeated,
    book: PriceBook,
) -> Assembled:
    made = []
    versions: dict[tuple[str, str], int] = {}
    own = price.own_prices(book, project_id)
    blobs = BlobRows()
    for (trace_id, span_id), pieces in _pieces(store, project_id, spans).items():
        end_ns, version = latest.get(trace_id, (0, 0))
        raw = span_of(trace_id, span_id, [log for _, log in pieces], end_ns)
        if raw is None:
            continue
        version = max(version, *(row["version"] for row, _ in pieces))
        # As with whole spans, what came last says how long the span is kept; 0 is for ever, so no maximum would do.
        days = max(pieces, key=lambda piece: piece[0]["version"])[0]["retention_days"]
        span = priced_span(raw, own=own)
        row = rows.span_row(project_id, version, days, span)
        blobs.add(project_id, version, days, span.blobs)
        blobs.show(project_id, version, days, referred(dump(row)))  # as earlier pieces do
        made.append(row)
        versions[trace_id, span_id] = version
    if not made:
        return Assembled(set(), 0)
    before = _versions(store, project_id, list(versions))
    # A try of this batch before a crash may have known fewer pieces, and then made an older version.
    arrived = {
        (project_id, *span): range(first[project_id, span[0]], version + 1) for span, version in versions.items()
    }
    again = repeated(arrived, before)
    keep_blobs(store, blobs)
    store.insert("spans", rows.lines(made))
    return Assembled({(project_id, trace_id) for trace_id, _ in versions}, len(versions) - again)


def _versions(store: ColumnarStore, project_id: str, spans: Sequence[tuple[str, str]]) -> dict[SpanKey, int]:
    """Return the versions of those of these spans that are stored."""
    found = store.select(
        """
        SELECT trace_id, span_id, max(version) AS newest FROM spans
        WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
          AND (trace_id, span_id) IN ({spans:Array(Tuple(String, String))})
        GROUP BY trace_id, span_id
        """,
        {"project": project_id, "traces": sorted({trace_id for trace_id, _ in spans}), "spans": spans},
    )
    return {(project_id, row["trace_id"], row["span_id"]): row["newest"] for row in found}


def _pieces(store: ColumnarStore, project_id: str, spans: Sequence[tuple[str, str]]) -> _Pieces:
    found = store.select(
        f"""
        SELECT version, retention_days, {", ".join(RAW_LOG_COLUMNS)} FROM logs FINAL
        WHERE project_id = {{project:String}} AND trace_id IN {{traces:Array(String)}}
          AND (trace_id, span_id) IN ({{spans:Array(Tuple(String, String))}})
          AND startsWith(event_name, {{prefix:String}})
        ORDER BY trace_id, span_id, time_ns, log_id
        """,  # noqa: S608 - only our own column names are put in
        {
            "project": project_id,
            "traces": sorted({trace_id for trace_id, _ in spans}),
            "spans": spans,
            "prefix": EVENT_PREFIX,
        },
    )
    pieces: _Pieces = {}
    for row in found:
        pieces.setdefault((row["trace_id"], row["span_id"]), []).append((row, raw_log(row)))
    return pieces


def _latest(store: ColumnarStore, project_id: str, roots: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Return for each trace the latest end and the newest version among the spans below its root."""
    found = store.select(
        """
        SELECT trace_id, max(end_ns) AS latest_ns, max(version) AS newest FROM spans FINAL
        WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
          AND (trace_id, span_id) NOT IN ({roots:Array(Tuple(String, String))})
        GROUP BY trace_id
        """,
        {"project": project_id, "traces": [trace_id for trace_id, _ in roots], "roots": roots},
    )
    return {row["trace_id"]: (row["latest_ns"], row["newest"]) for row in found}
