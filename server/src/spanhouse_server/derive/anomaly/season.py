"""What an hour of the week is normally like: the memory of a series, and the baseline fitted to it.

Values are kept per hour, on the detector's scale and with the series' level taken off, so that a level that moved
does not blur the shape. The centre of an hour is the median over the same hour of past weeks (``week``). With few
weeks it is drawn to the median of the same hour of past days (``day``), and before a week is over to that of
everything seen (``flat``). Where the three disagree and the better ones are young, the bounds are wider by that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any, NamedTuple

from spanhouse_server.derive.anomaly.options import DAY_S, HOUR_S, WEEK_S, Options

MAD_TO_SD = 1.4826
_DAY_H, _WEEK_H = DAY_S // HOUR_S, WEEK_S // HOUR_S
#: Weeks after which the hour of the week stands alone.
FULL_WEEKS = 3
_DAYS = 14
#: Something unusual at the same hour of this many days, or weeks, in a row is the rule.
_REPEATS = 3
#: The typical scatter weighs as much as this many weeks of an hour's own.
_PRIOR_WEEKS = 2
#: What the usual noise of a request says of an hour weighs as much as this many weeks of its own.
_PRIOR_COUNTED_WEEKS = 6
#: The variance of the median of n values is this by n of theirs; of an hour's twelve buckets a share.
_MEDIAN_VARIANCE = 1.57
_OF_AN_HOUR = _MEDIAN_VARIANCE / 12
#: An hour of the week that lies this many squared standard errors from its hour of the day is one of its own.
_OWN = 9.0
#: A MAD of few values is too small on average: what makes up for it, by their number.
_FEW = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)


class Hour(NamedTuple):
    """One past hour: median and scatter (MAD, as a standard deviation) of its buckets, their usual number of requests.

    ``unusual`` hours are remembered, but teach nothing unless they become the rule. ``departure`` is how far the
    centre lies from what the weeks before said.
    """

    centre: float
    scatter: float
    requests: float | None
    unusual: bool = False
    departure: float = 0.0


def hour_of(values: Sequence[float], requests: Sequence[float], unusual: bool) -> Hour:
    """Return the record of an hour's values."""
    centre = middle(sorted(values))
    scatter = MAD_TO_SD * middle(sorted([abs(value - centre) for value in values]))
    return Hour(centre, scatter, middle(sorted(requests)) if requests else None, unusual)


@dataclass(frozen=True, slots=True)
class Fit:
    """The baseline of one hour, without the level.

    ``scatter`` is a standard deviation of buckets, ``doubt`` how far the centre itself may be off for want of weeks.
    ``weeks`` is how many of them it rests on, ``requests`` how many a bucket usually has. ``before`` is the centre of
    the weeks where a new daily habit has taken their place. ``noise`` is the variance of one request: a bucket of n has
    that by n, and what lies between hours on top.
    """

    centre: float
    scatter: float
    doubt: float
    weeks: int
    requests: float | None
    before: float | None = None
    noise: float | None = None


