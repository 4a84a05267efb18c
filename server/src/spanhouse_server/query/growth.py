"""What stored metric points say about each bucket of time: read once, whatever is then asked of it.

A delta point says what was added since the one before it; a cumulative point says what there is since
its start time, so that what was added is a difference (summaries, which do not say, are of this kind).

Differences are taken within a *run*. Points of another start time are another run, also where the two alternate:
the workers and replicas of a service seldom say in their resource who they are, so that their points look like one
series. A run also ends where a count that can only grow is smaller than before (some emitters restart without
saying so). The first point of a run counts from zero where all since is known to have been seen:

- the run began within the range, or after the metric was first seen (look-back included), or a count fell;
- or a sibling with the same start time was seen before: attributes that an emitter had not measured until then.

Else the first point is where counting begins; so is one of the very time at which its run is said to begin, which is
how OTLP says that nobody knows (a scraper that was started sees a counter that is days old), unless the emitter was
seen before without these attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.query import histograms
from spanhouse_server.query.histograms import Segments
from spanhouse_server.store.contract import ColumnarStore

#: Points this much older than the range are read as well: the first difference needs one before it.
LOOK_BACK_NS = 600 * NS_PER_S
#: A sibling seen so much earlier was sent in an earlier export. All points of one export are of about the same time.
_EARLIER_NS = NS_PER_S // 2
#: Stands for all buckets before the range.
_BEFORE = -1

Row = Mapping[str, Any]


@dataclass(slots=True)
class Growth:
    """One bucket of one series.

    ``last mean lowest highest`` are of the values of gauges and sums; ``added`` is by how much a sum
    grew. Of histograms and summaries, ``count`` and ``total`` are how many values were added and their
    sum, ``segments`` how they lie, ``least`` and ``most`` their extremes where the emitter told.
    ``quantiles`` are those a summary reported last. ``total`` is nothing where the emitter sends no sums.
    ``start_ns`` and ``last_ns`` are when the run began (0: unknown) and when its last point in the bucket was taken.
    """

    series_id: int
    bucket: int
    points: int
    start_ns: int = 0
    last_ns: int = 0
    last: float | None = None
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None
    added: float | None = None
    count: int = 0
    total: float | None = None
    least: float | None = None
    most: float | None = None
    segments: Segments = field(default_factory=dict)
    quantiles: dict[float, float] = field(default_factory=dict)


def growth_of(
    store: ColumnarStore,
    parameters: Mapping[str, Any],
    series: Sequence[int],
    interval_s: int,
    *,
    with_buckets: bool,
) -> list[Growth]:
    """Return every bucket of these series that holds points, in the order of time.

    ``parameters`` has ``project``, ``name``, ``from_ns`` and ``to_ns``. ``with_buckets`` also reads what
    percentiles need, which is much more.
    """
    if not series:
        return []
    since_ns = max(parameters["from_ns"] - max(LOOK_BACK_NS, 2 * interval_s * NS_PER_S), 0)
    rows = store.select(_sql(interval_s, with_buckets), {**parameters, "series": list(series), "since_ns": since_ns})
    new = _from_zero(store, parameters, rows, since_ns)
    before: dict[Any, Row] = {}
    made: list[Growth] = []
    for row in rows:
        key = (_run_of(row), tuple(row["explicit_bounds"]) if with_buckets else ())
        earlier = before.get(key)
        before[key] = row
        if row["_bucket"] == _BEFORE:
            continue
        grown = _values(row)
        if row["growing"]:
            # Buckets of other bounds within one run hold again what those before held: nothing to count from.
            _add_difference(grown, row, earlier, from_zero=new.get(_run_of(row)) is row)
        else:
            _add_delta(grown, row)
        made.append(grown)
    return made


def _run_of(row: Row) -> tuple[int, int, int]:
    return row["series_id"], row["stream"], row["run"]


def _from_zero(
    store: ColumnarStore, parameters: Mapping[str, Any], rows: Sequence[Row], since_ns: int
) -> dict[tuple[int, int, int], Row]:
    """Return the first row of each run that counts from zero."""
    first: dict[tuple[int, int, int], Row] = {}
    for row in rows:
        if row["growing"]:
            first.setdefault(_run_of(row), row)
    if not first:
        return {}
    seen_ns = _first_seen_ns(store, parameters, sorted({row["stream"] for row in first.values()}), since_ns)
    known_ns = min(parameters["from_ns"], *seen_ns.values())
    unsaid = sorted({row["series_id"] for row in first.values() if row["stream"] == row["first_ns"]})
    late_ns = _late_ns(store, parameters, unsaid, since_ns) if unsaid else {}
    return {
        run: row
        for run, row in first.items()
        if row["run"] > 0
        or (row["stream"] >= max(known_ns, 1) and row["stream"] != row["first_ns"])
        or (row["stream"] and row["first_ns"] - seen_ns.get(row["stream"], row["first_ns"]) >= _EARLIER_NS)
        or late_ns.get(row["series_id"]) == row["first_ns"]
    }


def _first_seen_ns(
    store: ColumnarStore, parameters: Mapping[str, Any], starts: Sequence[int], since_ns: int
) -> dict[int, int]:
    """Return when points with each of these start times were first seen, whatever their series; under 0 of all."""
    found = store.select(
        """
        SELECT if(start_ns IN ({starts:Array(Int64)}), start_ns, 0) AS began, min(time_ns) AS first_ns
        FROM metric_points
        WHERE project_id = {project:String} AND name = {name:String}
          AND time_ns >= {since_ns:Int64} AND time_ns < {to_ns:Int64}
        GROUP BY began
        """,
        {**parameters, "starts": list(starts), "since_ns": since_ns},
    )
    seen = {row["began"]: row["first_ns"] for row in found}
    return {**seen, 0: min(seen.values(), default=parameters["to_ns"])}


def _late_ns(
    store: ColumnarStore, parameters: Mapping[str, Any], series: Sequence[int], since_ns: int
) -> dict[int, int]:
    """Return when those of these series were first seen whose emitter had been seen before with other attributes."""
    found = store.select(
        """
        SELECT series_id, first_ns FROM (
            SELECT series_id, first_ns, min(first_ns) OVER (PARTITION BY resource, scope) AS emitter_ns
            FROM (
                SELECT series_id, resource, scope, min(time_ns) AS first_ns
                FROM metric_points
                WHERE project_id = {project:String} AND name = {name:String}
                  AND time_ns >= {since_ns:Int64} AND time_ns < {to_ns:Int64}
                GROUP BY series_id, resource, scope
            )
        )
        WHERE series_id IN ({series:Array(UInt64)}) AND first_ns - emitter_ns >= {earlier_ns:Int64}
        """,
        {**parameters, "series": list(series), "since_ns": since_ns, "earlier_ns": _EARLIER_NS},
    )
    return {row["series_id"]: row["first_ns"] for row in found}


def _sql(interval_s: int, with_buckets: bool) -> str:
    through = "ORDER BY time_ns ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    buckets, layout = (_BUCKETS, ", explicit_bounds, layout") if with_buckets else ("", "")
    return f"""
