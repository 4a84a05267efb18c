"""Rules that hold a metric against fixed levels: threshold, and drift, quality and scaling on top of it.

The last three watch metrics that their workers write. Until a worker has written one, such a rule is not
observable: it says so, and never that all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

from spanhouse_server.derive.alerts.kinds.contract import Observation, State
from spanhouse_server.derive.alerts.kinds.parameters import Parameters
from spanhouse_server.derive.series import (
    MemorySeries,
    Point,
    Series,
    SeriesQuery,
    SeriesSource,
    adds_up,
    ratio_of,
    read_same,
)
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.alerts import Rule

#: How the buckets of a window become one value; ``whole`` measures the window as one bucket.
AGGREGATES = ("whole", "avg", "min", "max", "last")
#: Points of evidence beside the value itself.
EVIDENCE_POINTS = 60
#: Reads that one back-test may take where windows overlap and the metric cannot be added up.
MAX_READS = 200
_FOLD: Mapping[str, Callable[[Sequence[float]], float]] = {
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "last": lambda values: values[-1],
}


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a rule. ``sign`` is 1 where above is bad, -1 where below is.

    ``warning`` lies on the good side of ``breach``; an alert ends only past ``recover``.
    """

    sign: int
    breach: float
    warning: float | None
    recover: float | None
    aggregate: str
    bucket_s: int

    def judge(self, value: float | None) -> tuple[State, bool]:
        """Return the state of a value, and whether it is too near the level to end an alert."""
        if value is None:
            return "unknown", False
        if self.sign * value > self.sign * self.breach:
            return "breach", False
        if self.warning is not None and self.sign * value > self.sign * self.warning:
            return "warning", False
        holds = self.recover is not None and self.sign * value > self.sign * self.recover
        return "ok", holds


