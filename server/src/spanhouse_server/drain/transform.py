"""The part of a span's way that is pure computing: decode, normalise, price, rows.

It runs in processes of its own, so that parsing and normalising never compete with the server for
one interpreter. In: spool entries. Out: blocks ready to insert, and what settling needs to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spanhouse_server import price
from spanhouse_server.decode import decode, parse
from spanhouse_server.decode.pending import stamp_ns
from spanhouse_server.drain import handover
from spanhouse_server.drain.rows_file import Block, RowsWriter
from spanhouse_server.model.blob import Blob
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.feedback import Feedback
from spanhouse_server.model.prices import NO_PRICES, PriceBook
from spanhouse_server.model.raw import RawLog, RawMetricPoint, RawSpan
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import (
    UPLOAD_EVENT,
    is_genai_log,
    is_span_piece,
    log_feedback,
    may_refer,
    normalise,
    redact_attributes,
    redact_log,
    referred,
    span_feedback,
    uploaded_blob,
)
from spanhouse_server.normalise.settle import settle
from spanhouse_server.normalise.settle_across import Call, calls_in
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store import rows
from spanhouse_server.store.bare import bare_index, bare_span
from spanhouse_server.store.blobs import BlobRows
from spanhouse_server.store.contract import SpanKey, TraceKey
from spanhouse_server.store.jsontext import dump

PROTOBUF = "application/x-protobuf"


@dataclass(slots=True)
class PreparedTrace:
    """A trace as settled from one batch alone: right as long as the store knows no more of it, nor of its ``calls``.

    ``response_ids`` are those of all its spans, each once.
    """

    versions: dict[str, int]
    index_rows: bytes
    trace_row: bytes
    calls: tuple[Call, ...]
    response_ids: tuple[str, ...]


@dataclass(slots=True)
class Transformed:
    """What a batch of spool entries became.

    ``blocks`` maps a table to newline-separated JSON rows, bare ones where ``store.bare`` names the
    table, as are index rows. ``repeated_spans`` counts spans that
    the batch itself held more than once, ``folded`` their versions that gave way. ``genai_log_spans`` are spans that may get
    content from log records in this batch, ``pieces`` spans that are to be made of log records with the
    version of the first of them, and
    ``unplaced`` rows of scores with the response they judge, whose span is yet to be found.
    ``handed`` holds the index rows on their way between processes (``workshop``), ``blobs`` the media that
    stood in spans and logs, to be stored before these.
    """

    blocks: dict[str, Block] = field(default_factory=dict)
    traces: dict[TraceKey, PreparedTrace] = field(default_factory=dict)
    repeated_spans: int = 0
    folded: dict[SpanKey, list[int]] = field(default_factory=dict)
    genai_log_spans: set[SpanKey] = field(default_factory=set)
    pieces: dict[SpanKey, int] = field(default_factory=dict)
    unplaced: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    handed: handover.Blocks | None = None
    blobs: BlobRows = field(default_factory=BlobRows)

    def arrivals_of(self, spans: Iterable[SpanKey]) -> dict[SpanKey, list[int]]:
        """Return every version that the batch brings of those of these spans that are in it."""
        return {
            span: [version, *self.folded.get(span, ())]
            for span in spans
            if (trace := self.traces.get(span[:2])) and (version := trace.versions.get(span[2]))
        }

    def touched_spans(self) -> Iterator[SpanKey]:
        """Yield every span of which the batch holds the span itself or a log record with its content."""
        yield from self.genai_log_spans
        for key, trace in self.traces.items():
            for span_id in trace.versions:
                yield (*key, span_id)


def transform(
    entries: Iterable[SpoolEntry],
    retention_days: Mapping[str, int],
    settle_version: int,
    book: PriceBook = NO_PRICES,
    folder: Path | None = None,
) -> Transformed:
    """Return the rows of these entries. Raises what the first unreadable entry raised.

    ``book`` holds the own prices of the projects that have any; in ``folder`` large blocks are put into files.

    Each span is taken all the way to its row before the next is touched, and the rows of an entry leave before
    the next entry, so that only the facts of a batch are in memory, not all its spans.
    """
    writers = {table: RowsWriter(folder) for table in ("spans", "logs", "metric_points", "scores")}
    try:
        result = _rows_of(entries, retention_days, settle_version, book, writers)
        result.blocks = {table: writer.block() for table, writer in writers.items()}
    except BaseException:
        for writer in writers.values():
            writer.drop()
        raise
    return result


def _rows_of(
    entries: Iterable[SpoolEntry],
    retention_days: Mapping[str, int],
    settle_version: int,
    book: PriceBook,
    writers: Mapping[str, RowsWriter],
) -> Transformed:
    facts: dict[TraceKey, dict[str, SpanFacts]] = {}
    result = Transformed()
    for entry in entries:
        days = retention_days.get(entry.project_id, 0)
        own = price.own_prices(book, entry.project_id)
        message = parse(entry.signal, PROTOBUF, entry.body)
        decoded = decode(entry.signal, message, entry.received_ns, len(entry.body))
        span_rows: dict[SpanKey, bytes] = {}
        score_rows: list[dict[str, object]] = []
        refers = may_refer(entry.body)
        for raw in decoded.spans:
            key = (entry.project_id, raw.trace_id, raw.span_id)
            version = stamp_ns(raw, entry.received_ns)
            members = facts.setdefault(key[:2], {})
            earlier = members.get(raw.span_id)
            if earlier is not None:
                result.repeated_spans += 1
                result.folded.setdefault(key, []).append(min(version, earlier.version))
                if earlier.version > version:
                    continue
            span = priced_span(raw, own=own)
            if span.blobs:
                result.blobs.add(entry.project_id, version, days, span.blobs)
            values = rows.span_values(entry.project_id, version, days, span)
            span_rows[key] = row = bare_span(values)
            if refers:
                result.blobs.show(entry.project_id, version, days, referred(row))
            members[raw.span_id] = rows.facts_in(values, span)
            score_rows += _score_rows(entry, days, span_feedback(span.raw), result)
        log_rows = [dump(row) for row in _log_rows(entry, days, decoded.logs, score_rows, result)]
        if refers:
            for row in log_rows:
                result.blobs.show(entry.project_id, entry.received_ns, days, referred(row))
        writers["spans"].add(list(span_rows.values()))
        writers["logs"].add(log_rows)
        writers["metric_points"].add([dump(row) for row in _point_rows(entry, days, decoded.points)])
        writers["scores"].add([dump(row) for row in score_rows])

    for trace_key, by_span in facts.items():
        result.traces[trace_key] = prepare_trace(trace_key[0], list(by_span.values()), settle_version)
    return result


def priced_span(raw: RawSpan, logs: Sequence[RawLog] = (), own: price.OwnPrices | None = None) -> Span:
    """Return the canonical span of a raw one, priced by its project's ``own`` prices and the public lists."""
    span = normalise(raw, logs)
    span.cost = price.price(span, own)
    return span


