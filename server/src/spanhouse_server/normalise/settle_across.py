"""Reports of one call in two traces, and which of them gives way.

Two instrumentations that share no context put a call into two traces: a framework's span in the trace
of its run and the SDK's in one of its own, both in traces of their own, or the client's and a gateway's
each in the trace of its service. They are one call when

- they carry the same response id, and name the same model; or, of a stream whose end is told without
  an id, the same key (``settle_streams``);
- they come from different instrumentations (scopes): one of them never reports a call twice;
- they report the same tokens and overlap in time, or the same input tokens and one runs within the
  other (a wrapper that adds up a stream wrongly is still a wrapper).

A fake provider may give every response the same id. So an id of more than ``MAX_REPORTS`` reports
at one time says nothing, and reports that begin over a minute apart are of two calls.

One report counts, all others give way. First the money must be right: one that could be priced goes
before one that could not, and one that tells of tokens with a price of their own (cached, spoken)
before one that leaves them in the total. Then the figures stay with the run, its user and its session:
a *lone* report, with nothing above it but other spans of the call, gives way. Of equals the one that
tells more counts, then one with a user or a session, then the inner. The verdict depends on the set of
the reports alone, not on which trace came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import NamedTuple

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.facts import IndexRow, SettledTrace
from spanhouse_server.model.span import MODEL_CATEGORIES
from spanhouse_server.normalise.settle_doubles import NEAR_NS, at_one_time, details, is_priced, same_served_model
from spanhouse_server.normalise.settle_usage import OTHER_TRACE

#: Two reports of a call begin at most this far apart, but for the record of its end: that comes when it is over.
MAX_APART_NS = 60 * NS_PER_S
MAX_STREAM_NS = 900 * NS_PER_S
#: Reports that may share a response id at one time; beyond, it is no id.
MAX_REPORTS = 16

Place = tuple[str, str]
"""(trace_id, span_id)"""


class Call(NamedTuple):
    """A call of a trace that another trace may report too, by one of its keys."""

    key: str
    start_ns: int
    end_ns: int
    scope: str

    @property
    def since_ns(self) -> int:
        """Return when another report of it may have begun."""
        return self.start_ns - (MAX_APART_NS if self.end_ns > self.start_ns else MAX_STREAM_NS)

    @property
    def until_ns(self) -> int:
        """Return when the last report of it has begun, however late it says to have ended."""
        return min(max(self.start_ns, self.end_ns), self.start_ns + MAX_STREAM_NS) + MAX_APART_NS


@dataclass(frozen=True, slots=True)
class Report:
    """A call as one trace tells it, counted there. The fields are columns of ``span_index``."""

    trace_id: str
    span_id: str
    response_id: str
    category: str
    call_scope: str
    request_model: str
    response_model: str
    start_ns: int
    end_ns: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    cost_status: str
    lone_call: bool
    stream_key: str
    session_id: str
    user_id: str

    @property
    def place(self) -> Place:
        """Return where it stands."""
        return self.trace_id, self.span_id

    @property
    def keys(self) -> tuple[str, ...]:
        """Return what another report of the call has as well: the response id, the key of its stream."""
        return _keys(self.response_id, self.stream_key)


REPORT_FIELDS = tuple(each.name for each in fields(Report))
_VALUES = attrgetter(*REPORT_FIELDS)
_IN_TIME = attrgetter("start_ns", "trace_id", "span_id")


def calls_in(settled: SettledTrace) -> tuple[Call, ...]:
    """Return the calls of a trace that another may report too, one that has two keys twice."""
    return tuple(
        [
            Call(key, row.start_ns, row.end_ns, row.call_scope)
            for row in settled.spans
            if (row.response_id or row.stream_key) and _is_call(row)
            for key in _keys(row.response_id, row.stream_key)
        ]
    )


def _is_call(row: IndexRow) -> bool:
    return bool(row.response_id or row.stream_key) and row.category in MODEL_CATEGORIES and row.start_ns > 0


def _keys(response_id: str, stream_key: str) -> tuple[str, ...]:
    if not stream_key:
        return (response_id,) if response_id else ()
    return (response_id, stream_key) if response_id else (stream_key,)


def counts_in_its_trace(counted: bool, reason: str) -> bool:
    """Tell whether a span counts, or would if no other trace had the same call."""
    return counted or reason.startswith(OTHER_TRACE)


def reports_in(settled: SettledTrace) -> list[Report]:
    """Return the reports of a settled trace."""
    return [
        Report(*_VALUES(row))
        for row in settled.spans
        if _is_call(row) and counts_in_its_trace(row.counted, row.counted_reason)
    ]


def doubles_across(reports: Iterable[Report]) -> dict[Place, Place]:
    """Return which of these reports (of one project) give way, and to which report that counts."""
    by_key: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        if report.input_tokens or report.output_tokens:
            for key in report.keys:
                by_key.setdefault((key, report.category), []).append(report)
    gives_way: dict[Place, Report] = {}
    for alike in by_key.values():
        if len(alike) < 2:
            continue
        for together in _in_groups(sorted(alike, key=_IN_TIME)):
            if len({report.trace_id for report in together}) > 1 and len(together) <= MAX_REPORTS:
                for call in _calls(together):
                    _give_way(call, gives_way)
    return {place: _that_counts(report, gives_way) for place, report in gives_way.items()}


def _in_groups(reports: Sequence[Report]) -> Iterator[list[Report]]:
    """Yield the reports (by start) in groups between which nothing runs."""
    group: list[Report] = []
    latest_ns = 0
    for report in reports:
        if group and report.start_ns > latest_ns:
            yield group
            group = []
        group.append(report)
        latest_ns = max(latest_ns, report.end_ns + NEAR_NS)
    yield group


def _calls(reports: Sequence[Report]) -> list[list[Report]]:
    calls: list[list[Report]] = []
    for report in reports:
        for call in calls:
            if all(_one_call(other, report) for other in call):
                call.append(report)
                break
        else:
            calls.append([report])
    return calls


def _one_call(a: Report, b: Report) -> bool:
    """Tell whether two reports, the second not begun before the first, are of one call."""
    if a.trace_id == b.trace_id or a.call_scope == b.call_scope:
        return False
    if b.start_ns - a.start_ns > (MAX_APART_NS if b.end_ns > b.start_ns else MAX_STREAM_NS):
        return False
    if a.input_tokens != b.input_tokens or not same_served_model(a, b):
        return False
    if a.output_tokens != b.output_tokens:
        return b.start_ns < b.end_ns <= a.end_ns or a.start_ns == b.start_ns < a.end_ns <= b.end_ns
    return at_one_time(a, b)


def _rank(report: Report) -> tuple[bool, bool, bool, int, bool, int, int, str, str]:
    apart = bool(report.cache_read_tokens or report.cache_write_tokens or report.audio_input_tokens)
    placed = bool(report.session_id or report.user_id)
    inner = report.start_ns, -report.end_ns
    place = report.trace_id, report.span_id
    return is_priced(report), apart, not report.lone_call, details(report), placed, *inner, *place


def _give_way(call: Sequence[Report], gives_way: dict[Place, Report]) -> None:
    """Note to which report of a call the others give way; one with two keys to the best of both."""
    best = max(call, key=_rank)
    for report in call:
        if report is not best:
            other = gives_way.get(report.place)
            gives_way[report.place] = best if other is None else max(best, other, key=_rank)


def _that_counts(report: Report, gives_way: dict[Place, Report]) -> Place:
    """Return the place of the report that counts, where this one gives way itself. Ranks only rise on the way."""
    while report.place in gives_way:
        report = gives_way[report.place]
    return report.place
