"""Settle traces the store already knew: read their facts, apply the rules of whole traces, index.

Rows of the time-ordered tables are keyed by start time. When a span or trace moved to another
start, a deleting row goes in under the old one; it does not matter which crash left it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from spanhouse_server.model.facts import IndexRow, SettledTrace, TraceRow
from spanhouse_server.normalise.settle import settle
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, IndexKeys, TraceKey

#: Traces settled in one go: bounds memory when a log burst or replay touches very many.
CHUNK = 500


def settle_traces(store: ColumnarStore, traces: Iterable[TraceKey], version: int) -> dict[TraceKey, int]:
    """Compute and insert the index rows of these traces from the spans stored now.

    Returns how many spans each of them has.
    """
    pending = list(traces)
    sizes: dict[TraceKey, int] = {}
    for start in range(0, len(pending), CHUNK):
        sizes |= _settle_chunk(store, pending[start : start + CHUNK], version)
    return sizes


def _settle_chunk(store: ColumnarStore, traces: list[TraceKey], version: int) -> dict[TraceKey, int]:
    facts = store.facts(traces)
    keys = store.index_keys(traces)
    index_rows: list[IndexRow] = []
    trace_rows: list[TraceRow] = []
    for trace in traces:
        members = facts.get(trace)
        if not members:
            continue
        settled = settle(trace[0], members, version)
        index_rows += settled.spans
        trace_rows.append(settled.trace)
        if trace in keys:
            _retire_moved(settled, keys[trace], index_rows, trace_rows)
    if index_rows:
        store.insert("span_index", rows.lines(index_rows))
    if trace_rows:
        store.insert("traces", rows.lines(trace_rows))
    return {trace: len(facts.get(trace, ())) for trace in traces}


def _retire_moved(
    settled: SettledTrace, keys: IndexKeys, index_rows: list[IndexRow], trace_rows: list[TraceRow]
) -> None:
    trace_rows += [
        replace(settled.trace, start_ns=old_ns, is_deleted=1)
        for old_ns in keys.trace_starts_ns
        if old_ns != settled.trace.start_ns
    ]
    for row in settled.spans:
        index_rows += [
            replace(row, start_ns=old_ns, is_deleted=1)
            for old_ns in keys.span_starts_ns.get(row.span_id, ())
            if old_ns != row.start_ns
        ]
