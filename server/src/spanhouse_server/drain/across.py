"""Calls that two traces report: what the store has of them, and whose verdict changes.

The rule itself is pure (``normalise.settle_across``). Reports lie in ``span_index`` as the settling of
their traces left them, and are read by time, in which that table is ordered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.normalise.settle_across import (
    MAX_APART_NS,
    REPORT_FIELDS,
    Place,
    Report,
    counts_in_its_trace,
    doubles_across,
    is_call,
    reports_in,
)
from spanhouse_server.normalise.settle_usage import OTHER_TRACE
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Response ids per statement.
CHUNK = 1000
#: Calls further apart than this are asked for by statements of their own, as long as these are few.
GAP_NS = 20 * MAX_APART_NS
MAX_RANGES = 8
#: Spans that are looked at of one id; an id that has more says nothing.
MAX_SPANS = 100

_SHARED = """
SELECT response_id, groupUniqArray(2)(trace_id) AS trace_ids
FROM span_index
WHERE project_id = {project:String} AND start_ns BETWEEN {from:Int64} AND {to:Int64}
  AND response_id IN {ids:Array(String)}
GROUP BY response_id
"""
# The newest row of a span, wherever it starts; a moved one's deleting row is as new as the row that replaces it.
_REPORTS = f"""
SELECT {", ".join(REPORT_FIELDS)}, counted, counted_reason, is_deleted
FROM (
    SELECT {", ".join(REPORT_FIELDS)}, counted, counted_reason, is_deleted
    FROM span_index
    WHERE project_id = {{project:String}} AND start_ns BETWEEN {{from:Int64}} AND {{to:Int64}}
      AND response_id IN {{ids:Array(String)}}
    ORDER BY trace_id, span_id, version DESC, is_deleted
    LIMIT 1 BY trace_id, span_id
)
ORDER BY response_id, trace_id, span_id
LIMIT {MAX_SPANS} BY response_id
"""  # noqa: S608 - constants of this room


class Timed(Protocol):
    """A call with its response id."""

    @property
    def response_id(self) -> str:
        """Return the id."""

    @property
    def start_ns(self) -> int:
        """Return when the call began."""


@dataclass(slots=True)
class Verdicts:
    """What gives way: ``elsewhere`` by trace as ``settle`` takes it, and ``others``, stored otherwise than it should."""

    elsewhere: dict[TraceKey, dict[str, str]] = field(default_factory=dict)
    others: set[TraceKey] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Reports in the store, the reasons of those said to give way, and the ids of too many spans to say anything."""

    reports: list[Report]
    said: dict[Place, str]
    crowded: set[str]


def shared_ids(store: ColumnarStore, calls: Mapping[TraceKey, Collection[Timed]]) -> set[TraceKey]:
    """Return those of the traces of which the store has a call in another trace."""
    found: set[TraceKey] = set()
    for project_id, its in _by_project(calls).items():
        traces: dict[str, set[str]] = {}
        for from_ns, to_ns, ids in _ranges(call for each in its.values() for call in each):
            parameters = {"project": project_id, "from": from_ns, "to": to_ns, "ids": ids}
            for row in store.select(_SHARED, parameters):
                traces.setdefault(row["response_id"], set()).update(row["trace_ids"])
        for trace_id, each in its.items():
            if any(traces.get(call.response_id, set()) - {trace_id} for call in each):
                found.add((project_id, trace_id))
    return found


def judge(store: ColumnarStore, settled: Mapping[TraceKey, SettledTrace], doubtful: Collection[TraceKey]) -> Verdicts:
    """Return what gives way in the ``doubtful`` of these traces, each settled by itself, and in those stored."""
    verdicts = Verdicts()
    calls = {key: [row for row in settled[key].spans if is_call(row)] for key in doubtful}
    for project_id, its in _by_project(calls).items():
        ids = {call.response_id for each in its.values() for call in each}
        fresh = [each for key, one in settled.items() if key[0] == project_id for each in reports_in(one)]
        fresh = [report for report in fresh if report.response_id in ids]
        stored = _stored(store, project_id, [call for each in its.values() for call in each])
        # These are settled just now: what is stored of them is old.
        known = [report for report in stored.reports if (project_id, report.trace_id) not in settled]
        way = doubles_across(report for report in (*fresh, *known) if report.response_id not in stored.crowded)
        for report in fresh:
            if report.place in way:
                own = verdicts.elsewhere.setdefault((project_id, report.trace_id), {})
                own[report.span_id] = _named(way[report.place])
        for report in known:
            given = f"{OTHER_TRACE}: {_named(way[report.place])}" if report.place in way else ""
            if given != stored.said[report.place]:
                verdicts.others.add((project_id, report.trace_id))
    return verdicts


def _stored(store: ColumnarStore, project_id: str, calls: Sequence[Timed]) -> _Stored:
    reports: dict[Place, Report] = {}
    said: dict[Place, str] = {}
    spans: Counter[str] = Counter()
    for from_ns, to_ns, ids in _ranges(calls):
        for row in store.select(_REPORTS, {"project": project_id, "from": from_ns, "to": to_ns, "ids": ids}):
            spans[row["response_id"]] += 1
            reason = row["counted_reason"]
            if not row["is_deleted"] and counts_in_its_trace(row["counted"], reason):
                report = Report(*(row[name] for name in REPORT_FIELDS))
                reports[report.place] = report
                said[report.place] = reason if reason.startswith(OTHER_TRACE) else ""
    return _Stored(list(reports.values()), said, {each for each, count in spans.items() if count >= MAX_SPANS})


def _named(place: Place) -> str:
    return "/".join(place)


def _by_project(calls: Mapping[TraceKey, Collection[Timed]]) -> dict[str, dict[str, Collection[Timed]]]:
    projects: dict[str, dict[str, Collection[Timed]]] = {}
    for (project_id, trace_id), its in calls.items():
        if its:
            projects.setdefault(project_id, {})[trace_id] = its
    return projects


def _ranges(calls: Iterable[Timed]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield from and to when which ids are to be looked for."""
    ordered = sorted(calls, key=lambda call: call.start_ns)
    cuts = [at for at in range(1, len(ordered)) if ordered[at].start_ns - ordered[at - 1].start_ns > GAP_NS]
    edges = [0, *cuts, len(ordered)] if len(cuts) < MAX_RANGES else [0, len(ordered)]
    for begin, end in zip(edges, edges[1:], strict=False):
        part = ordered[begin:end]
        ids = sorted({call.response_id for call in part})
        for at in range(0, len(ids), CHUNK):
            yield part[0].start_ns - MAX_APART_NS, part[-1].start_ns + MAX_APART_NS, ids[at : at + CHUNK]
