"""The part of a span's way that is pure computing: decode, normalise, price, rows.

It runs in processes of its own, so that parsing and normalising never compete with the server for
one interpreter. In: spool entries. Out: blocks ready to insert, and what settling needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spanhouse_server import price
from spanhouse_server.decode import decode, parse
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.raw import RawLog, RawMetricPoint, RawSpan
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import is_genai_log, normalise, redact_attributes, redact_log
from spanhouse_server.normalise.settle import settle
from spanhouse_server.spool.contract import SpoolEntry
from spanhouse_server.store import rows
from spanhouse_server.store.contract import SpanKey, TraceKey

PROTOBUF = "application/x-protobuf"


@dataclass(slots=True)
class PreparedTrace:
    """A trace as settled from one batch alone: right as long as the store knows no more of it."""

    versions: dict[str, int]
    index_rows: bytes
    trace_row: bytes


@dataclass(slots=True)
class Transformed:
    """What a batch of spool entries became.

    ``blocks`` maps a table to newline-separated JSON rows. ``repeated_spans`` counts spans that
    the batch itself held more than once. ``genai_log_traces`` are traces whose spans may get
    content from log records in this batch.
    """

    blocks: dict[str, bytes] = field(default_factory=dict)
    traces: dict[TraceKey, PreparedTrace] = field(default_factory=dict)
    repeated_spans: int = 0
    genai_log_traces: set[TraceKey] = field(default_factory=set)


def transform(entries: Sequence[SpoolEntry], retention_days: Mapping[str, int], settle_version: int) -> Transformed:
    """Return the rows of these entries. Raises what the first unreadable entry raised.

    Each span is taken all the way to its row before the next is touched, so that only rows and
    facts of a batch are in memory, not all its spans.
    """
    spans: dict[SpanKey, tuple[bytes, SpanFacts]] = {}
    log_rows: list[dict[str, object]] = []
    point_rows: list[dict[str, object]] = []
    result = Transformed()
    for entry in entries:
        days = retention_days.get(entry.project_id, 0)
        message = parse(entry.signal, PROTOBUF, entry.body)
        decoded = decode(entry.signal, message, entry.received_ns, len(entry.body))
        for raw in decoded.spans:
            key = (entry.project_id, raw.trace_id, raw.span_id)
            earlier = spans.get(key)
            if earlier is not None:
                result.repeated_spans += 1
                if earlier[1].version > entry.received_ns:
                    continue
            span = priced_span(raw)
            row = rows.dump(rows.span_row(entry.project_id, entry.received_ns, days, span))
            spans[key] = (row, rows.facts_of(entry.received_ns, days, span))
        log_rows += _log_rows(entry, days, decoded.logs, result)
        point_rows += _point_rows(entry, days, decoded.points)

    facts: dict[TraceKey, list[SpanFacts]] = {}
    for (project_id, trace_id, _), (_, each) in spans.items():
        facts.setdefault((project_id, trace_id), []).append(each)
    for trace_key, members in facts.items():
        result.traces[trace_key] = prepare_trace(trace_key[0], members, settle_version)

    result.blocks = {
        "spans": b"\n".join([row for row, _ in spans.values()]),
        "logs": rows.lines(log_rows),
        "metric_points": rows.lines(point_rows),
    }
    return result


def priced_span(raw: RawSpan, logs: Sequence[RawLog] = ()) -> Span:
    """Return the canonical, priced span of a raw one."""
    span = normalise(raw, logs)
    span.cost = price.price(span)
    return span


def prepare_trace(project_id: str, facts: list[SpanFacts], settle_version: int) -> PreparedTrace:
    """Return the rows of a trace settled from these facts."""
    settled = settle(project_id, facts, settle_version)
    return PreparedTrace(
        {each.span_id: each.version for each in facts},
        rows.lines(settled.spans),
        rows.dump(settled.trace),
    )


def _log_rows(entry: SpoolEntry, days: int, logs: list[RawLog], result: Transformed) -> list[dict[str, object]]:
    made = []
    for received in logs:
        log = redact_log(received)
        genai = bool(log.trace_id) and is_genai_log(log)
        if genai:
            result.genai_log_traces.add((entry.project_id, log.trace_id))
        made.append(rows.log_row(entry.project_id, entry.received_ns, days, log, genai))
    return made


def _point_rows(entry: SpoolEntry, days: int, points: list[RawMetricPoint]) -> list[dict[str, object]]:
    made = []
    for point in points:
        point.attributes = redact_attributes(point.attributes)
        point.resource = redact_attributes(point.resource)
        made.append(rows.point_row(entry.project_id, entry.received_ns, days, point))
    return made