WITH seen AS (
    SELECT *, temporality = 'cumulative' OR type = 'summary' AS grows,
        lagInFrame(time_ns) OVER s AS told_before, lagInFrame(start_ns) OVER s AS start_before,
        -- An emitter whose start time is always the point before has no runs that it could tell of.
        if(grows AND NOT (start_ns = told_before AND start_ns != start_before), start_ns, 0) AS stream
    FROM metric_points FINAL
    WHERE project_id = {{project:String}} AND name = {{name:String}} AND series_id IN ({{series:Array(UInt64)}})
      AND time_ns >= {{since_ns:Int64}} AND time_ns < {{to_ns:Int64}}
    WINDOW s AS (PARTITION BY series_id {through})
), measured AS (
    SELECT *, if(type = 'sum', ifNull(value, 0), toFloat64(count)) AS grown,
        lagInFrame(grown) OVER w AS grown_before, lagInFrame(time_ns) OVER w AS time_before,
        if(temporality = 'cumulative', 0, scale) AS layout
    FROM seen WINDOW w AS (PARTITION BY series_id, stream {through})
), marked AS (
    SELECT *, toUInt32(sum(
        grows AND time_before > 0 AND grown < grown_before AND (monotonic OR type != 'sum')
    ) OVER (PARTITION BY series_id, stream {through})) AS run
    FROM measured
)
SELECT series_id, stream, run,
    if(time_ns < {{from_ns:Int64}}, {_BEFORE}, intDiv(time_ns, {interval_s * NS_PER_S})) AS _bucket,
    any(grows) AS growing, count() AS n, min(time_ns) AS first_ns, max(time_ns) AS last_ns,
    argMin(value, time_ns) AS first_value,
    argMax(value, time_ns) AS last_value, avg(value) AS mean_value, min(value) AS lowest, max(value) AS highest,
    sum(value) AS summed_value, argMin(count, time_ns) AS first_count, argMax(count, time_ns) AS last_count,
    sum(count) AS summed_count, argMin(ifNull(sum, 0), time_ns) AS first_sum, argMax(ifNull(sum, 0), time_ns) AS last_sum,
    sum(ifNull(sum, 0)) AS summed_sum, count(sum) AS sums,
    min(min) AS least, max(max) AS most, argMax(quantiles, time_ns) AS reported,
    any(type) AS kind{buckets}
