"""Rules that fire when a metric departs from its own seasonal baseline.

What a series has taught is kept in memory between evaluations, so that each reads only what is new, and in the
records store, so that a start does not read everything again (``anomaly.memory``). The last
buckets are read again every time, since late spans may still change them; older changes are not noticed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.kinds.parameters import Parameters
from spanhouse_server.derive.anomaly import Detector, Options, Verdict, scale_of
from spanhouse_server.derive.anomaly.memory import LearntStates, Memory, Watched, lesson_of, packed, unpacked
from spanhouse_server.derive.anomaly.options import DAY_S, HOUR_S
from spanhouse_server.derive.series import (
    Series,
    SeriesQuery,
    SeriesSource,
    divided,
    empty_value,
    group_of,
    ratio_of,
    read_same,
)
from spanhouse_server.errors import BadRequest, Unavailable
from spanhouse_server.model.alerts import Rule
from spanhouse_server.query.figures import find_figure
from spanhouse_server.query.metrics import Group

DIRECTIONS = ("both", "up", "down")
#: The last buckets, which late spans may still change: they are judged, but not learnt from yet.
UNSETTLED_BUCKETS = 3
#: Series that all rules together may keep in memory, about 0.2 MB each.
MAX_SERIES = 1000
#: Groups kept in memory, as a multiple of those that are read.
MOST_GROUPS = 2
#: What is learnt is kept for the next start this often: so much is read again at most.
SAVE_EVERY_S = 3 * HOUR_S
#: A value this near its bound (as a share of the way) does not end an alert.
HOLDS = 0.6


@dataclass(frozen=True, slots=True)
class Watch:
    """The parameters of a rule: what it looks for, and how far back and over how many groups (the largest)."""

    direction: Literal["both", "up", "down"]
    options: Options
    history_s: int
    groups: int
    confirm: int


class Anomaly:
    """A metric that departs from what is normal for it at this hour of the week, group by group.

    The rule's ``window_s`` is the width of a bucket and must divide an hour. Parameters: ``direction`` (``up``,
    ``down`` or ``both``), ``deviations`` (robust standard deviations that make a spike), ``creep`` (the bound of the
    CUSUM), ``min_change`` (0.25: a quarter more, or divided by 1.25) and ``min_delta`` (in the metric's unit), both of
    which a change must reach to matter, ``min_requests`` that are judged at once, ``silence_s`` (a count of nothing
    is missing telemetry before that), ``relearn_s`` (a new level is normal after that), ``learn_s`` (nothing is judged
    before), ``history_s`` and ``groups`` (the largest are watched).
    """

    name = "anomaly"
    metric_use = "needed"
    #: All of its history is read at first.
    starts_slowly = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._memories: WeakKeyDictionary[SeriesSource, OrderedDict[str, Memory]] = WeakKeyDictionary()
        self._saved_s: dict[str, int] = {}

    def check(self, params: Mapping[str, Any]) -> Watch:
        """Return the parameters; raise ``BadRequest``."""
        given, usual = Parameters(params), Options()
        direction = given.choice("direction", "both", DIRECTIONS)
        options = Options(
            k=_number(given, "deviations", usual.k, 2.0, 100.0),
            h=_number(given, "creep", usual.h, 2.0, 1000.0),
            min_ratio=_number(given, "min_change", usual.min_ratio, 0.0, 1000.0),
            min_delta=_number(given, "min_delta", usual.min_delta, 0.0, 1e12),
            min_requests=_number(given, "min_requests", usual.min_requests, 0.0, 1e9),
            silence_s=given.whole("silence_s", usual.silence_s, lowest=0, highest=28 * DAY_S),
            learn_s=given.whole("learn_s", usual.learn_s, lowest=HOUR_S, highest=28 * DAY_S),
            relearn_s=given.whole("relearn_s", usual.relearn_s, lowest=HOUR_S, highest=28 * DAY_S),
        )
        history_s = given.whole("history_s", usual.memory_s, lowest=DAY_S, highest=usual.memory_s)
        groups = given.whole("groups", 20, lowest=1, highest=100)
        confirm = given.whole("confirm", 1, lowest=1, highest=12)
        given.finish()
        return Watch(direction, replace(options, memory_s=history_s), history_s, groups, confirm)  # type: ignore[arg-type]

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge the last whole bucket of every group; raise ``BadRequest`` for buckets that do not fill an hour."""
        return next(self.observe_over(rule, source, at_s, at_s, 1))[1]

    def probe(self, rule: Rule, source: SeriesSource, at_s: int) -> None:
        """Read one bucket, so that a rule that cannot be read is told apart without weeks of history."""
        end_s = _last_bucket_end(rule, at_s)
        _read(rule, source, end_s - rule.window_s, end_s)

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Judge at every step from one read."""
        last_end_s = _last_bucket_end(rule, to_s)
        memory = self._recalled(rule, source, _last_bucket_end(rule, from_s))
        buckets = _read(rule, source, memory.next_s, last_end_s, list(memory.groups))
        settled_s = last_end_s - UNSETTLED_BUCKETS * rule.window_s
        seen: list[Observation] | None = None
        for at_s in range(from_s, to_s + 1, step_s):
            end_s = _last_bucket_end(rule, at_s)
            if seen is None or end_s > memory.next_s:
                if memory.next_s <= settled_s < end_s:
                    _advance(rule, memory, buckets, settled_s)
                    self._keep(rule, source, memory.copy())
                _advance(rule, memory, buckets, end_s)
                seen = [_observation(rule, each) for each in memory.groups.values() if each.recent]
            yield at_s, seen

    def _recalled(self, rule: Rule, source: SeriesSource, end_s: int) -> Memory:
        """Return what the rule has learnt up to some buckets before ``end_s``, or nothing learnt yet."""
        watch: Watch = rule.params
        first_s = max(end_s - watch.history_s, 0) // rule.window_s * rule.window_s
        settled_s = end_s - UNSETTLED_BUCKETS * rule.window_s
        name, lesson = _name(rule), _lesson(rule)
        with self._lock:
            memory = self._memories.get(source, {}).get(name)
        if memory is not None and memory.lesson == lesson and first_s < memory.next_s <= settled_s:
            return memory.copy()
        states = _states(source)
        if states is not None and memory is None and (text := states.load(name)):
            kept = unpacked(text, lesson, _options(rule), rule.window_s)
            if kept is not None and first_s < kept.next_s <= settled_s:
                return kept
        return Memory(lesson, first_s)

    def _keep(self, rule: Rule, source: SeriesSource, memory: Memory) -> None:
        """Keep what a rule has learnt; over the bound, what was used longest ago is forgotten here and read again."""
        name = _name(rule)
        with self._lock:
            kept = self._memories.setdefault(source, OrderedDict())
            kept[name] = memory
            kept.move_to_end(name)
            while sum(len(each.groups) for each in kept.values()) > MAX_SERIES and len(kept) > 1:
                kept.popitem(last=False)
        states = _states(source)
        key = f"{name} {memory.lesson}"
        if states is not None and not 0 <= memory.next_s - self._saved_s.get(key, -SAVE_EVERY_S) < SAVE_EVERY_S:
            with suppress(Unavailable):
                states.save(name, packed(memory), memory.next_s)
                self._saved_s[key] = memory.next_s


def _name(rule: Rule) -> str:
    return f"{rule.project_id}.{rule.id}"


def _lesson(rule: Rule) -> str:
    watch: Watch = rule.params
    return lesson_of(rule.metric, rule.group_by, rule.q, rule.window_s, watch.options, watch.history_s, watch.groups)


def _options(rule: Rule) -> Options:
    watch: Watch = rule.params
    return replace(watch.options, scale=scale_of(rule.metric))


def _states(source: SeriesSource) -> LearntStates | None:
    return getattr(source, "learnt", None)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """What was read: per group, the values and the requests they are made of from ``first_s`` on."""

    first_s: int
    width_s: int
    count: int
    empty: float | None
    groups: Mapping[tuple[str, ...], tuple[Mapping[str, str], Sequence[float | None], Sequence[float | None] | None]]


def _number(given: Parameters, name: str, usual: float, lowest: float, highest: float) -> float:
    value = given.number(name, usual, lowest=lowest, highest=highest)
    return usual if value is None else value


def samples_of(metric: str) -> str | None:
    """Return the metric that counts what a value is made of, or nothing for metrics that are counts themselves."""
    if scale_of(metric) == "count":
        return None
    if parts := ratio_of(metric):
        return parts[1] if scale_of(parts[1]) == "count" else None
    base = metric.partition(".")[0]
    if base == "score":
        return f"score.{find_figure(metric).score_name}.count"
    return {"duration_ms": "spans", "trace_duration_ms": "traces"}.get(base, "requests")


def _last_bucket_end(rule: Rule, at_s: int) -> int:
    if HOUR_S % rule.window_s:
        raise BadRequest(
            f"window_s: an anomaly rule's buckets of {rule.window_s} s do not divide an hour",
            "use 60, 300, 600, 900, 1800 or 3600",
        )
    return at_s // rule.window_s * rule.window_s


def _read(rule: Rule, source: SeriesSource, from_s: int, to_s: int, known: Sequence[Group] = ()) -> _Buckets:
    """Read the largest groups and the ``known`` ones: who is not among the largest for a while is not silent."""
    watch: Watch = rule.params
    query = SeriesQuery(rule.metric, rule.group_by, rule.q, rule.window_s, watch.groups)
    if rule.group_by:
        query = replace(query, known=known)
    name, parts = samples_of(rule.metric), ratio_of(rule.metric)
    counted: Sequence[Series] = ()
    if parts and name == parts[1]:
        # What is divided by is read once.
        counted = source.read(rule.project_id, replace(query, metric=name), from_s, to_s)
        above = replace(query, metric=parts[0])
        found = divided(read_same(source, rule.project_id, above, counted, from_s, to_s), counted)
    else:
        found = source.read(rule.project_id, query, from_s, to_s)
        if name:
            counted = read_same(source, rule.project_id, replace(query, metric=name), found, from_s, to_s)
    samples = {_key(rule, series.labels): [value for _, value in series.points] for series in counted}
    count = (to_s - from_s) // rule.window_s
    groups = {
        _key(rule, series.labels): (
            series.labels,
            [value for _, value in series.points][:count],
            samples.get(_key(rule, series.labels)),
        )
        for series in found
    }
    return _Buckets(from_s, rule.window_s, count, empty_value(rule.metric), groups)


def _key(rule: Rule, labels: Mapping[str, str]) -> Group:
    return group_of(rule.group_by, labels)


def _advance(rule: Rule, memory: Memory, buckets: _Buckets, end_s: int) -> None:
    """Take in the buckets up to ``end_s``; a known group that was not read had nothing to measure."""
    first = (memory.next_s - buckets.first_s) // buckets.width_s
    last = min((end_s - buckets.first_s) // buckets.width_s, buckets.count)
    if last <= first:
        return
    watch: Watch = rule.params
    for key, (labels, _, _) in buckets.groups.items():
        if key not in memory.groups:
            detector = Detector(_options(rule), rule.window_s)
            memory.groups[key] = Watched(labels, detector.stream(), buckets.empty is not None)
    for key, watched in memory.groups.items():
        read = buckets.groups.get(key)
        for index in range(first, last):
            value = buckets.empty if read is None else read[1][index]
            requests = None if read is None or read[2] is None else read[2][index]
            watched.push(buckets.first_s + index * buckets.width_s, value, requests)
    memory.next_s = buckets.first_s + last * buckets.width_s
    # Which groups are the largest changes all the time: those silent for longest make room.
    if len(memory.groups) > MOST_GROUPS * watch.groups:
        for key in sorted(memory.groups, key=lambda each: memory.groups[each].heard_s)[: -MOST_GROUPS * watch.groups]:
            del memory.groups[key]


def _observation(rule: Rule, watched: Watched) -> Observation:
    watch: Watch = rule.params
    verdict = watched.recent[-1]
    if verdict.kind == "learning":
        return Observation(watched.labels, "unknown", verdict.value, {"reason": "still learning what is normal"})
    if verdict.kind == "no_data":
        return Observation(watched.labels, "unknown", verdict.value, {"reason": "too little to judge"})
    normal = verdict.at_s, verdict.expected, verdict.low, verdict.high
    score = {"both": abs(verdict.score), "up": verdict.score, "down": -verdict.score}[watch.direction]
    if not verdict.anomalous or score <= 0:
        return Observation(watched.labels, "ok", verdict.value, holds=score >= HOLDS, normal=normal)
    if verdict.kind != "creep" and not _confirmed(watched.recent, watch.confirm):
        return Observation(watched.labels, "ok", verdict.value, holds=True, normal=normal)
    evidence = {
        "points": [[each.at_s, each.value] for each in watched.recent],
        "baseline": [[each.at_s, each.expected, each.low, each.high] for each in watched.recent],
        "reason": _reason(rule.metric, verdict),
        "anomaly": verdict.kind,
        "score": round(verdict.score, 3),
    }
    return Observation(watched.labels, "breach", verdict.value, evidence, normal=normal)


def _confirmed(recent: Sequence[Verdict], times: int) -> bool:
    """Tell whether the last verdicts that could be made, this many, were all anomalous to one side."""
    last = [each for each in recent if each.kind not in ("no_data", "learning")][-times:]
    return len(last) == times and all(each.anomalous and (each.score > 0) == (last[-1].score > 0) for each in last)


def _reason(metric: str, verdict: Verdict) -> str:
    value, expected = verdict.value or 0.0, verdict.expected or 0.0
    change = f" ({(value - expected) / expected:+.0%})" if expected > 0 else ""
    said = f"{metric} is {value:.4g}, expected {expected:.4g}{change}"
    if verdict.kind == "creep":
        return (
            f"{said}: it has kept {'above' if verdict.score > 0 else 'below'} what is normal at this time for a while"
        )
    if verdict.low is None or verdict.high is None:
        return said
    return f"{said}: outside {verdict.low:.4g} to {verdict.high:.4g}, which is normal at this time"
