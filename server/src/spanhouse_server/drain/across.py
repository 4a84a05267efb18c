"""Calls that two traces report: what the store has of them, and whose verdict changes.

The rule itself is pure (``normalise.settle_across``). Reports lie in ``span_index`` as the settling of
their traces left them, and are read by time, in which that table is ordered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.normalise.settle_across import (
    MAX_APART_NS,
    MAX_SKEW_NS,
    REPORT_FIELDS,
    Call,
    Place,
    Report,
    calls_in,
    calls_of,
    counts_in_its_trace,
    doubles_across,
    reports_in,
)
from spanhouse_server.normalise.settle_ids import is_stream_key
from spanhouse_server.normalise.settle_usage import OTHER_TRACE
from spanhouse_server.store.chunks import chunks
from spanhouse_server.store.contract import ColumnarStore, TraceKey

#: Keys of calls per statement.
CHUNK = 1000
#: Calls further apart than this are asked for by statements of their own, as long as these are few.
GAP_NS = 20 * MAX_APART_NS
MAX_RANGES = 8
#: Spans that are looked at of one key; a key that has more at one time says nothing.
MAX_SPANS = 1000
#: Searches for what is known of one call by what is found of another: more belong to no call.
MAX_SEARCHES = 4

_SHARED = f"""
SELECT key, groupUniqArray(2)(trace_id) AS trace_ids,
       groupUniqArrayIf({MAX_SPANS})(trace_id, startsWith(counted_reason, {{other:String}})) AS gave_way
FROM span_index
ARRAY JOIN [response_id, stream_key] AS key
WHERE project_id = {{project:String}} AND start_ns BETWEEN {{from:Int64}} AND {{to:Int64}}
  AND greatest(start_ns, end_ns) >= {{ended:Int64}}
  AND (response_id IN {{keys:Array(String)}} OR stream_key IN {{keys:Array(String)}})
  AND key IN {{keys:Array(String)}}
GROUP BY key
"""  # noqa: S608 - constants of this room
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
WHERE greatest(start_ns, end_ns) >= {{ended:Int64}}
ORDER BY response_id, stream_key, trace_id, span_id
LIMIT {MAX_SPANS} BY response_id, stream_key
"""  # noqa: S608 - constants of this room


@dataclass(slots=True)
class Verdicts:
    """What gives way: ``elsewhere`` by trace as ``settle`` takes it, and ``others``, stored otherwise than it should."""

    elsewhere: dict[TraceKey, dict[str, str]] = field(default_factory=dict)
    others: set[TraceKey] = field(default_factory=set)