FROM marked GROUP BY series_id, stream, run{layout}, _bucket ORDER BY series_id, _bucket, first_ns, stream, run
"""  # noqa: S608 - only numbers and our own text are put in


def _side(side: str) -> str:
    index = f"arrayMap(i -> toInt64({side}_offset) + toInt64(i), range(length({side}_counts)))"
    return f"""
    argMin({side}_offset, time_ns) AS first_{side}_offset, argMax({side}_offset, time_ns) AS last_{side}_offset,
    argMin({side}_counts, time_ns) AS first_{side}, argMax({side}_counts, time_ns) AS last_{side},
    sumMap({index}, {side}_counts) AS summed_{side}"""


_BUCKETS = f""", explicit_bounds, layout, argMin(bucket_counts, time_ns) AS first_counts,
    argMax(bucket_counts, time_ns) AS last_counts, sumForEach(bucket_counts) AS summed_counts,
    argMin(scale, time_ns) AS first_scale, argMax(scale, time_ns) AS last_scale,
    argMin(zero_count, time_ns) AS first_zeros, argMax(zero_count, time_ns) AS last_zeros,
    sum(zero_count) AS summed_zeros,{_side("positive")},{_side("negative")}"""


def _values(row: Row) -> Growth:
    return Growth(
        series_id=row["series_id"],
        bucket=row["_bucket"],
        points=row["n"],
        start_ns=row["stream"],
        last_ns=row["last_ns"],
        last=row["last_value"],
        mean=row["mean_value"],
        lowest=row["lowest"],
        highest=row["highest"],
        quantiles=dict(row["reported"]),
    )


def _add_delta(grown: Growth, row: Row) -> None:
    grown.added = row["summed_value"]
    grown.count, grown.total = row["summed_count"], row["summed_sum"] if row["sums"] else None
    grown.least, grown.most = row["least"], row["most"]
    if "summed_counts" not in row:
        return
    if row["kind"] == "exponential_histogram":
        positive, negative = (dict(zip(*row[f"summed_{side}"], strict=True)) for side in ("positive", "negative"))
        grown.segments = histograms.exponential(row["layout"], row["summed_zeros"], positive, negative)
    else:
        grown.segments = histograms.explicit(row["explicit_bounds"], row["summed_counts"], row["least"], row["most"])


def _add_difference(grown: Growth, row: Row, earlier: Row | None, *, from_zero: bool) -> None:
    """Fill in what was added since the run's point before, or since the first point here if that is unknown."""
    base = earlier if earlier is not None else None if from_zero else row
    which = "last" if earlier is not None else "first"

    def since(name: str, empty: Any = 0) -> Any:
        return empty if base is None else base[f"{which}_{name}"]

    if row["last_value"] is not None:
        grown.added = row["last_value"] - (since("value") or 0.0)
    grown.count = max(row["last_count"] - since("count"), 0)
    grown.total = row["last_sum"] - since("sum") if row["sums"] else None
    if "last_counts" not in row:
        return
    if row["kind"] != "exponential_histogram":
        past = since("counts", ()) or [0] * len(row["last_counts"])
        counts = [max(now - then, 0) for now, then in zip(row["last_counts"], past, strict=False)]
        grown.segments = histograms.explicit(row["explicit_bounds"], counts)
        return
    scale = min(row["last_scale"], since("scale", row["last_scale"]))
    sides = []
    for side in ("positive", "negative"):
        now = histograms.indexed(row["last_scale"], row[f"last_{side}_offset"], row[f"last_{side}"])
        then = histograms.indexed(since("scale", scale), since(f"{side}_offset"), since(side, ()))
        sides.append(histograms.subtract(histograms.rescaled(now, scale), histograms.rescaled(then, scale)))
    grown.segments = histograms.exponential(scale, max(row["last_zeros"] - since("zeros"), 0), *sides)
