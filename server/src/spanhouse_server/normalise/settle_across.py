"""Reports of one call in two traces, and which of them gives way.

Two instrumentations that share no context put a call into two traces: a framework's span in the trace
of its run and the SDK's in one of its own, both in traces of their own, or the client's, a gateway's and an
engine's each in the trace of its service. What they share is the id of the response, their own or one that
another report in their trace lends them (``settle_ids``); of a stream whose end is told without an id it is
a key (``settle_streams``). They come from different instrumentations (scopes), for one of them never
reports a call twice, and report the same input tokens.

An id that looks random, and that no instrumentation tells twice within a minute of the others, is of one call:

- its reports tell the same output tokens and overlap in time, whatever they call the model (a gateway's alias);
- or they come from machines whose clocks differ by up to a minute;
- or one runs within the other (a wrapper that adds up a stream wrongly is still a wrapper), be it that it
  waited for many minutes before it was let through.

Any other id says less: a gateway that answers from its cache, an engine that counts and a stand-in repeat
theirs. Such reports must overlap, name the same model and begin within a minute of each other; an id of more
than ``MAX_REPORTS`` reports at one time says nothing.

One report counts, all others give way. First the money must be right: one that could be priced goes
before one that could not, and one that tells of tokens with a price of their own (cached, spoken)
before one that leaves them in the total; a client's before an engine's. Then the figures stay with the run,
its user and its session: a *lone* report, with nothing above it but other spans of the call, gives way. Of
equals the one that tells more counts, then one with a user or a session, then the inner. The verdict depends
on the set of the reports alone, not on which trace came first.
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
from spanhouse_server.normalise.settle_ids import is_random, is_stream_key
from spanhouse_server.normalise.settle_usage import OTHER_TRACE

#: Two reports of a call begin at most this far apart, but for the record of its end: that comes when it is over.
MAX_APART_NS = 60 * NS_PER_S
#: How far the clocks of two machines may differ, and how long after a stream's last piece its reader may be done.
MAX_SKEW_NS = 60 * NS_PER_S
#: How long a call may wait within another report of it: in a queue, or for what was tried before.
MAX_WAIT_NS = 900 * NS_PER_S
MAX_STREAM_NS = 3600 * NS_PER_S
#: Reports that may share a response id at one time; beyond, it is no id.
MAX_REPORTS = 16

_MINUTE_NS = 60 * NS_PER_S

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
        if is_stream_key(self.key):
            return self.start_ns - (0 if self.end_ns > self.start_ns else MAX_STREAM_NS)
        if self.end_ns > self.start_ns and not is_random(self.key):
            return self.start_ns - MAX_APART_NS
        return self.start_ns - MAX_WAIT_NS - MAX_SKEW_NS

    @property
    def until_ns(self) -> int:
        """Return when the last report of it has begun, however late it says to have ended."""
        longest_ns = MAX_STREAM_NS if is_stream_key(self.key) else MAX_WAIT_NS
        return min(max(self.start_ns, self.end_ns), self.start_ns + longest_ns) + MAX_SKEW_NS

    @property
    def minutes(self) -> range:
        """Return the minutes (since 1970) it shares with every other report of it; none where its key is enough."""
        if is_random(self.key):
            return range(0)
        last_ns = self.start_ns
        if self.end_ns > self.start_ns:
            last_ns = self.until_ns if is_stream_key(self.key) else self.until_ns - MAX_SKEW_NS + NEAR_NS
        return range(self.start_ns // _MINUTE_NS, last_ns // _MINUTE_NS + 1)


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
    service_name: str
    host_name: str
    service_instance_id: str

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


def calls_of(report: Report) -> list[Call]:
    """Return the same of a report, one call for each of its keys."""
    return [Call(key, report.start_ns, report.end_ns, report.call_scope) for key in report.keys]


def _is_call(row: IndexRow) -> bool:
    told = row.response_id or row.stream_key
    # An engine's span has a scope here only where it stands for a call (``settle``).
    return bool(told) and row.start_ns > 0 and (row.category in MODEL_CATEGORIES or bool(row.call_scope))


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
    by_key: dict[str, list[Report]] = {}
    for report in reports:
        if report.input_tokens or report.output_tokens:
            for key in report.keys:
                by_key.setdefault(key, []).append(report)
    gives_way: dict[Place, Report] = {}
    for key, alike in by_key.items():
        if len(alike) > 1:
            alike.sort(key=_IN_TIME)
            for call in _streams(alike) if is_stream_key(key) else _calls_of_id(alike, is_random(key)):
                _give_way(call, gives_way)
    return {place: _that_counts(report, gives_way) for place, report in gives_way.items()}


def _calls_of_id(reports: Sequence[Report], random: bool) -> Iterator[list[Report]]:
    """Yield the calls of these reports (by start) with one id."""
    for chain in _in_groups(reports, MAX_SKEW_NS if random else NEAR_NS):
        if len({report.trace_id for report in chain}) < 2:
            continue
        if random and len({report.call_scope for report in chain}) == len(chain) <= MAX_REPORTS:
            yield from _linked(chain)
            continue
        for group in _in_groups(chain, NEAR_NS) if random else [chain]:
            if len(group) <= MAX_REPORTS:
                yield from _calls(group)


def _in_groups(reports: Sequence[Report], apart_ns: int) -> Iterator[list[Report]]:
    """Yield the reports (by start) in groups between which nothing runs for so long."""
    group: list[Report] = []
    latest_ns = 0
    for report in reports:
        if group and report.start_ns > latest_ns:
            yield group
            group = []
        group.append(report)
        latest_ns = max(latest_ns, min(report.end_ns, report.start_ns + MAX_WAIT_NS) + apart_ns)
    yield group


def _calls(reports: Sequence[Report]) -> list[list[Report]]:
    """Return the calls of reports (by start) any two of which may be of two calls."""
    calls: list[list[Report]] = []
    for report in reports:
        for call in calls:
            if all(_one_call(other, report) for other in call):
                call.append(report)
                break
        else:
            calls.append([report])
    return calls


def _linked(reports: Sequence[Report]) -> list[list[Report]]:
    """Return the calls of reports (by start) of one id that is told once by each: of two, a third may tell that they are one."""
    calls: list[list[Report]] = []
    for report in reports:
        whole = [report]
        others = []
        for call in calls:
            traces = {each.trace_id for each in whole}
            links = traces.isdisjoint(each.trace_id for each in call) and any(
                _is_told_once(each, report) for each in call
            )
            if links:
                whole = [*call, *whole]
            else:
                others.append(call)
        calls = [*others, whole]
    return calls


def _one_call(a: Report, b: Report) -> bool:
    """Tell whether two reports, the second not begun before the first, are of one call."""
    if a.trace_id == b.trace_id or a.call_scope == b.call_scope or not _same_kind(a, b):
        return False
    if b.start_ns - a.start_ns > (MAX_APART_NS if b.end_ns > b.start_ns else MAX_WAIT_NS):
        return False
    if a.input_tokens != b.input_tokens or not same_served_model(a, b):
        return False
    return _is_within(a, b) if a.output_tokens != b.output_tokens else at_one_time(a, b)


def _is_told_once(a: Report, b: Report) -> bool:
    """Tell the same where the id is random and nobody tells it twice."""
    if a.trace_id == b.trace_id or not _same_kind(a, b) or a.input_tokens != b.input_tokens:
        return False
    if b.start_ns - a.start_ns > MAX_WAIT_NS:
        return False
    if a.output_tokens != b.output_tokens:
        return same_served_model(a, b) and _is_within(a, b)
    if at_one_time(a, b):
        return True
    return b.start_ns - max(a.start_ns, a.end_ns) <= MAX_SKEW_NS and _on_two_machines(a, b)


def _same_kind(a: Report, b: Report) -> bool:
    # An engine does not say what it was asked to do.
    return a.category == b.category or "server" in (a.category, b.category)


def _is_within(a: Report, b: Report) -> bool:
    return b.start_ns < b.end_ns <= a.end_ns or a.start_ns == b.start_ns < a.end_ns <= b.end_ns


def _on_two_machines(a: Report, b: Report) -> bool:
    """Tell whether the clocks of two reports may differ, by what is known of their machines."""
    if a.host_name and b.host_name:
        return a.host_name != b.host_name
    return bool(a.service_name and b.service_name) and a.service_name != b.service_name


def _streams(reports: Sequence[Report]) -> list[list[Report]]:
    """Return streams with the record of their end; each has one, written by the process that made the call.

    Calls with equal figures may be many, and the pairs are all that is told: first those where the record comes at
    the end, the nearest first; then, as readers of streams take their time, of what may be the one that ended first.
    """
    ends = [report for report in reports if report.start_ns == report.end_ns]
    calls = [report for report in reports if report.start_ns < report.end_ns]
    near = sorted(
        (abs(end.start_ns - call.end_ns), at, by)
        for at, call in enumerate(calls)
        for by, end in enumerate(ends)
        if abs(end.start_ns - call.end_ns) <= NEAR_NS and _ends(call, end)
    )
    by_end: dict[int, int] = {}
    taken: set[int] = set()
    for _, at, by in near:
        if at not in taken and by not in by_end:
            by_end[by] = at
            taken.add(at)
    in_order = sorted(range(len(calls)), key=lambda at: (calls[at].end_ns, calls[at].place))
    for by, end in enumerate(ends):
        if by not in by_end:
            first = next((at for at in in_order if at not in taken and _ends(calls[at], end)), None)
            if first is not None:
                by_end[by] = first
                taken.add(first)
    return [[calls[at], ends[by]] for by, at in by_end.items()]


def _ends(call: Report, record: Report) -> bool:
    """Tell whether a record may be of the end of a call."""
    late_ns = record.start_ns - call.start_ns
    return (
        0 <= late_ns <= MAX_STREAM_NS
        and record.start_ns <= call.end_ns + MAX_SKEW_NS
        and call.trace_id != record.trace_id
        and call.call_scope != record.call_scope
        and call.category == record.category
        and same_served_model(call, record)
        and _process(call) == _process(record)
    )


def _process(report: Report) -> tuple[str, str, str]:
    return report.service_name, report.host_name, report.service_instance_id


def _rank(report: Report) -> tuple[bool, bool, bool, bool, int, bool, int, int, str, str]:
    apart = bool(report.cache_read_tokens or report.cache_write_tokens or report.audio_input_tokens)
    placed = bool(report.session_id or report.user_id)
    inner = report.start_ns, -report.end_ns
    place = report.trace_id, report.span_id
    client = report.category != "server"
    return is_priced(report), apart, client, not report.lone_call, details(report), placed, *inner, *place


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
