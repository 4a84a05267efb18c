"""A detector at work on one series: bucket by bucket, with what it has learnt of it.

For each bucket there is an expected value: the level of the series (the median departure from the season over the
last days) plus the season of its hour (``season``), on a scale where deviations are alike (``scales``). A bucket far
outside is a spike or a drop. Three sums tell what single buckets do not: a CUSUM against the slow level finds what
grows, and the test for steps, a sequential likelihood ratio against a level that follows within hours, finds a
moderate change as soon as the noise allows. Unusual hours are remembered as such and teach nothing, so an incident
does not become the norm, until it has lasted ``relearn_s``: then it is the new level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spanhouse_server.derive.anomaly.options import HOUR_S, WEEK_S, Options
from spanhouse_server.derive.anomaly.scales import SCALES, Scale
from spanhouse_server.derive.anomaly.season import FULL_WEEKS, MAD_TO_SD, Fit, Season, hour_of, middle
from spanhouse_server.derive.anomaly.verdict import Verdict, VerdictKind

_WEEK_H = WEEK_S // HOUR_S
#: The level is the median over so many hours: as long as the weekend is not known, over a whole week.
_LEVEL_H, _YOUNG_LEVEL_H = 96, _WEEK_H
#: What a material change weighs in the CUSUM's allowance: smaller lasting changes (a release) add up to nothing.
_ALLOWED = 0.75
#: In standard deviations: what is allowed on top of that, the least allowed in all, and the most that one bucket
#: adds, for no single bucket is creep.
_SLACK_SD, _LEAST_SD, _MOST_SD = 0.25, 1.0, 2.0
#: Where a bucket usually counts this many, one of none is no chance.
_MUCH = 8.0
#: A baseline of few weeks may be off for hours on end, which is no creep: how many of its doubts are allowed for.
_DOUBTS = 2.0
#: How far off the line between two hours may be, as a share of the way from one to the next.
_SLOPE_DOUBT = 0.25
#: Before a slot of the week has this many weeks nothing in it can be called unusual, so it teaches.
_WEEKS_TO_TELL = 2
#: The CUSUM is cut off at this multiple of ``h``, so that it comes down soon after the cause is gone.
_CUT = 1.5
#: How far from 1 the scatter may be corrected by how the last week went.
_MOST_CORRECTION = 3.0
#: The test for steps weighs a bucket by how far a material change would lie out in it: what is allowed on top, in
#: standard deviations, and the most that one bucket adds.
_STEP_SLACK_SD, _STEP_MOST = 0.1, 2.8
#: It needs this share of what the CUSUM needs, and allows for this many of the baseline's doubts.
_STEP_BOUND, _STEP_DOUBTS = 0.8, 1.0
#: Its level is the median over so many hours, for a release soon after it happened is no step any more.
_LATELY_H = 12
#: The new level is read off the last hours of what is relearnt, for it may have grown all the time.
_RELEARN_TAIL_H = 12


@dataclass(slots=True)
class _OpenHour:
    """The hour that is being filled: values, requests, residuals in standard deviations, level-free departures.

    ``rise`` and ``fall`` are the least material change on the scale, as of the last bucket.
    """

    number: int
    values: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    departures: list[float] = field(default_factory=list)
    flagged: int = 0
    rise: float = 0.0
    fall: float = 0.0

    def copy(self) -> _OpenHour:
        """Return a copy that can be filled by itself."""
        lists = {name: list(getattr(self, name)) for name in ("values", "requests", "scores", "departures")}
        return replace(self, **lists)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Pool:
    """Buckets of too few requests, waiting to be judged together with the next."""

    requests: float = 0.0
    total: float = 0.0
    since_s: int = 0

    def add(self, at_s: int, value: float, requests: float) -> tuple[float, float]:
        """Return the mean of what waits and this bucket, and its requests; what waited for an hour is dropped."""
        if not self.requests or at_s - self.since_s >= HOUR_S:
            self.requests, self.total, self.since_s = 0.0, 0.0, at_s
        self.requests += requests
        self.total += value * requests
        return (self.total / self.requests if self.requests else value), self.requests

    def clear(self) -> None:
        """Begin anew."""
        self.requests = self.total = 0.0


#: What a stream has learnt beside its season, its open hour and its pool.
_LEARNT = (
    "_first_s",
    "_level",
    "_lately",
    "_correction",
    "_departures",
    "_late",
    "_residuals",
    "_stretch",
    "_above",
    "_below",
    "_step_up",
    "_step_down",
    "_silent_s",
    "_line",
)


class Stream:
    """A detector at work on one series: what it has learnt, and the CUSUMs."""

    def __init__(self, options: Options, interval_s: int) -> None:
        self._options = options
        self._interval_s = interval_s
        self._scale: Scale = SCALES[options.scale]
        #: The least material change on the scale, where it is the same everywhere.
        same = options.scale == "ratio" and not options.min_delta
        self._change = math.log1p(options.min_ratio) if same else None
        self._season = Season(options, self._scale.thins)
        self._first_s: int | None = None
        #: Median departures from the season: of the last days, and of the last hours.
        self._level = 0.0
        self._lately = 0.0
        self._correction = 1.0
        #: Of the usual hours of the last week: median departure from the season, and median |residual|.
        self._departures: list[float] = []
        self._residuals: list[float] = []
        #: Of the last hours that were not materially off: median departure from the season.
        self._late: list[float] = []
        #: Unusual hours without a usual one between: number and median departure from the season.
        self._stretch: list[tuple[int, float]] = []
        self._above = 0.0
        self._below = 0.0
        self._step_up = 0.0
        self._step_down = 0.0
        self._hour = _OpenHour(-1)
        self._pool = _Pool()
        #: When the nothing began that follows on much.
        self._silent_s: int | None = None
        #: The baseline between the middles of two hours: number of the first, its centre, the way to the second.
        self._line = (-2, 0.0, 0.0)

    def copy(self) -> Stream:
        """Return a copy that can be carried on by itself."""
        made = Stream(self._options, self._interval_s)
        for name in _LEARNT:
            value = getattr(self, name)
            setattr(made, name, list(value) if isinstance(value, list) else value)
        made._season, made._hour, made._pool = self._season.copy(), self._hour.copy(), replace(self._pool)
        return made

    def kept(self) -> dict[str, Any]:
        """Return what was learnt as JSON can hold it; ``resumed`` takes it."""
        return {
            "learnt": [getattr(self, name) for name in _LEARNT],
            "hour": asdict(self._hour),
            "pool": asdict(self._pool),
            "season": self._season.kept(),
        }

    @classmethod
    def resumed(cls, options: Options, interval_s: int, kept: Mapping[str, Any]) -> Stream:
        """Return the stream that goes on where another with these options stood; errors of access: not such a state."""
        made = cls(options, interval_s)
        for name, value in zip(_LEARNT, kept["learnt"], strict=True):
            setattr(made, name, value)
        made._stretch = [(number, departure) for number, departure in made._stretch]
        made._line = tuple(made._line)  # type: ignore[assignment]
        made._hour, made._pool = _OpenHour(**kept["hour"]), _Pool(**kept["pool"])
        made._season = Season.resumed(options, made._scale.thins, kept["season"])
        return made

    def push(self, at_s: int, value: float | None, requests: float | None = None) -> Verdict:
        """Take the next bucket (``at_s``: its start) and judge it; buckets come in the order of time."""
        number = at_s // HOUR_S
        if number != self._hour.number:
            self._close_hour()
            self._hour = _OpenHour(number)
        expected = self._expected(at_s)
        if value is None or value != value:
            return self._silent(at_s, value, expected)
        if requests is not None and self._scale.pools:
            value, requests = self._pool.add(at_s, value, requests)
            if requests < self._options.min_requests:
                return self._silent(at_s, value, expected)
            self._pool.clear()
        if self._first_s is None:
            self._first_s = at_s
        if value or self._scale.pools:
            self._silent_s = None
        elif expected is not None and self._scale.down(self._level + expected) >= _MUCH:
            self._silent_s = at_s if self._silent_s is None else self._silent_s
            if at_s + self._interval_s - self._silent_s <= self._options.silence_s:
                return self._silent(at_s, None, expected)
        y = self._scale.up(value, requests)
        hour = self._hour
        if requests is not None:
            hour.requests.append(requests)
        if expected is None or at_s - self._first_s < self._options.learn_s:
            hour.values.append(y)
            if expected is not None:
                hour.departures.append(y - expected)
            return Verdict(at_s, value, None, None, None, 0.0, "learning")
        return self._judged(at_s, value, y, self._level + expected, requests)

    def _judged(self, at_s: int, value: float, y: float, expected_y: float, requests: float | None) -> Verdict:
        options, scale, hour = self._options, self._scale, self._hour
        expected = scale.down(expected_y)
        fit = self._season.fit(hour.number)
        plain = self._scatter(fit, expected, requests)
        scatter = plain * self._correction
        if self._change is not None:
            rise = fall = self._change
        else:
            most = max(expected * (1 + options.min_ratio), expected + options.min_delta)
            least = min(expected / (1 + options.min_ratio), expected - options.min_delta)
            rise, fall = scale.up(most, None) - expected_y, expected_y - scale.up(least, None)
        residual = y - expected_y
        upper, lower = max(options.k * scatter, rise), max(options.k * scatter, fall)
        unsure = fit.doubt if fit else 0.0
        doubt = _DOUBTS * unsure
        self._above = above = self._summed(self._above, residual / scatter, (_ALLOWED * rise + doubt) / scatter)
        self._below = below = self._summed(self._below, -residual / scatter, (_ALLOWED * fall + doubt) / scatter)
        if scale.thins:
            up, down = self._steps(residual / scatter, rise / scatter, fall / scatter, unsure / scatter, scatter)
            above, below = max(above, up), max(below, down)
        hour.rise, hour.fall = rise, fall
        kind: VerdictKind = "ok"
        score = residual / (upper if residual > 0 else lower)
        if score >= 1.0 or score <= -1.0:
            kind = "spike" if score > 0 else "drop"
        elif above >= options.h or below >= options.h:
            kind = "creep"
            score = above / options.h if above >= below else -below / options.h
        hour.values.append(y - self._level)
        hour.departures.append(residual + self._level)
        hour.scores.append(abs(residual) / plain)
        hour.flagged += kind != "ok"
        return Verdict(
            at_s, value, expected, scale.down(expected_y - lower), scale.down(expected_y + upper), score, kind
        )

    def _silent(self, at_s: int, value: float | None, expected_y: float | None) -> Verdict:
        expected = None if expected_y is None else self._scale.down(self._level + expected_y)
        return Verdict(at_s, value, expected, None, None, 0.0, "no_data")

    def _summed(self, before: float, score: float, allowed: float) -> float:
        step = score - max(allowed + _SLACK_SD, _LEAST_SD)
        after = before + (step if step < _MOST_SD else _MOST_SD)
        most = self._options.h * _CUT
        return 0.0 if after < 0.0 else most if after > most else after

    def _steps(self, score: float, rise: float, fall: float, doubt: float, scatter: float) -> tuple[float, float]:
        """Return the sums of the test for steps, up and down, as multiples of the CUSUM's; all in standard deviations.

        A rise is held against the higher of the slow level and that of the last hours, a fall against the lower.
        """
        moved = (self._lately - self._level) / scatter
        self._step_up = self._stepped(self._step_up, score - max(moved, 0.0), rise, doubt)
        self._step_down = self._stepped(self._step_down, min(moved, 0.0) - score, fall, doubt)
        return self._step_up / _STEP_BOUND, self._step_down / _STEP_BOUND

    def _stepped(self, before: float, score: float, change: float, doubt: float) -> float:
        """Return a sum of log-likelihoods of a change by twice what is allowed.

        Where one bucket tells little it needs many, where it tells much a few: their number follows from the noise.
        """
        allowed = max(_ALLOWED * change + _STEP_SLACK_SD, _LEAST_SD)
        after = before + min(allowed * (score - allowed - _STEP_DOUBTS * doubt), _STEP_MOST)
        return min(max(after, 0.0), self._options.h * _CUT * _STEP_BOUND)

    def _expected(self, at_s: int) -> float | None:
        """Return the season at the middle of a bucket, on a line between the middles of two hours."""
        position = (at_s + self._interval_s / 2) / HOUR_S - 0.5
        before = int(position)
        if before != self._line[0]:
            first, second = self._season.fit(before), self._season.fit(before + 1)
            if first is None or second is None:
                return None
            self._line = before, first.centre, second.centre - first.centre
        return self._line[1] + (position - before) * self._line[2]

    def _scatter(self, fit: Fit | None, expected: float, requests: float | None) -> float:
        """Return the standard deviation of this hour's buckets, as far as the season knows."""
        # Between the middles of two hours the shape is not known: it may be a slope or a step.
        scatter = math.hypot(fit.scatter if fit else 0.0, _SLOPE_DOUBT * self._line[2])
        if requests and fit and fit.requests and self._scale.thins:
            if fit.noise is not None:
                least = fit.noise / requests
                scatter = max(scatter**2 + least - fit.noise / fit.requests, least) ** 0.5
            elif fit.requests > requests:
                scatter *= (fit.requests / requests) ** 0.5
        return max(scatter, self._scale.floor(expected, requests), 1e-9)

    def _close_hour(self) -> None:
        hour = self._hour
        if not hour.values:
            return
        fit = self._season.fit(hour.number)
        unusual = hour.flagged * 3 >= len(hour.values) and fit is not None and fit.weeks >= _WEEKS_TO_TELL
        record = hour_of(hour.values, hour.requests, unusual)
        if fit is not None:
            from_weeks = record.centre - (fit.centre if fit.before is None else fit.before)
            # A new daily habit stays unusual to the weeks before it until those have passed, or it has.
            kept_up = fit.before is not None and abs(from_weeks) > abs(record.centre - fit.centre)
            record = record._replace(unusual=unusual or kept_up, departure=from_weeks)
        self._season.add(hour.number, record)
        if hour.departures:
            departure = middle(sorted(hour.departures))
            if -hour.fall < departure - self._level < hour.rise:
                self._late = [*self._late[-(_LATELY_H - 1) :], departure]
                self._lately = middle(sorted(self._late))
            if unusual:
                self._stretch.append((hour.number, departure))
                self._relearn()
                return
            self._departures = [*self._departures[-(_WEEK_H - 1) :], departure]
            if len(self._departures) == _WEEK_H or self._level:
                grown = fit is not None and fit.weeks >= FULL_WEEKS
                self._level = middle(sorted(self._departures[-(_LEVEL_H if grown else _YOUNG_LEVEL_H) :]))
        if hour.scores:
            self._residuals = [*self._residuals[-(_WEEK_H - 1) :], middle(sorted(hour.scores))]
            # Of a Gaussian the median |residual| is 1 / 1.4826: more of late means bounds too narrow for it.
            correction = MAD_TO_SD * middle(sorted(self._residuals))
            self._correction = min(max(correction, 1.0), _MOST_CORRECTION)
        self._stretch.clear()

    def _relearn(self) -> None:
        """Take a departure that has lasted long enough for the level."""
        if (len(self._stretch) - 1) * HOUR_S < self._options.relearn_s:
            return
        tail = [departure for _, departure in self._stretch[-_RELEARN_TAIL_H:]]
        level = middle(sorted(tail))
        for number, _ in self._stretch:
            if number in self._season.hours:
                old = self._season.hours[number]
                self._season.hours[number] = old._replace(centre=old.centre + self._level - level, unusual=False)
        self._level = level
        self._departures = tail
        self._above = self._below = 0.0
        self._step_up = self._step_down = 0.0
        self._late, self._lately = tail, level
        self._stretch.clear()