class Threshold:
    """A metric over the window, held against ``above`` or ``below``.

    Parameters: ``above`` or ``below`` (the level of a breach), ``warning`` (a milder level), ``recover`` (the level
    that ends an alert), ``aggregate`` (``whole`` measures the window as one bucket; ``avg``, ``min``, ``max`` and
    ``last`` fold its buckets of ``bucket_s``), ``bucket_s``.
    """

    def __init__(self, name: str = "threshold", missing: str = "") -> None:
        """``missing`` is what is said when the metric does not exist (yet); empty: that is an error."""
        self.name = name
        self.metric_use = "any" if missing else "needed"
        self._missing = missing

    def check(self, params: Mapping[str, Any]) -> Levels:
        """Return the levels; raise ``BadRequest``."""
        given = Parameters(params)
        above, below = given.number("above"), given.number("below")
        warning, recover = given.number("warning"), given.number("recover")
        aggregate = given.choice("aggregate", "whole", AGGREGATES)
        bucket_s = given.whole("bucket_s", 60, lowest=1, highest=86_400)
        given.finish()
        if (above is None) == (below is None):
            raise BadRequest("params needs either above or below", "above: 5 is a breach when the value is larger")
        sign, breach = (1, above) if above is not None else (-1, below)
        assert breach is not None
        first = breach
        if warning is not None:
            if sign * warning >= sign * breach:
                raise BadRequest("params.warning is not milder than the level of the breach")
            first = warning
        if recover is not None and sign * recover > sign * first:
            raise BadRequest("params.recover lies in the breach", "an alert ends when the value is past recover")
        return Levels(sign, breach, warning, recover, aggregate, bucket_s)

    def observe(self, rule: Rule, source: SeriesSource, at_s: int) -> list[Observation]:
        """Judge every group over the window that ends at ``at_s``."""
        levels: Levels = rule.params
        query = _query(rule, at_s)
        try:
            found = source.read(rule.project_id, query, at_s - rule.window_s, at_s)
        except BadQuery as error:
            if self._missing and error.message.startswith("there is no metric"):
                return [Observation({}, "unknown", None, {"reason": f"not observable: {self._missing}"})]
            raise
        return [self._judged(rule.metric, levels, series.labels, series.points) for series in found]

    def observe_over(
        self, rule: Rule, source: SeriesSource, from_s: int, to_s: int, step_s: int
    ) -> Iterator[tuple[int, list[Observation]]]:
        """Judge at every step, from one read where the metric can be added up and from few where it cannot."""
        levels: Levels = rule.params
        steps = range(from_s, to_s + 1, step_s)
        try:
            held = self._hold(rule, levels, source, steps)
        except BadQuery as error:
            if not (self._missing and error.message.startswith("there is no metric")):
                raise
            held = source
        for at_s in steps:
            yield at_s, self.observe(rule, held, at_s)

    def _hold(self, rule: Rule, levels: Levels, source: SeriesSource, steps: range) -> SeriesSource:
        first_s, last_s = steps[0] - rule.window_s, steps[-1]
        if levels.aggregate != "whole":
            width_s = levels.bucket_s
        elif adds_up(rule.metric):
            width_s = gcd(rule.window_s, steps.step, first_s)
        else:
            return self._hold_windows(rule, source, steps)
        query = replace(_query(rule, 0), interval_s=width_s, offset_s=0)
        parts = ratio_of(rule.metric)
        if parts is None:
            return MemorySeries({rule.metric: source.read(rule.project_id, query, first_s, last_s)}, width_s)
        above, below = (replace(query, metric=part) for part in parts)
        counted = source.read(rule.project_id, below, first_s, last_s)
        divided = read_same(source, rule.project_id, above, counted, first_s, last_s)
        return MemorySeries({parts[0]: divided, parts[1]: counted}, width_s)

    def _hold_windows(self, rule: Rule, source: SeriesSource, steps: range) -> SeriesSource:
        """Read the windows as they overlap: all that begin a whole number of windows apart at once."""
        offsets = sorted({at_s % rule.window_s for at_s in steps})
        if len(offsets) > MAX_READS:
            raise BadRequest(
                f"windows of {rule.window_s} s every {steps.step} s overlap more than {MAX_READS} times",
                "back-test it with a longer every_s",
            )
        return _Windows(
            {
                offset_s: MemorySeries(
                    {
                        rule.metric: source.read(
                            rule.project_id,
                            replace(_query(rule, 0), offset_s=offset_s),
                            steps[0] - rule.window_s,
                            steps[-1],
                        )
                    },
                    rule.window_s,
                )
                for offset_s in offsets
            }
        )

    def _judged(self, metric: str, levels: Levels, labels: Mapping[str, str], points: Sequence[Point]) -> Observation:
        known = [value for _, value in points if value is not None]
        value = None
        if known:
            value = _FOLD[levels.aggregate](known) if levels.aggregate in _FOLD else known[-1]
        state, holds = levels.judge(value)
        evidence: dict[str, Any] = {
            "points": [[start, point] for start, point in points[-EVIDENCE_POINTS:]],
            "threshold": {
                "direction": "above" if levels.sign > 0 else "below",
                "breach": levels.breach,
                "warning": levels.warning,
                "recover": levels.recover,
            },
        }
        if value is None:
            reason = "nothing was measured in the window"
            evidence["reason"] = f"not observable: {self._missing}" if self._missing else reason
        elif state in ("breach", "warning"):
            level = levels.breach if state == "breach" else levels.warning
            evidence["reason"] = f"{metric} is {value:g}, {evidence['threshold']['direction']} {level:g}"
        return Observation(labels, state, value, evidence, holds)


class _Windows:
    """Windows held by where they begin."""

    def __init__(self, held: Mapping[int, MemorySeries]) -> None:
        self._held = held

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        return self._held[query.offset_s].read(project_id, query, from_s, to_s)


def _query(rule: Rule, at_s: int) -> SeriesQuery:
    levels: Levels = rule.params
    if levels.aggregate == "whole":
        return SeriesQuery(rule.metric, rule.group_by, rule.q, rule.window_s, offset_s=at_s % rule.window_s)
    return SeriesQuery(rule.metric, rule.group_by, rule.q, levels.bucket_s)


DRIFT = Threshold("drift", "no worker has written this measure of drift yet")
QUALITY = Threshold("quality", "nothing was scored")
SCALING = Threshold("scaling", "no serving engine reports this metric")
