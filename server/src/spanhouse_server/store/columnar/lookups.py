"""Reads that settling needs: what is stored of some traces, by the primary key of ``spans``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson
from clickhouse_connect.driver.client import Client

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.columnar import timed
from spanhouse_server.store.contract import IndexKeys, SpanKey, TraceKey
from spanhouse_server.store.rows import money

#: Traces asked for in one statement.
CHUNK = 1000

# These reads feed settling, which must see a trace whole however large it is.
_UNBOUNDED = {"max_result_rows": 0}

_FACT_NAMES = [field.name for field in fields(SpanFacts)]
_FACT_COLUMNS = ", ".join(
    f"toUnixTimestamp({name}) AS received_s" if name == "received_at" else name for name in _FACT_NAMES
)
#: The layout of ``spans.facts`` read here; the column's expression writes it as first element.
FACTS_LAYOUT = 2
_MONEY = [at for at, name in enumerate(_FACT_NAMES) if name.startswith("cost_") and name.endswith("_usd")]

_VERSIONS = """
SELECT trace_id, span_id, max(arrival_ns)
FROM spans
WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
GROUP BY trace_id, span_id
"""
# FINAL would have to merge all that lies between the traces asked for; taking the newest of each
# span by hand reads the same rows once.
_NEWEST = "ORDER BY trace_id, span_id, version DESC LIMIT 1 BY trace_id, span_id"
_FACTS = f"""
SELECT trace_id, facts
FROM spans
WHERE project_id = {{project:String}} AND trace_id IN {{traces:Array(String)}}
{_NEWEST}
"""  # noqa: S608 - constants of this module
_FACTS_BY_COLUMN = f"""
SELECT {_FACT_COLUMNS}
FROM spans
WHERE project_id = {{project:String}} AND trace_id IN {{traces:Array(String)}}
{_NEWEST}
"""  # noqa: S608 - column names of a dataclass
# What FINAL would return, in half its time: these tables are in order of time, so a trace is found by
# a skip index, and FINAL would have to read all that lies around each hit as well.
_TRACE_STARTS = """
SELECT trace_id, start_ns, argMax(is_deleted, version) AS gone, max(version) AS newest
FROM traces
WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
GROUP BY trace_id, start_ns
ORDER BY start_ns
"""
_SPAN_STARTS = """
SELECT trace_id, span_id, start_ns, argMax(is_deleted, version) AS gone, max(version) AS newest
FROM span_index
WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
GROUP BY trace_id, span_id, start_ns
ORDER BY start_ns
"""


def stored_versions(client: Client, traces: Iterable[TraceKey]) -> dict[SpanKey, int]:
    """Return the newest arrival of every span of these traces."""
    found: dict[SpanKey, int] = {}
    for project, rows in _each(client, _VERSIONS, traces):
        for trace_id, span_id, version in rows:
            found[(project, trace_id, span_id)] = version
    return found


def facts(client: Client, traces: Iterable[TraceKey]) -> dict[TraceKey, list[SpanFacts]]:
    """Return the facts of every span of these traces, by start; unknown traces are left out."""
    found: dict[TraceKey, list[SpanFacts]] = defaultdict(list)
    old_layout: set[TraceKey] = set()
    for project, rows in _each(client, _FACTS, traces):
        for trace_id, packed in rows:
            values = orjson.loads(packed)
            if values[0] == FACTS_LAYOUT:
                found[(project, trace_id)].append(_unpacked(values[1:]))
            else:
                old_layout.add((project, trace_id))
    for project, rows in _each(client, _FACTS_BY_COLUMN, old_layout):
        for trace_id in {row[0] for row in rows}:
            found[(project, trace_id)] = [SpanFacts(*row) for row in rows if row[0] == trace_id]
    for spans in found.values():
        spans.sort(key=attrgetter("start_ns", "span_id"))
    return dict(found)


def _unpacked(values: list[Any]) -> SpanFacts:
    for at in _MONEY:
        if values[at] is not None:
            values[at] = money(Decimal(values[at]))
    return SpanFacts(*values)


def index_keys(client: Client, traces: Iterable[TraceKey]) -> dict[TraceKey, IndexKeys]:
    """Return the start times these traces and their spans are indexed under; unknown ones are left out."""
    traces = list(traces)
    trace_starts: dict[TraceKey, list[int]] = defaultdict(list)
    span_starts: dict[TraceKey, dict[str, list[int]]] = defaultdict(dict)
    newest: dict[TraceKey, int] = defaultdict(int)
    for project, rows in _each(client, _TRACE_STARTS, traces):
        for trace_id, start_ns, gone, version in rows:
            key = (project, trace_id)
            newest[key] = max(newest[key], version)
            if not gone:
                trace_starts[key].append(start_ns)
    for project, rows in _each(client, _SPAN_STARTS, traces):
        for trace_id, span_id, start_ns, gone, version in rows:
            key = (project, trace_id)
            newest[key] = max(newest[key], version)
            if not gone:
                span_starts[key].setdefault(span_id, []).append(start_ns)
    return {
        key: IndexKeys(trace_starts.get(key, []), span_starts.get(key, {}), version) for key, version in newest.items()
    }


def _each(client: Client, sql: str, traces: Iterable[TraceKey]) -> Iterator[tuple[str, list[Any]]]:
    """Run a statement per project and chunk of traces; yield the project with its rows."""
    by_project: dict[str, set[str]] = defaultdict(set)
    for project, trace_id in traces:
        by_project[project].add(trace_id)
    for project, ids in by_project.items():
        for part in chunks(sorted(ids), CHUNK):
            parameters = {"project": project, "traces": part}
            result = timed.read(client, sql, parameters, _UNBOUNDED)
            yield project, list(result.result_rows)