def prepare_trace(project_id: str, facts: list[SpanFacts], settle_version: int) -> PreparedTrace:
    """Return the rows of a trace settled from these facts."""
    settled = settle(project_id, facts, settle_version)
    return PreparedTrace(
        {each.span_id: each.version for each in facts},
        bare_index(settled.spans),
        dump(settled.trace),
        calls_in(settled),
        tuple({each.response_id for each in facts if each.response_id}),
    )


def _log_rows(
    entry: SpoolEntry, days: int, logs: list[RawLog], score_rows: list[dict[str, object]], result: Transformed
) -> list[dict[str, object]]:
    made = []
    for received in logs:
        if received.event_name == UPLOAD_EVENT:
            blob = uploaded_blob(received)
            result.blobs.add(entry.project_id, entry.received_ns, days, [blob] if blob else [])
            continue
        blobs: list[Blob] = []
        log = redact_log(received, blobs)
        if blobs:
            result.blobs.add(entry.project_id, entry.received_ns, days, blobs)
        genai = bool(log.trace_id) and is_genai_log(log)
        if genai:
            result.genai_log_spans.add((entry.project_id, log.trace_id, log.span_id))
        elif is_span_piece(log):
            result.pieces.setdefault((entry.project_id, log.trace_id, log.span_id), entry.received_ns)
        score_rows += _score_rows(entry, days, log_feedback(log), result)
        made.append(rows.log_row(entry.project_id, entry.received_ns, days, log, genai))
    return made


def _score_rows(
    entry: SpoolEntry, days: int, feedback: Sequence[Feedback], result: Transformed
) -> list[dict[str, object]]:
    made = []
    for each in feedback:
        row = rows.score_row(entry.project_id, entry.received_ns, days, each)
        if each.response_id:
            result.unplaced.append((each.response_id, row))
        else:
            made.append(row)
    return made


def _point_rows(entry: SpoolEntry, days: int, points: list[RawMetricPoint]) -> list[dict[str, object]]:
    made = []
    for point in points:
        point.attributes = redact_attributes(point.attributes)
        point.resource = redact_attributes(point.resource)
        for exemplar in point.exemplars:
            exemplar.attributes = redact_attributes(exemplar.attributes)
        made.append(rows.point_row(entry.project_id, entry.received_ns, days, point))
    return made
