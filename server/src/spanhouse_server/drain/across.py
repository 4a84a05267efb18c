"""Calls that two traces report: what the store has of them, and whose verdict changes.

The rule itself is pure (``normalise.settle_across``). Reports lie in ``span_index`` as the settling of
their traces left them, and are read by time, in which that table is ordered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.normalise.settle_across import (
    MAX_APART_NS,
    REPORT_FIELDS,
    Call,
    Place,
    Report,
    calls_in,
    counts_in_its_trace,
    doubles_across,
    reports_in,
)
from spanhouse_server.normalise.settle_usage import OTHER_TRACE
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Keys of calls per statement.
CHUNK = 1000
#: Calls further apart than this are asked for by statements of their own, as long as these are few.
GAP_NS = 20 * MAX_APART_NS
MAX_RANGES = 8
#: Spans that are looked at of one key; a key that has more says nothing.
MAX_SPANS = 100

_SHARED = """
SELECT key, groupUniqArray(2)(trace_id) AS trace_ids
FROM span_index
ARRAY JOIN [response_id, stream_key] AS key
WHERE project_id = {project:String} AND start_ns BETWEEN {from:Int64} AND {to:Int64}
  AND (response_id IN {keys:Array(String)} OR stream_key IN {keys:Array(String)})
  AND key IN {keys:Array(String)}
GROUP BY key
"""
# The newest row of a span, wherever it starts; a moved one's deleting row is as new as the row that replaces it.
_REPORTS = f"""
SELECT {", ".join(REPORT_FIELDS)}, counted, counted_reason, is_deleted
FROM (
    SELECT {", ".join(REPORT_FIELDS)}, counted, counted_reason, is_deleted
    FROM span_index
    WHERE project_id = {{project:String}} AND start_ns BETWEEN {{from:Int64}} AND {{to:Int64}}
      AND (response_id IN {{keys:Array(String)}} OR stream_key IN {{keys:Array(String)}})
    ORDER BY trace_id, span_id, version DESC, is_deleted
    LIMIT 1 BY trace_id, span_id
)
ORDER BY response_id, stream_key, trace_id, span_id
LIMIT {MAX_SPANS} BY response_id, stream_key
"""  # noqa: S608 - constants of this room


@dataclass(slots=True)
class Verdicts:
    """What gives way: ``elsewhere`` by trace as ``settle`` takes it, and ``others``, stored otherwise than it should."""

    elsewhere: dict[TraceKey, dict[str, str]] = field(default_factory=dict)
    others: set[TraceKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Reports in the store by the keys ``asked`` for.

    ``said`` has the reasons of those told to give way, ``crowded`` the keys of too many spans to say anything.
    """

    reports: list[Report] = field(default_factory=list)
    said: dict[Place, str] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    seen: set[Place] = field(default_factory=set)


def shared_keys(store: ColumnarStore, calls: Mapping[TraceKey, Collection[Call]]) -> set[TraceKey]:
    """Return those of the traces of which the store has a call in another trace."""
    found: set[TraceKey] = set()
    for project_id, its in _by_project(calls).items():
        traces: dict[str, set[str]] = {}
        for from_ns, to_ns, keys in _ranges(call for each in its.values() for call in each):
            parameters = {"project": project_id, "from": from_ns, "to": to_ns, "keys": keys}
            for row in store.select(_SHARED, parameters):
                traces.setdefault(row["key"], set()).update(row["trace_ids"])
        for trace_id, each in its.items():
            if any(traces.get(call.key, set()) - {trace_id} for call in each):
                found.add((project_id, trace_id))
    return found


def judge(store: ColumnarStore, settled: Mapping[TraceKey, SettledTrace], doubtful: Collection[TraceKey]) -> Verdicts:
    """Return what gives way in the ``doubtful`` of these traces, each settled by itself, and in those stored."""
    verdicts = Verdicts()
    for project_id, its in _by_project({key: calls_in(settled[key]) for key in doubtful}).items():
        fresh = [each for key, one in settled.items() if key[0] == project_id for each in reports_in(one)]
        stored = _stored(store, project_id, {call for each in its.values() for call in each})
        fresh = [report for report in fresh if not stored.asked.isdisjoint(report.keys)]
        # These are settled just now: what is stored of them is old.
        known = [report for report in stored.reports if (project_id, report.trace_id) not in settled]
        way = doubles_across(each for each in (*fresh, *known) if stored.crowded.isdisjoint(each.keys))
        for report in fresh:
            if report.place in way:
                own = verdicts.elsewhere.setdefault((project_id, report.trace_id), {})
                own[report.span_id] = _named(way[report.place])
        for report in known:
            given = f"{OTHER_TRACE}: {_named(way[report.place])}" if report.place in way else ""
            if given != stored.said[report.place]:
                verdicts.others.add((project_id, report.trace_id))
    return verdicts


def _stored(store: ColumnarStore, project_id: str, calls: Collection[Call]) -> _Stored:
    """Return the reports of these calls; where one has another key besides, also those with that."""
    stored = _Stored()
    spans: Counter[str] = Counter()
    while calls:
        stored.asked.update(call.key for call in calls)
        for from_ns, to_ns, keys in _ranges(calls):
            for row in store.select(_REPORTS, {"project": project_id, "from": from_ns, "to": to_ns, "keys": keys}):
                report = Report(*(row[name] for name in REPORT_FIELDS))
                if report.place in stored.seen:
                    continue
                stored.seen.add(report.place)
                spans.update(report.keys)
                reason = row["counted_reason"]
                if not row["is_deleted"] and counts_in_its_trace(row["counted"], reason):
                    stored.reports.append(report)
                    stored.said[report.place] = reason if reason.startswith(OTHER_TRACE) else ""
        calls = {
            Call(key, each.start_ns, each.end_ns, "")
            for each in stored.reports
            for key in each.keys
            if key not in stored.asked
        }
    stored.crowded.update(key for key, count in spans.items() if count >= MAX_SPANS)
    return stored


def _named(place: Place) -> str:
    return "/".join(place)


def _by_project(calls: Mapping[TraceKey, Collection[Call]]) -> dict[str, dict[str, Collection[Call]]]:
    projects: dict[str, dict[str, Collection[Call]]] = {}
    for (project_id, trace_id), its in calls.items():
        if its:
            projects.setdefault(project_id, {})[trace_id] = its
    return projects


def _ranges(calls: Iterable[Call]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield from and to when which keys are to be looked for."""
    ordered = sorted(calls, key=lambda call: call.start_ns)
    cuts = [at for at in range(1, len(ordered)) if ordered[at].start_ns - ordered[at - 1].start_ns > GAP_NS]
    edges = [0, *cuts, len(ordered)] if len(cuts) < MAX_RANGES else [0, len(ordered)]
    for begin, end in zip(edges, edges[1:], strict=False):
        part = ordered[begin:end]
        from_ns, until_ns = min(call.since_ns for call in part), max(call.until_ns for call in part)
        keys = sorted({call.key for call in part})
        for at in range(0, len(keys), CHUNK):
            yield from_ns, until_ns, keys[at : at + CHUNK]