@dataclass(slots=True)
class Season:
    """The memory of one series, by absolute hour (unix time / 3600)."""

    options: Options
    #: Do values scatter with the number of requests they are made of?
    thins: bool = False
    hours: dict[int, Hour] = field(default_factory=dict)
    first_hour: int | None = None
    #: Of the last week's fits: their scatter, and the variance between weeks.
    typical: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    #: Of the last week's usual hours: the variance of a bucket times its requests.
    noise: list[float] = field(default_factory=list)
    #: Of the last week's fits: by how much hour of the week and hour of the day differed, and by how much chance alone
    #: would have it, both squared.
    apart: list[tuple[float, float]] = field(default_factory=list)
    fits: dict[int, Fit] = field(default_factory=dict)

    def copy(self) -> Season:
        """Return a copy that can be carried on by itself."""
        # The lists are replaced, never changed.
        return replace(self, hours=dict(self.hours), fits=dict(self.fits))

    def kept(self) -> dict[str, Any]:
        """Return the memory as JSON can hold it: the hours as columns."""
        return {
            "numbers": list(self.hours),
            "hours": [list(column) for column in zip(*self.hours.values(), strict=True)],
            "fits": [[hour, *astuple(fit)] for hour, fit in self.fits.items()],
            "rest": [self.first_hour, self.typical, self.between, self.noise, self.apart],
        }

    @classmethod
    def resumed(cls, options: Options, thins: bool, kept: Mapping[str, Any]) -> Season:
        """Return the season of what ``kept`` gave; errors of access: it is none."""
        made = cls(options, thins)
        hours = (Hour(*values) for values in zip(*kept["hours"], strict=True))
        made.hours = dict(zip(kept["numbers"], hours, strict=True))
        made.fits = {hour: Fit(*values) for hour, *values in kept["fits"]}
        made.first_hour, made.typical, made.between, made.noise, apart = kept["rest"]
        made.apart = [(seen, chance) for seen, chance in apart]
        return made

    def add(self, hour: int, record: Hour) -> None:
        """File an hour; what lies beyond the memory is forgotten."""
        if self.first_hour is None:
            self.first_hour = hour
        self.hours[hour] = record
        if record.requests and record.scatter and not record.unusual and self.thins:
            self.noise = [*self.noise[-(_WEEK_H - 1) :], record.scatter**2 * record.requests]
        oldest = hour - self.options.memory_s // HOUR_S
        while self.hours and (first := next(iter(self.hours))) < oldest:
            del self.hours[first]

    def fit(self, hour: int) -> Fit | None:
        """Return the baseline of an hour from the hours filed before it, or nothing without any.

        It is made once, when the hour is first asked for.
        """
        found = self.fits.get(hour)
        if found is None and self.hours:
            found = self._made(hour)
            self.fits[hour] = found
            for old in [key for key in self.fits if key < hour - 2]:
                del self.fits[old]
            self.typical = [*self.typical[-(_WEEK_H - 1) :], found.scatter]
        return found

    def _made(self, hour: int) -> Fit:
        age_h = hour - (self.first_hour if self.first_hour is not None else hour)
        weekly = self._like(hour, _WEEK_H, self.options.memory_s // WEEK_S)
        of_week = min(len(weekly) / FULL_WEEKS, 1.0)
        daily = self._like(hour, _DAY_H, _DAYS)
        before = None
        habit = daily[:_REPEATS]
        if weekly and len(habit) == _REPEATS and all(each.unusual for each in habit):
            # Say a new nightly job: unusual to the weeks before it, the rule by now.
            before = middle(sorted([each.centre for each in weekly]))
            departure = middle(sorted([each.departure for each in habit]))
            weekly = [each._replace(centre=before + departure) for each in habit]
            of_week = 1.0
        week = made = _summary(weekly)
        doubt = 0.0
        if self.thins and len(weekly) >= FULL_WEEKS and before is None and len(daily) >= _REPEATS:
            day = _summary(daily)
            made, doubt = self._drawn(week, day, len(weekly))
        if of_week < 1.0:
            of_day = min(age_h / _WEEK_H, 1.0) if daily else 0.0
            day = _summary(daily)
            if of_day < 1.0:
                flat = _summary([each for each in self.hours.values() if not each.unusual] or list(self.hours.values()))
                day = _mixed(day, flat, of_day)
                # Days alike say nothing of the first weekend.
                day = day._replace(variance=max(day.variance, flat.variance), between=max(day.between, flat.between))
            made = _mixed(week, day, of_week)
            doubt = max(made.between - of_week * week.between, 0.0)
        variance = made.variance
        noise = None
        if weekly:
            self.between = [*self.between[-(_WEEK_H - 1) :], week.between]
        if len(self.noise) >= _DAY_H and weekly and made.requests:
            noise = middle(sorted(self.noise))
            pooled = noise / made.requests + max(
                middle(sorted(self.between)) - _OF_AN_HOUR * noise / made.requests, 0.0
            )
            variance = (variance * len(weekly) + pooled * _PRIOR_COUNTED_WEEKS) / (len(weekly) + _PRIOR_COUNTED_WEEKS)
        elif self.typical and weekly:
            # A MAD of few hours is a poor one: it is drawn to what is typical of the series.
            typical = middle(sorted(self.typical)) ** 2
            variance = (variance * len(weekly) + typical * _PRIOR_WEEKS) / (len(weekly) + _PRIOR_WEEKS)
        return Fit(made.centre, variance**0.5, doubt**0.5, len(weekly), made.requests, before, noise)

    def _drawn(self, week: _Summary, day: _Summary, weeks: int) -> tuple[_Summary, float]:
        """Return the hour of the week drawn to the hour of the day, and the variance of what is left of chance.

        As far as the hours of a week differ from those of a day by no more than chance, they are chance: few weeks
        would put their noise into the baseline. An hour that stands out is left where it is.
        """
        chance = _MEDIAN_VARIANCE * week.between / weeks
        apart = (week.centre - day.centre) ** 2
        self.apart = [*self.apart[-(_WEEK_H - 1) :], (apart, chance)]
        seen, by_chance = (sum(each[index] for each in self.apart) for index in (0, 1))
        usual = by_chance / len(self.apart)
        share = 1.0 if apart > _OWN * usual else max(1 - by_chance / seen, 0.0)
        centre = share * week.centre + (1 - share) * day.centre
        return week._replace(centre=centre), share * usual

    def _like(self, hour: int, period_h: int, times: int) -> list[Hour]:
        """Return past hours one, two … periods back, newest first; the unusual only where they became the rule."""
        found = [self.hours[past] for back in range(1, times + 1) if (past := hour - period_h * back) in self.hours]
        if len(found) >= _REPEATS and all(each.unusual for each in found[:_REPEATS]):
            return found[:_REPEATS]
        return [each for each in found if not each.unusual]


class _Summary(NamedTuple):
    """What like hours say: centre, variance of buckets, the part of it that lies between hours, usual requests."""

    centre: float
    variance: float
    between: float
    requests: float | None


def _summary(hours: Sequence[Hour]) -> _Summary:
    if not hours:
        return _Summary(0.0, 0.0, 0.0, None)
    centre = middle(sorted([each.centre for each in hours]))
    few = _FEW[len(hours)] if len(hours) < len(_FEW) else len(hours) / (len(hours) - 0.8)
    between = (few * MAD_TO_SD * middle(sorted([abs(each.centre - centre) for each in hours]))) ** 2
    within = middle(sorted([each.scatter for each in hours])) ** 2
    counts = sorted([each.requests for each in hours if each.requests is not None])
    return _Summary(centre, between + within, between, middle(counts) if counts else None)


def _mixed(better: _Summary, other: _Summary, share: float) -> _Summary:
    """Return two summaries mixed, as of a mixture of two distributions."""
    if share <= 0.0:
        return other
    apart = share * (1 - share) * (better.centre - other.centre) ** 2
    return _Summary(
        share * better.centre + (1 - share) * other.centre,
        share * better.variance + (1 - share) * other.variance + apart,
        share * better.between + (1 - share) * other.between + apart,
        other.requests if better.requests is None else better.requests,
    )


def middle(ordered: Sequence[float]) -> float:
    """Return the median of values in ascending order; 0 of none."""
    size = len(ordered)
    if not size:
        return 0.0
    half = size // 2
    return ordered[half] if size % 2 else (ordered[half - 1] + ordered[half]) / 2
