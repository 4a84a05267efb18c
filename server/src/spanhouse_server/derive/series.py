"""Metrics over time as workers read them: from the store, or from a read held in memory.

Rules, detectors and back-tests ask a ``SeriesSource``, so that judging the past runs the very code that judges now.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol, overload

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.anomaly.memory import LearntStates
from spanhouse_server.derive.otel_series import is_otel, read_otel, split_otel
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.query.figures import Figure, find_figure
from spanhouse_server.query.metrics import Group, MetricQuery, metric_lines
from spanhouse_server.query.rollups import Plans
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

#: Points that one read may give: a guard of memory, far above what any rule needs.
MAX_POINTS = 2_000_000

Point = tuple[int, float | None]


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """What to read: a metric of the API, the ratio of two (``request_errors/requests``), or an ``otel:`` metric.

    Buckets begin at multiples of ``interval_s`` plus ``offset_s`` (unix time). ``limit`` bounds the groups, of
    which the largest are given; ``known`` are given beside them, however small they are in this range, so that a
    group that was there before is not taken for silent.
    """

    metric: str
    group_by: tuple[str, ...] = ()
    q: str = ""
    interval_s: int = 60
    limit: int = 100
    offset_s: int = 0
    known: Sequence[Group] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One group's line: (unix s of the bucket's start, value), every bucket of the range in order.

    A value is ``None`` where there is nothing to measure; counts and sums of nothing are 0.
    """

    labels: Mapping[str, str]
    points: Sequence[Point]


class SeriesSource(Protocol):
    """Where series come from."""

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        """Return the series over ``[from_s, to_s)``, widened to whole buckets.

        Without grouping there is always one series. Raises ``BadQuery`` for unknown metrics, fields and filters.
        """


def ratio_of(metric: str) -> tuple[str, str] | None:
    """Return the two metrics of a ratio ``a/b``, or nothing for a plain metric."""
    above, slash, below = metric.partition("/")
    if not slash or metric.startswith("score.") or is_otel(metric):
        return None
    return above.strip(), below.strip()


def check_metric(metric: str) -> None:
    """Raise ``BadQuery`` unless the metric, or both of a ratio, can be measured."""
    if is_otel(metric):
        split_otel(metric)
        return
    for name in ratio_of(metric) or (metric,):
        find_figure(name)


def adds_up(metric: str) -> bool:
    """Tell whether buckets of the metric can be put together by adding: counts and sums, and ratios of them."""
    return not is_otel(metric) and all(_is_sum(find_figure(name)) for name in ratio_of(metric) or (metric,))


def empty_value(metric: str) -> float | None:
    """Return the value of a bucket without rows: 0 for counts and sums, ``None`` for the rest."""
    return None if ratio_of(metric) or is_otel(metric) else find_figure(metric).empty


def _is_sum(figure: Figure) -> bool:
    return figure.empty == 0.0


def bucket_starts(from_s: int, to_s: int, interval_s: int, offset_s: int = 0) -> range:
    """Return the starts of the buckets that a range touches; raise ``BadRequest`` for more than can be read."""
    if interval_s <= 0:
        raise BadRequest(f"an interval of {interval_s} s", "use at least 1 s")
    first = (from_s - offset_s) // interval_s * interval_s + offset_s
    starts = range(first, max(to_s, from_s + 1), interval_s)
    if len(starts) > MAX_POINTS:
        raise BadRequest(f"{len(starts)} buckets of {interval_s} s in one read", "use a wider interval")
    return starts


class StoreSeries:
    """Reads the columnar store by the metrics of the API, whole ranges at once.

    ``learnt`` keeps what rules learn from it over restarts; without it they learn anew.
    """

    def __init__(self, store: ColumnarStore, learnt: LearntStates | None = None) -> None:
        self._store = store
        self._plans = Plans(store)
        self.learnt = learnt

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        """Return the series; see ``SeriesSource``."""
        starts = bucket_starts(from_s, to_s, query.interval_s, query.offset_s)
        if parts := ratio_of(query.metric):
            below = self.read(project_id, replace(query, metric=parts[1]), from_s, to_s)
            above = read_same(self, project_id, replace(query, metric=parts[0]), below, from_s, to_s)
            return divided(above, below)
        if is_otel(query.metric):
            return _filled(query, read_otel(self._store, project_id, query, starts), starts)
        asked = MetricQuery(
            metric=query.metric,
            group_by=",".join(query.group_by),
            interval_s=query.interval_s,
            window=Window(starts[0] * NS_PER_S, (starts[-1] + query.interval_s) * NS_PER_S),
            q=query.q,
            limit=query.limit,
            offset_s=query.offset_s % query.interval_s,
            known=query.known,
        )
        return _filled(query, dict(metric_lines(self._store, project_id, asked, self._plans)), starts)


def read_same(
    source: SeriesSource, project_id: str, query: SeriesQuery, like: Sequence[Series], from_s: int, to_s: int
) -> list[Series]:
    """Return the series of the groups that another read gave, those alone: the largest there need not be so here."""
    if not query.group_by:
        return source.read(project_id, query, from_s, to_s)
    groups = [group_of(query.group_by, series.labels) for series in like]
    return source.read(project_id, replace(query, limit=0, known=groups), from_s, to_s) if groups else []


