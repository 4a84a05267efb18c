"""Settle traces the store already knew: read their facts, apply the rules of whole traces, index.

Rows of the time-ordered tables are keyed by start time. When a span or trace moved to another
start, a deleting row goes in under the old one; it does not matter which crash left it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from spanhouse_server.drain.across import judge
from spanhouse_server.drain.recent_calls import RecentCalls
from spanhouse_server.model.facts import IndexRow, SettledTrace, TraceRow
from spanhouse_server.normalise.settle import settle
from spanhouse_server.normalise.settle_across import calls_in
from spanhouse_server.store import rows
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, IndexKeys, TraceKey

#: Traces settled in one go: bounds memory when a log burst or replay touches very many.
CHUNK = 500
#: Settling a trace because its verdict changed changes no other verdict; a round more is for one call in two chunks.
ROUNDS = 3


def settle_traces(
    store: ColumnarStore, traces: Iterable[TraceKey], version: int, recent: RecentCalls | None = None
) -> dict[TraceKey, int]:
    """Compute and insert the index rows of these traces from the spans stored now, stamped ``version`` (ns) or just above.

    A call that another trace reports too may change what counts there: such traces are settled as well.
    ``recent`` spares the search for them where there can be none. Returns how many spans each of the traces has.
    """
    pending = set(traces)
    sizes: dict[TraceKey, int] = {}
    for settling in range(ROUNDS):
        ordered = sorted(pending)
        pending = set()
        for chunk in chunks(ordered, CHUNK):
            pending |= _settle_chunk(store, chunk, version + settling, recent, sizes, asked=not settling)
        if not pending:
            break
    return sizes


def _settle_chunk(
    store: ColumnarStore,
    traces: Sequence[TraceKey],
    version: int,
    recent: RecentCalls | None,
    sizes: dict[TraceKey, int],
    asked: bool,
) -> set[TraceKey]:
    """Settle some traces, ``asked`` for or for another's sake; add their sizes, return the others to settle now."""
    # In this order: of two servers, the one that saw fewer spans must not take the other's version for one to surpass.
    keys = store.index_keys(traces)
    facts = store.facts(traces)
    # Rows stamped by a clock that was ahead (of another server, or of this one before it was set right) must not win.
    versions = {trace: max(version, keys[trace].newest_version + 1) if trace in keys else version for trace in facts}
    settled = {trace: settle(trace[0], members, versions[trace]) for trace, members in facts.items()}
    verdicts = judge(store, settled, _doubtful(settled, recent))
    index_rows: list[IndexRow] = []
    trace_rows: list[TraceRow] = []
    for trace, alone in settled.items():
        elsewhere = verdicts.elsewhere.get(trace)
        whole = settle(trace[0], facts[trace], versions[trace], elsewhere) if elsewhere else alone
        index_rows += whole.spans
        trace_rows.append(whole.trace)
        if trace in keys:
            _retire_moved(whole, keys[trace], index_rows, trace_rows)
    blocks = [("span_index", rows.lines(index_rows)), ("traces", rows.lines(trace_rows))]
    # Whoever sees the header has the spans. But a trace that is settled for another's sake is found again after a
    # crash by what ``span_index`` says of it, so that goes last.
    for table, block in blocks if asked else reversed(blocks):
        if block:
            store.insert(table, block)
    sizes |= {trace: len(facts.get(trace, ())) for trace in traces}
    return verdicts.others


def _doubtful(settled: dict[TraceKey, SettledTrace], recent: RecentCalls | None) -> set[TraceKey]:
    if recent is None:
        return set(settled)
    return recent.doubtful({trace: calls_in(one) for trace, one in settled.items()})


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