class _Asked(NamedTuple):
    """What a search covers: reports that begin from and to these times and end not before ``ended_ns``."""

    from_ns: int
    to_ns: int
    ended_ns: int
    keys: Sequence[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {"from": self.from_ns, "to": self.to_ns, "ended": self.ended_ns, "keys": self.keys}

    def joined(self, other: _Asked) -> _Asked:
        """Return what this and another search of a key, which overlap, cover together."""
        from_ns, ended_ns = min(self.from_ns, other.from_ns), min(self.ended_ns, other.ended_ns)
        return self._replace(from_ns=from_ns, to_ns=max(self.to_ns, other.to_ns), ended_ns=ended_ns)


@dataclass(frozen=True, slots=True)
class _Stored:
    """Reports in the store by the keys ``asked`` for.

    ``said`` has the reasons of those told to give way, ``crowded`` the keys of too many spans to say anything.
    """

    reports: list[Report] = field(default_factory=list)
    said: dict[Place, str] = field(default_factory=dict)
    crowded: set[str] = field(default_factory=set)
    asked: dict[str, _Asked] = field(default_factory=dict)
    seen: set[Place] = field(default_factory=set)

    def covers(self, call: Call) -> bool:
        """Tell whether all reports of a call were asked for."""
        asked = self.asked.get(call.key)
        if asked is None or not is_stream_key(call.key):
            return asked is not None and asked.from_ns <= call.since_ns and call.until_ns <= asked.to_ns
        # How streams fall into pairs is told by those that end at about the same time.
        over_ns = max(call.start_ns, call.end_ns)
        return asked.ended_ns + MAX_SKEW_NS <= over_ns <= asked.to_ns - MAX_SKEW_NS


def shared_keys(store: ColumnarStore, calls: Mapping[TraceKey, Collection[Call]]) -> set[TraceKey]:
    """Return those of the traces of which the store has a call in another trace, or once had."""
    found: set[TraceKey] = set()
    for project_id, its in _by_project(calls).items():
        traces: dict[str, set[str]] = {}
        gave_way: set[str] = set()
        for asked in _ranges(call for each in its.values() for call in each):
            parameters = {"project": project_id, "other": OTHER_TRACE, **asked.parameters}
            for row in store.select(_SHARED, parameters):
                traces.setdefault(row["key"], set()).update(row["trace_ids"])
                gave_way.update(row["gave_way"])
        for trace_id, each in its.items():
            if trace_id in gave_way or any(traces.get(call.key, set()) - {trace_id} for call in each):
                found.add((project_id, trace_id))
    return found


def judge(store: ColumnarStore, settled: Mapping[TraceKey, SettledTrace], doubtful: Collection[TraceKey]) -> Verdicts:
    """Return what gives way in the ``doubtful`` of these traces, each settled by itself, and in those stored."""
    verdicts = Verdicts()
    for project_id, its in _by_project({key: calls_in(settled[key]) for key in doubtful}).items():
        fresh = [each for key, one in settled.items() if key[0] == project_id for each in reports_in(one)]
        stored = _stored(store, project_id, {call for each in its.values() for call in each})
        fresh = [report for report in fresh if any(key in stored.asked for key in report.keys)]
        # These are settled just now: what is stored of them is old.
        known = [report for report in stored.reports if (project_id, report.trace_id) not in settled]
        way = doubles_across(each for each in (*fresh, *known) if stored.crowded.isdisjoint(each.keys))
        gone = _gone(store, project_id, settled, stored)
        for loser, winner in way.items():
            # What else is told of a call that was counted and is no longer kept does not count either.
            if loser in gone:
                gone.setdefault(winner, gone[loser])
        names = {place: gone.get(winner) or _named(winner) for place, winner in way.items()} | gone
        for report in fresh:
            if report.place in names:
                own = verdicts.elsewhere.setdefault((project_id, report.trace_id), {})
                own[report.span_id] = names[report.place]
        for report in known:
            given = f"{OTHER_TRACE}: {names[report.place]}" if report.place in names else ""
            # Of what lies at the edge of what was looked at, others may tell more.
            if given != stored.said[report.place] and all(map(stored.covers, calls_of(report))):
                verdicts.others.add((project_id, report.trace_id))
    return verdicts


def _gone(
    store: ColumnarStore, project_id: str, settled: Mapping[TraceKey, SettledTrace], stored: _Stored
) -> dict[Place, str]:
    """Return those reports whose call was counted in a span that is no longer kept, and in which.

    They do not count again: what is derived of spans and outlives them, as rollups do, has counted the call.
    """
    said = {place: reason.removeprefix(f"{OTHER_TRACE}: ") for place, reason in stored.said.items() if reason}
    said = {place: winner for place, winner in said.items() if tuple(winner.split("/")) not in stored.seen}
    traces = {(project_id, winner.partition("/")[0]) for winner in said.values()}
    kept = {f"{trace[1]}/{row.span_id}" for trace in traces & settled.keys() for row in settled[trace].spans}
    if unseen := traces - settled.keys():
        for trace, keys in store.index_keys(unseen).items():
            kept.update(f"{trace[1]}/{span_id}" for span_id in keys.span_starts_ns)
    return {place: winner for place, winner in said.items() if winner not in kept}


def _stored(store: ColumnarStore, project_id: str, calls: Collection[Call]) -> _Stored:
    """Return the reports of these calls; where one has another key besides, also those with that."""
    stored = _Stored()
    spans: Counter[str] = Counter()
    for _ in range(MAX_SEARCHES):
        for asked in _ranges(calls):
            for key in asked.keys:
                stored.asked[key] = asked.joined(stored.asked.get(key, asked))
            for row in store.select(_REPORTS, {"project": project_id, **asked.parameters}):
                report = Report(*(row[name] for name in REPORT_FIELDS))
                if report.place in stored.seen:
                    continue
                stored.seen.add(report.place)
                spans.update(report.keys)
                reason = row["counted_reason"]
                if not row["is_deleted"] and counts_in_its_trace(row["counted"], reason):
                    stored.reports.append(report)
                    stored.said[report.place] = reason if reason.startswith(OTHER_TRACE) else ""
        found = {call for each in stored.reports for call in calls_of(each)}
        calls = {
            call for call in found if not (stored.covers(call) or is_stream_key(call.key) and call.key in stored.asked)
        }
        if not calls:
            break
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


def _ranges(calls: Iterable[Call]) -> Iterator[_Asked]:
    """Yield when which keys are to be looked for: a little more, so that what is found needs no search of its own."""
    ordered = sorted(calls, key=lambda call: call.start_ns)
    cuts = [at for at in range(1, len(ordered)) if ordered[at].start_ns - ordered[at - 1].start_ns > GAP_NS]
    edges = [0, *cuts, len(ordered)] if len(cuts) < MAX_RANGES else [0, len(ordered)]
    for begin, end in zip(edges, edges[1:], strict=False):
        part = ordered[begin:end]
        from_ns = min(call.since_ns for call in part) - MAX_SKEW_NS
        until_ns = max(call.until_ns for call in part) + MAX_SKEW_NS
        keys = sorted({call.key for call in part})
        for some in chunks(keys, CHUNK):
            yield _Asked(from_ns, until_ns, part[0].start_ns - 2 * MAX_SKEW_NS, some)
