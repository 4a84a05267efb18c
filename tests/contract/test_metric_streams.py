"""Metrics of emitters that overlap, restart, begin late or change their buckets, against sums done by hand."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, point

HOUR = Window(T0, T0 + 3600 * NS)
COUNTER: dict[str, Any] = {"type": "sum", "temporality": "cumulative", "monotonic": True}
LEVEL = COUNTER | {"monotonic": False}
EXPONENTIAL: dict[str, Any] = {"type": "exponential_histogram", "temporality": "cumulative"}
BOUNDS = [1.0, 2.0, 5.0, 10.0, 50.0]


def ask(store: ColumnarStore, project: str, name: str, stat: str, interval_s: int = 60, **more: Any) -> Any:
    query = PointQuery(name=name, stat=stat, interval_s=interval_s, window=more.pop("window", HOUR), **more)
    return otel_metrics(store, project, query)["series"]


def told(series: Any) -> dict[float, float | None]:
    """Return the values of the only line by their second since ``T0``."""
    (line,) = series
    return {at - T0 / NS: value for at, value in line["points"]}


class Emitter:
    """A process with a counter and a histogram: records, and exports what it has so far."""

    def __init__(self, started_s: float) -> None:
        self.start_ns = T0 + round(started_s * NS)
        self.total = 0.0
        self.recorded: list[float] = []

    def points(self, at_s: float) -> list[Any]:
        counts = [0] * (len(BOUNDS) + 1)
        for value in self.recorded:
            counts[sum(value > bound for bound in BOUNDS)] += 1
        more = {"start_ns": self.start_ns}
        return [
            point("done", at_s, value=self.total, **COUNTER, **more),
            point(
                "took",
                at_s,
                **COUNTER | {"type": "histogram", "monotonic": False},
                **more,
                explicit_bounds=BOUNDS,
                bucket_counts=counts,
                count=len(self.recorded),
                sum=sum(self.recorded),
            ),
        ]


@pytest.mark.parametrize("seed", range(2))
def test_workers_with_one_resource_are_added_up_across_restarts(columnar: ColumnarStore, seed: int) -> None:
    """Three workers that nothing tells apart but their start times export in turns; now and then one starts anew."""
    chance, project = random.Random(seed), f"fleet {seed}"
    added: dict[float, float] = defaultdict(float)
    measured: dict[float, list[float]] = defaultdict(list)
    fleet = [Emitter(chance.uniform(0, 1)) for _ in range(3)]
    sent = []
    for turn in range(1, 61):
        for place, emitter in enumerate(fleet):
            at_s = turn * 10 + place * 3 + chance.random()
            grows, values = chance.randrange(20), [float(chance.randrange(1, 50)) for _ in range(chance.randrange(4))]
            emitter.total += grows
            emitter.recorded += values
            added[at_s // 60 * 60] += grows
            measured[at_s // 60 * 60] += values
            sent += emitter.points(at_s)
            if chance.random() < 0.08:
                fleet[place] = Emitter(at_s + chance.uniform(0.1, 1))
    chance.shuffle(sent)  # they may also come in any order, and some twice
    Keeper(columnar).points(sent, project)
    Keeper(columnar).points(sent[:50], project)
    assert told(ask(columnar, project, "done", "increase")) == added
    assert told(ask(columnar, project, "done", "rate", 600)) == {
        at: sum(added.get(at + minute, 0) for minute in range(0, 600, 60)) / 600 for at in (0, 600)
    }
    assert told(ask(columnar, project, "took", "count")) == {at: len(values) for at, values in measured.items()}
    assert told(ask(columnar, project, "took", "sum")) == {at: sum(values) for at, values in measured.items()}
    for at, shown in told(ask(columnar, project, "took", "p50", 600)).items():
        within = sorted(value for minute in range(0, 600, 60) for value in measured.get(at + minute, []))
        true = within[math.ceil(len(within) / 2) - 1]
        bucket = sum(true > bound for bound in BOUNDS)
        assert [0.0, *BOUNDS][bucket] <= shown <= BOUNDS[bucket]
    # Seen from later on, what was before the range is not counted again.
    later = Window(T0 + 300 * NS, T0 + 3600 * NS)
    assert told(ask(columnar, project, "done", "increase", window=later)) == {
        at: value for at, value in added.items() if at >= 300
    }


def test_levels_of_workers_add_up_and_a_stopped_one_is_left_out(columnar: ColumnarStore) -> None:
    def level(at_s: float, value: float, start_s: float) -> Any:
        return point("active", at_s, value=value, start_ns=T0 + round(start_s * NS), **LEVEL)

    together = [level(10, 3, 1), level(11, 4, 2), level(40, 5, 1), level(41, 6, 2)]
    follows = [level(70, 1, 1), level(71, 6, 2), level(100, 2, 90), level(101, 6, 2)]
    Keeper(columnar).points(together + follows, "levels")
    assert told(ask(columnar, "levels", "active", "last")) == {0.0: 11.0, 60.0: 8.0}
    assert told(ask(columnar, "levels", "active", "increase")) == {0.0: 11.0, 60.0: -4.0 + 2.0}


def test_attributes_measured_for_the_first_time_count_from_zero(columnar: ColumnarStore) -> None:
    """The process runs since yesterday, so its start time alone would not tell that this error is new."""
    since = {"start_ns": T0 - 86_400 * NS}

    def count(at_s: float, kind: str, value: float, start_ns: int | None = None) -> Any:
        start = {"start_ns": start_ns} if start_ns is not None else since
        return point("calls", at_s, value=value, attributes={"error.type": kind}, **COUNTER, **start)

    sent = [count(at, "", 500.0 + at) for at in (30, 90, 150)]
    Keeper(columnar).points([*sent, count(90, "überlast ⚡", 7), count(150, "überlast ⚡", 9)], "late")
    lines = ask(columnar, "late", "calls", "increase", group_by=["error.type"])
    by_kind = {line["attributes"]["error.type"]: told([line]) for line in lines}
    assert by_kind["überlast ⚡"] == {60.0: 7.0, 120.0: 2.0}
    assert by_kind[""] == {0.0: 0.0, 60.0: 60.0, 120.0: 60.0}
    picked = ask(columnar, "late", "calls", "increase", 3600, selected=[("error.type", "überlast ⚡")])
    assert told(picked) == {0.0: 9.0}
    # Of an emitter first seen here, or one that does not say when it began, nothing is known.
    Keeper(columnar).points([count(90, "of old", 100, T0 - 5 * NS), count(150, "of old", 101, T0 - 5 * NS)], "late")
    Keeper(columnar).points([count(90, "unsaid", 50, 0), count(150, "unsaid", 53, 0)], "late")
    for kind, grown in (("of old", 1.0), ("unsaid", 3.0)):
        assert told(ask(columnar, "late", "calls", "increase", 3600, selected=[("error.type", kind)])) == {0.0: grown}


def test_an_emitter_that_moves_its_start_time_along_is_one_run(columnar: ColumnarStore) -> None:
    sent = [
        point("moving", at, value=value, start_ns=T0 + before * NS, **COUNTER)
        for at, before, value in ((30, 10, 100.0), (90, 30, 110.0), (150, 90, 130.0), (210, 150, 131.0))
    ]
    Keeper(columnar).points(sent, "moving")
    grown = told(ask(columnar, "moving", "moving", "increase"))
    assert (grown[120.0], grown[180.0]) == (20.0, 1.0)


def test_a_scraper_that_starts_anew_counts_nothing_it_cannot_know(columnar: ColumnarStore) -> None:
    """Scraped counters have no start time: the first point gets its own time as one, and means that."""

    def scraped(at_s: float, value: float, start_s: float) -> Any:
        return point("vllm:generation_tokens", at_s, value=value, start_ns=T0 + round(start_s * NS), **COUNTER)

    before = [scraped(30, 1e6, 30), scraped(90, 1e6 + 60, 30)]
    after = [scraped(150, 1e6 + 200, 150), scraped(210, 1e6 + 300, 150)]
    Keeper(columnar).points(before + after, "scraped")
    grown = told(ask(columnar, "scraped", "vllm:generation_tokens", "increase"))
    assert grown == {0.0: 0.0, 60.0: 60.0, 120.0: 0.0, 180.0: 100.0}
    # What it had not seen of the same target before, it has seen begin; of another target it knows nothing.
    label = {"attributes": {"finished_reason": "abort"}}
    other = {"resource": {"service.name": "svc", "host.name": "h2"}}
    Keeper(columnar).points([replace(scraped(150, 2, 150), **label), replace(scraped(150, 9, 150), **other)], "scraped")
    lines = ask(columnar, "scraped", "vllm:generation_tokens", "increase")
    assert [told([line]) for line in lines if line["attributes"]] == [{120.0: 2.0}]
    assert [told([line]) for line in lines if line["host_name"] == "h2"] == [{120.0: 0.0}]


def test_new_bounds_within_a_run_count_nothing_twice(columnar: ColumnarStore) -> None:
    def took(at_s: float, bounds: list[float], counts: list[int]) -> Any:
        totals = {"count": sum(counts), "sum": float(sum(counts))}
        kind = {"type": "histogram", "temporality": "cumulative"}
        return point("took", at_s, explicit_bounds=bounds, bucket_counts=counts, start_ns=T0, **totals, **kind)

    sent = [took(30, [1.0, 2.0], [900, 0, 0]), took(90, [1.0, 4.0], [900, 10, 0]), took(150, [1.0, 4.0], [900, 60, 0])]
    Keeper(columnar).points(sent, "bounds")
    assert told(ask(columnar, "bounds", "took", "count")) == {0.0: 900.0, 60.0: 10.0, 120.0: 50.0}
    # The minute in which the bounds changed cannot be told apart; those around it can.
    assert told(ask(columnar, "bounds", "took", "p50")) == {0.0: 0.5, 60.0: None, 120.0: 2.5}


def test_a_histogram_without_sums_has_no_mean(columnar: ColumnarStore) -> None:
    for name, temporality in (("cumulative", "cumulative"), ("delta", "delta")):
        kind = {"type": "histogram", "temporality": temporality, "explicit_bounds": [0.0], "bucket_counts": [3, 1]}
        Keeper(columnar).points([point(name, at, count=4, sum=None, **kind) for at in (30, 90)], "sumless")
        assert set(told(ask(columnar, "sumless", name, "avg")).values()) == {None}
        assert set(told(ask(columnar, "sumless", name, "sum")).values()) == {None}
        assert told(ask(columnar, "sumless", name, "count"))[0.0] == 4.0


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_exponential_buckets_of_both_signs_through_a_change_of_scale(columnar: ColumnarStore, temporality: str) -> None:
    """Scale 1 has bounds at powers of the root of 2; at scale 0, two of its buckets are one."""
    first = {"zero_count": 2, "scale": 1, "positive_offset": 0, "positive_counts": [0, 4, 0, 4]}
    first |= {"negative_offset": 2, "negative_counts": [3], "count": 13, "sum": 10.0}
    # Added: 2 at zero, 5 within (8, 16], 1 within [-4, -2).
    added = {"zero_count": 2, "scale": 0, "positive_offset": 3, "positive_counts": [5], "negative_offset": 1}
    added |= {"negative_counts": [1], "count": 8, "sum": 50.0}
    grown = {"zero_count": 4, "scale": 0, "positive_offset": 0, "positive_counts": [4, 4, 0, 5], "negative_offset": 1}
    grown |= {"negative_counts": [4], "count": 21, "sum": 60.0}
    second = added if temporality == "delta" else grown
    kind = EXPONENTIAL | {"temporality": temporality}
    project = f"exponential {temporality}"
    Keeper(columnar).points([point("spread", 30, **kind, **first), point("spread", 90, **kind, **second)], project)
    assert told(ask(columnar, project, "spread", "count")) == {0.0: 13.0, 60.0: 8.0}
    assert told(ask(columnar, project, "spread", "sum")) == {0.0: 10.0, 60.0: 50.0}
    # By hand, of the minute's eight: 1 below zero, 2 at zero, 5 in (8, 16]: the 4th of 8 is the 1st of the 5.
    assert told(ask(columnar, project, "spread", "p50"))[60.0] == pytest.approx(8 + 8 / 5)
    assert told(ask(columnar, project, "spread", "p25"))[60.0] == 0.0
    assert told(ask(columnar, project, "spread", "p5"))[60.0] == pytest.approx(-4 + 2 * 0.05 * 8)
    # Of the hour's 21: 4 below zero, 4 at it, 4 in (1, 2], 4 in (2, 4], 5 in (8, 16].
    whole = told(ask(columnar, project, "spread", "p100", 3600))
    assert whole == {0.0: pytest.approx(16.0)}
    assert 2.0 <= told(ask(columnar, project, "spread", "p70", 3600))[0.0] <= 4.0