def group_of(group_by: Sequence[str], labels: Mapping[str, str]) -> Group:
    """Return the values of the fields that a series is grouped by."""
    return tuple(labels.get(name, "") for name in group_by)


class Filled(Sequence[Point]):
    """The points of a series, every bucket of a range, of which only those that hold something take up memory."""

    __slots__ = ("_empty", "_starts", "_values")

    def __init__(self, starts: range, values: Mapping[int, float | None], empty: float | None) -> None:
        self._starts = starts
        self._values = values
        self._empty = empty

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Point: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Point]: ...

    def __getitem__(self, index: int | slice) -> Point | Sequence[Point]:
        """Return a bucket, or some of them."""
        if isinstance(index, slice):
            return Filled(self._starts[index], self._values, self._empty)
        start_s = self._starts[index]
        return start_s, self._values.get(start_s, self._empty)

    def __iter__(self) -> Iterator[Point]:
        """Give the buckets in the order of time."""
        values, empty = self._values, self._empty
        return ((start_s, values.get(start_s, empty)) for start_s in self._starts)

    def __eq__(self, other: object) -> bool:
        """Tell whether another sequence has the same points."""
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        """Return the points as a list is shown."""
        return repr(list(self))

    __hash__ = None  # type: ignore[assignment]


def _filled(
    query: SeriesQuery, found: Mapping[tuple[str, ...], Mapping[int, float | None]], starts: range
) -> list[Series]:
    empty = empty_value(query.metric)
    if not query.group_by and not found:
        found = {(): {}}
    return [
        Series(dict(zip(query.group_by, group, strict=True)), Filled(starts, points, empty))
        for group, points in found.items()
    ]


def divided(above: Sequence[Series], below: Sequence[Series]) -> list[Series]:
    """Return the ratio of series with the same labels and buckets; ``None`` where there is nothing to divide by."""
    tops = {_key(series.labels): series for series in above}
    found = []
    for series in below:
        top = tops.get(_key(series.labels))
        values = dict(top.points) if top else {}
        points = []
        for start, count in series.points:
            value = values.get(start, 0.0)
            points.append((start, value / count if count and value is not None else None))
        found.append(Series(series.labels, points))
    return found


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


class _Held:
    """One series in memory, with its running sums."""

    __slots__ = ("first_s", "interval_s", "labels", "sums", "values")

    def __init__(self, series: Series, interval_s: int) -> None:
        self.labels = series.labels
        self.interval_s = interval_s
        self.first_s = series.points[0][0] if series.points else 0
        self.values = [value for _, value in series.points]
        self.sums = array("d", accumulate((value or 0.0 for value in self.values), initial=0.0))

    def value(self, start_s: int) -> float | None:
        index, rest = divmod(start_s - self.first_s, self.interval_s)
        return self.values[index] if not rest and 0 <= index < len(self.values) else None

    def total(self, start_s: int, width_s: int) -> float:
        first = min(max((start_s - self.first_s) // self.interval_s, 0), len(self.values))
        last = min(max((start_s + width_s - self.first_s) // self.interval_s, 0), len(self.values))
        return self.sums[last] - self.sums[first]


class MemorySeries:
    """A read held in memory: ``held`` maps metrics to series with buckets of ``interval_s``, every one present.

    Counts and sums are put together for wider buckets and fewer labels; other metrics come back as they are held,
    so they must be held as they are asked for. A query's filter is not applied again.
    """

    def __init__(self, held: Mapping[str, Sequence[Series]], interval_s: int) -> None:
        self._interval_s = interval_s
        self._held = {metric: [_Held(each, interval_s) for each in series] for metric, series in held.items()}

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        """Return the series; raise ``BadQuery`` for what is not held. ``project_id`` is that of the read held."""
        if query.metric not in self._held and (parts := ratio_of(query.metric)):
            above, below = (self.read(project_id, replace(query, metric=part), from_s, to_s) for part in parts)
            return divided(above, below)
        held = self._held.get(query.metric)
        if held is None:
            raise BadQuery(f"the metric {query.metric[:60]!r} was not read", f"it holds {', '.join(self._held)}")
        starts = bucket_starts(from_s, to_s, query.interval_s, query.offset_s)
        groups: dict[tuple[str, ...], list[_Held]] = {}
        if not query.group_by:
            groups[()] = []
        for each in held:
            groups.setdefault(group_of(query.group_by, each.labels), []).append(each)
        return [
            Series(dict(zip(query.group_by, group, strict=True)), self._points(query, members, starts))
            for group, members in groups.items()
        ]

    def _points(self, query: SeriesQuery, members: Sequence[_Held], starts: range) -> list[Point]:
        as_held = query.interval_s == self._interval_s and len(members) == 1
        if as_held and not (starts[0] - members[0].first_s) % self._interval_s:
            return [(start, members[0].value(start)) for start in starts]
        aligned = not members or not (starts[0] - members[0].first_s) % self._interval_s
        if query.interval_s % self._interval_s or not aligned or not adds_up(query.metric):
            raise BadQuery(
                f"{query.metric} is held in buckets of {self._interval_s} s by other labels or bounds",
                "only counts and sums can be put together",
            )
        width_s = query.interval_s
        return [(start, sum(each.total(start, width_s) for each in members)) for start in starts]
