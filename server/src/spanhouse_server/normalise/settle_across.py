"""Reports of one call in two traces, and which of them gives way.

Two instrumentations that share no context put a call into two traces: a framework's span in the trace
of its run and the SDK's in one of its own, or both in traces of their own. They are one call when

- they carry the same response id, and name the same model;
- they come from different instrumentations (scopes): one of them never reports a call twice;
- one of them is *lone*: nothing stands above it but other spans of the call;
- they report the same tokens and overlap in time, or the same input tokens and one runs within the
  other (a wrapper that adds up a stream wrongly is still a wrapper).

A fake provider may give every response the same id. So an id of more than ``MAX_REPORTS`` reports
at one time says nothing, and reports that begin over a minute apart are of two calls.

The lone report gives way, so that the figures stay with the run, its user and its session; unless the
other could not be priced and it could. Of two lone ones the better informed counts, then the inner.
The verdict depends on the set of the reports alone, not on which trace came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.facts import IndexRow, SettledTrace
from spanhouse_server.model.span import MODEL_CATEGORIES
from spanhouse_server.normalise.settle_doubles import details, is_priced, overlap, same_served_model
from spanhouse_server.normalise.settle_usage import OTHER_TRACE

#: Two reports of a call begin at most this far apart.
MAX_APART_NS = 60 * NS_PER_S
#: A record without length, written when a stream ended, comes at most this long after the call.
NEAR_NS = NS_PER_S
#: Reports that may share a response id at one time; beyond, it is no id.
MAX_REPORTS = 16

Place = tuple[str, str]
"""(trace_id, span_id)"""


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

    @property
    def place(self) -> Place:
        """Return where it stands."""
        return self.trace_id, self.span_id


REPORT_FIELDS = tuple(each.name for each in fields(Report))
_VALUES = attrgetter(*REPORT_FIELDS)
_IN_TIME = attrgetter("start_ns", "trace_id", "span_id")


def is_call(row: IndexRow) -> bool:
    """Tell whether a row may be the report of a call that another trace reports too."""
    return bool(row.response_id) and row.category in MODEL_CATEGORIES and row.start_ns > 0


def counts_in_its_trace(counted: bool, reason: str) -> bool:
    """Tell whether a span counts, or would if no other trace had the same call."""
    return counted or reason.startswith(OTHER_TRACE)


def reports_in(settled: SettledTrace) -> list[Report]:
    """Return the reports of a settled trace."""
    return [
        Report(*_VALUES(row))
        for row in settled.spans
        if is_call(row) and counts_in_its_trace(row.counted, row.counted_reason)
    ]


def doubles_across(reports: Iterable[Report]) -> dict[Place, Place]:
    """Return which of these reports (of one project) give way, and to which report that counts."""
    by_id: dict[tuple[str, str], list[Report]] = {}
    for report in reports:
        if report.input_tokens or report.output_tokens:
            by_id.setdefault((report.response_id, report.category), []).append(report)
    gives_way: dict[Place, Place] = {}
    for alike in by_id.values():
        if len(alike) < 2 or not any(report.lone_call for report in alike):
            continue
        for together in _at_one_time(sorted(alike, key=_IN_TIME)):
            if len({report.trace_id for report in together}) > 1 and len(together) <= MAX_REPORTS:
                for call in _calls(together):
                    gives_way |= _who_gives_way(call)
    return gives_way


def _at_one_time(reports: Sequence[Report]) -> Iterator[list[Report]]:
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
    if a.trace_id == b.trace_id or a.call_scope == b.call_scope or not (a.lone_call or b.lone_call):
        return False
    if b.start_ns - a.start_ns > MAX_APART_NS or a.input_tokens != b.input_tokens or not same_served_model(a, b):
        return False
    if a.output_tokens != b.output_tokens:
        return b.start_ns < b.end_ns <= a.end_ns or a.start_ns == b.start_ns < a.end_ns <= b.end_ns
    instant = b.start_ns == b.end_ns or a.start_ns == a.end_ns
    return overlap(a, b) or (instant and b.start_ns <= a.end_ns + NEAR_NS)


def _rank(report: Report) -> tuple[bool, bool, int, int, int, str, str]:
    inner = report.start_ns, -report.end_ns
    return is_priced(report), not report.lone_call, details(report), *inner, report.trace_id, report.span_id


def _who_gives_way(call: Sequence[Report]) -> dict[Place, Place]:
    best = max(call, key=_rank)
    return {
        report.place: best.place
        for report in call
        if report is not best and (report.lone_call or is_priced(best) > is_priced(report))
    }
