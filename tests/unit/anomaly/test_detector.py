"""One series in, one verdict per bucket out."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.anomaly import Detector, Options, Verdict, scale_of

WEEK_S, DAY_S, HOUR_S, STEP_S = 7 * 86_400, 86_400, 3600, 300
#: Monday 2026-01-05 00:00 UTC.
T0 = 1_767_571_200
Points = list[tuple[int, float | None]]


def seasonal(weeks: float, *, level: float = 500.0, noise: float = 0.08, seed: int = 1) -> Points:
    """A positive series with a day and a weekend, as latency has them."""
    rng = random.Random(seed)
    found: Points = []
    for at_s in range(T0, T0 + int(weeks * WEEK_S), STEP_S):
        day = 0.2 * math.sin(2 * math.pi * (at_s % DAY_S) / DAY_S)
        weekend = -0.3 if (at_s - T0) // DAY_S % 7 >= 5 else 0.0
        found.append((at_s, level * math.exp(day + weekend + rng.gauss(0, noise))))
    return found


def counts(weeks: float, rate: float, seed: int = 1) -> Points:
    rng = random.Random(seed)
    found: Points = []
    for at_s in range(T0, T0 + int(weeks * WEEK_S), STEP_S):
        day = math.exp(0.8 * math.sin(2 * math.pi * (at_s % DAY_S) / DAY_S))
        # A sum of many small chances is close enough to Poisson's.
        found.append((at_s, float(sum(rng.random() < rate * day / 400 for _ in range(400)))))
    return found


def changed(points: Points, from_s: int, until_s: int, factor: float) -> Points:
    return [(at, value * factor if value is not None and from_s <= at < until_s else value) for at, value in points]


def detector(**options: object) -> Detector:
    return Detector(replace(Options(), **options), STEP_S)  # type: ignore[arg-type]


def kinds(verdicts: list[Verdict]) -> set[str]:
    return {each.kind for each in verdicts}


def first_anomaly(verdicts: list[Verdict], from_s: int) -> Verdict:
    return next(each for each in verdicts if each.at_s >= from_s and each.anomalous)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_ordinary_series_is_ordinary_from_the_first_week_on(seed: int) -> None:
    verdicts = detector().scan(seasonal(5, seed=seed))
    assert kinds(verdicts[: DAY_S // STEP_S]) == {"learning"}
    assert kinds(verdicts[DAY_S // STEP_S + 1 :]) == {"ok"}


def test_the_baseline_knows_the_hour_of_the_week_after_three_weeks() -> None:
    verdicts = detector().scan(seasonal(4), T0 + 3 * WEEK_S)
    for each in verdicts[6::97]:
        assert each.expected is not None
        day = 0.2 * math.sin(2 * math.pi * (each.at_s % DAY_S) / DAY_S)
        weekend = -0.3 if (each.at_s - T0) // DAY_S % 7 >= 5 else 0.0
        # Around midnight of Saturday and Monday the line between two hours crosses the step of the weekend.
        if HOUR_S < each.at_s % DAY_S < 23 * HOUR_S:
            assert each.expected == pytest.approx(500 * math.exp(day + weekend), rel=0.1)
        assert each.low is not None
        assert each.high is not None
        assert each.low < each.expected < each.high


def test_a_step_is_found_within_half_an_hour_and_ends_with_its_cause() -> None:
    start_s = T0 + 4 * WEEK_S + 2 * DAY_S + 10 * HOUR_S
    verdicts = detector().scan(changed(seasonal(5), start_s, start_s + 4 * HOUR_S, 1.4), start_s - DAY_S)
    assert first_anomaly(verdicts, start_s - DAY_S).at_s - start_s in range(1800)
    during = [each for each in verdicts if start_s + 1800 <= each.at_s < start_s + 4 * HOUR_S]
    assert all(each.anomalous and each.score > 0 for each in during)
    assert kinds([each for each in verdicts if each.at_s >= start_s + 5 * HOUR_S]) == {"ok"}


def test_slow_growth_is_found_before_it_becomes_normal() -> None:
    start_s = T0 + 4 * WEEK_S
    grown = [
        (at, value * 1.15 ** (max(at - start_s, 0) / DAY_S) if value is not None else None)
        for at, value in seasonal(5, seed=2)
    ]
    found = first_anomaly(detector().scan(grown, start_s), start_s)
    assert found.kind == "creep"
    assert found.score >= 1
    assert found.at_s - start_s < 4 * DAY_S


def test_a_single_odd_bucket_is_a_spike_and_nothing_more() -> None:
    at_s = T0 + 4 * WEEK_S + 30 * HOUR_S
    verdicts = detector().scan(changed(seasonal(5), at_s, at_s + STEP_S, 6.0), at_s)
    assert verdicts[0].kind == "spike"
    assert kinds(verdicts[1:]) == {"ok"}


def test_a_trifle_is_ordinary_however_quiet_the_series() -> None:
    start_s = T0 + 4 * WEEK_S
    verdicts = detector().scan(changed(seasonal(5, noise=0.001), start_s, start_s + DAY_S, 1.1), start_s)
    assert kinds(verdicts) == {"ok"}


def test_a_constant_series_has_bounds() -> None:
    points: Points = [(at_s, 7.0) for at_s, _ in seasonal(2)]
    verdict = detector().judge(points, points[-1][0])
    assert verdict.kind == "ok"
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < 6
    assert verdict.high > 8


@pytest.mark.parametrize("factor", [1.5, 0.5])
def test_a_new_level_is_normal_after_the_relearning_time(factor: float) -> None:
    start_s = T0 + 4 * WEEK_S
    verdicts = detector(relearn_s=DAY_S).scan(changed(seasonal(7), start_s, T0 + 9 * WEEK_S, factor), start_s)
    assert first_anomaly(verdicts, start_s).at_s - start_s < 1800
    flagged = [each.at_s for each in verdicts if each.anomalous]
    assert max(flagged) - start_s < DAY_S + 3 * HOUR_S
    last = verdicts[-1]
    assert last.expected == pytest.approx(500 * factor * math.exp(-0.3), rel=0.15)


def test_an_incident_does_not_become_the_baseline() -> None:
    start_s = T0 + 4 * WEEK_S + 10 * HOUR_S
    points = seasonal(6)
    clean = detector().judge(points, start_s + WEEK_S + HOUR_S)
    after = detector().judge(changed(points, start_s, start_s + 6 * HOUR_S, 3.0), start_s + WEEK_S + HOUR_S)
    assert after.expected == pytest.approx(clean.expected, rel=0.05)
    assert after.high == pytest.approx(clean.high, rel=0.15)


def test_what_happens_every_night_is_normal_by_the_fifth() -> None:
    start_s = T0 + 4 * WEEK_S
    points = [
        (at, value * 3 if value is not None and at >= start_s and at % DAY_S // HOUR_S in (2, 3) else value)
        for at, value in seasonal(5)
    ]
    verdicts = detector().scan(points, start_s)
    nights = [[each for each in verdicts if each.at_s // DAY_S == (start_s // DAY_S) + day] for day in range(7)]
    assert any(each.anomalous for each in nights[0])
    assert not any(each.anomalous for night in nights[4:] for each in night)


def test_gaps_are_no_data_and_teach_nothing() -> None:
    start_s = T0 + 4 * WEEK_S
    holes: Points = [(at, None if start_s <= at < start_s + 5 * HOUR_S else value) for at, value in seasonal(5)]
    verdicts = detector().scan(holes, start_s)
    assert kinds(verdicts[: 5 * 12]) == {"no_data"}
    assert verdicts[0].expected is not None
    assert kinds(verdicts[5 * 12 :]) == {"ok"}


def test_missing_days_do_not_keep_it_from_judging() -> None:
    start_s = T0 + 3 * WEEK_S
    points = [point for point in seasonal(5) if not start_s <= point[0] < start_s + 3 * DAY_S]
    verdicts = detector().scan(changed(points, T0 + 4 * WEEK_S, T0 + 5 * WEEK_S, 2.0), start_s)
    assert first_anomaly(verdicts, start_s).at_s - (T0 + 4 * WEEK_S) < 900


def test_traffic_of_a_few_requests_has_poisson_bounds() -> None:
    points = counts(4, 3.0)
    few = detector(scale="count", min_ratio=0.5).scan(points, T0 + 3 * WEEK_S)
    assert kinds(few) == {"ok"}
    start_s = T0 + 3 * WEEK_S + 12 * HOUR_S
    fewer = changed(counts(4, 60.0), start_s, T0 + 4 * WEEK_S, 0.1)
    found = first_anomaly(detector(scale="count", min_ratio=0.5).scan(fewer, T0 + 3 * WEEK_S), T0 + 3 * WEEK_S)
    assert (found.kind, found.at_s) == ("drop", start_s)


def test_silence_is_missing_telemetry_at_first() -> None:
    start_s = T0 + 3 * WEEK_S + 12 * HOUR_S
    gone = changed(counts(4, 60.0), start_s, start_s + 2 * HOUR_S, 0.0)
    verdicts = detector(scale="count", silence_s=1800).scan(gone, start_s)
    assert [each.kind for each in verdicts[:24]] == ["no_data"] * 6 + ["drop"] * 18
    assert kinds(verdicts[30:]) == {"ok"}
    at_once = detector(scale="count", silence_s=0).scan(gone, start_s)
    assert [each.kind for each in at_once[:24]] == ["drop"] * 24


def test_rates_of_few_requests_wait_for_more() -> None:
    """One failure of three requests says little, twenty of sixty a lot."""
    points: Points = [(at_s, 0.0) for at_s, _ in seasonal(2)]
    requests: list[float | None] = [3.0] * len(points)
    points[-1] = (points[-1][0], 1 / 3)
    options = {"scale": "rate", "min_delta": 0.03, "min_ratio": 1.0}
    assert detector(**options).scan(points, points[-12][0], requests)[-1].kind in ("ok", "no_data")
    requests[-1], points[-1] = 60.0, (points[-1][0], 20 / 60)
    assert detector(**options).scan(points, points[-1][0], requests)[-1].kind == "spike"


def test_pooled_buckets_are_judged_by_their_mean() -> None:
    points: Points = [(at_s, 100.0 if index % 2 else 300.0) for index, (at_s, _) in enumerate(seasonal(2))]
    requests = [5.0 if index % 2 else 15.0 for index in range(len(points))]
    verdicts = detector(min_requests=20.0).scan(points, T0 + WEEK_S, requests)
    assert {each.value for each in verdicts if each.kind == "ok"} == {250.0}
    assert sum(each.kind == "no_data" for each in verdicts) == len(verdicts) // 2


@pytest.mark.parametrize(
    ("metric", "scale"),
    [
        ("requests", "count"),
        ("refusals/requests", "rate"),
        ("request_errors / requests", "rate"),
        ("cost_usd/requests", "ratio"),
        ("cost_usd", "ratio"),
        ("ttft_ms.p95", "ratio"),
        ("score.faithfulness", "linear"),
    ],
)
def test_each_metric_has_its_scale(metric: str, scale: str) -> None:
    assert scale_of(metric) == scale


values = st.one_of(st.none(), st.floats(0, 1e6), st.sampled_from([0.0, 1.0, float("nan"), 1e300]))


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(st.tuples(values, st.one_of(st.none(), st.floats(0, 1e4)), st.integers(1, 40)), min_size=1),
    scale=st.sampled_from(["count", "rate", "ratio", "linear"]),
    at=st.integers(0, 200),
)
def test_verdicts_depend_on_the_past_alone(data: list, scale: str, at: int) -> None:
    """``judge`` at a moment is what ``scan`` says of it, a stream carried on from a copy says the same, and nothing
    that can be measured makes it fail or gives a verdict that is no number."""
    points: Points = []
    requests: list[float | None] = []
    at_s = T0
    for value, weight, jump in data * 6:
        points.append((at_s, min(value, 1.0) if scale == "rate" and value is not None else value))
        requests.append(weight)
        at_s += STEP_S * jump
    watching = detector(scale=scale, learn_s=HOUR_S)
    verdicts = watching.scan(points, 0, requests)
    index = at % len(points)
    judged = watching.judge(points, points[index][0], requests)
    assert str(judged) == str(verdicts[index])
    stream = watching.stream()
    for (when, value), weight in zip(points[:index], requests[:index], strict=True):
        stream.push(when, value, weight)
    other = stream.copy()
    other.push(points[index][0] + 1, 12.0, None)
    assert str(stream.push(*points[index], requests[index])) == str(verdicts[index])
    for each in verdicts:
        for number in (each.expected, each.low, each.high, each.score):
            assert number is None or math.isfinite(number)


@given(seed=st.integers(0, 1000))
@settings(max_examples=3, deadline=None)
def test_judge_is_scan_on_a_real_series(seed: int) -> None:
    points = changed(seasonal(3, seed=seed), T0 + 2 * WEEK_S, T0 + 2 * WEEK_S + 5 * HOUR_S, 2.0)
    verdicts = detector().scan(points)
    for index in random.Random(seed).sample(range(len(points)), 4):
        assert detector().judge(points, points[index][0]) == verdicts[index]


def test_buckets_wider_than_an_hour_are_refused() -> None:
    with pytest.raises(ValueError, match="at most an hour"):
        Detector(Options(), 7200)


def sampled(weeks: float, requests: float, *, noise: float = 0.6, seed: int = 1) -> tuple[Points, list[float | None]]:
    """A median of so many requests, which scatters as theirs do, and the requests; no season at all."""
    rng = random.Random(seed)
    found: Points = []
    counted: list[float | None] = []
    for at_s in range(T0, T0 + int(weeks * WEEK_S), STEP_S):
        n = max(round(rng.gauss(requests, requests**0.5)), 1)
        counted.append(float(n))
        found.append((at_s, 800 * math.exp(rng.gauss(0, noise / n**0.5))))
    return found, counted


@pytest.mark.parametrize(("requests", "within_s"), [(400, 900), (60, 1800), (25, 3600)])
def test_how_long_a_moderate_step_takes_follows_from_the_noise(requests: int, within_s: int) -> None:
    """A step of 30 %: two buckets of many requests tell it, few requests need their time; before it all is quiet."""
    start_s = T0 + 4 * WEEK_S + 30 * HOUR_S
    points, counted = sampled(4.5, requests)
    stepped = changed(points, start_s, start_s + DAY_S, 1.3)
    verdicts = detector(min_ratio=0.22).scan(stepped, T0 + 3 * WEEK_S, counted)
    found = next(each for each in verdicts if each.anomalous and each.score > 0)
    assert 0 <= found.at_s + STEP_S - start_s <= within_s


def test_a_release_is_no_step_for_long() -> None:
    """A smaller shift is followed within hours; a step on top of it is one all the same."""
    release_s = T0 + 4 * WEEK_S + 30 * HOUR_S
    step_s = release_s + DAY_S
    points, counted = sampled(5, 80)
    moved = changed(changed(points, release_s, T0 + 5 * WEEK_S, 1.12), step_s, step_s + 6 * HOUR_S, 1.4)
    verdicts = detector(min_ratio=0.22).scan(moved, T0 + 3 * WEEK_S, counted)
    assert kinds([each for each in verdicts if each.at_s < step_s]) == {"ok"}
    assert 0 <= first_anomaly(verdicts, step_s).at_s + STEP_S - step_s <= 1800


def test_the_weekly_hours_of_a_series_without_a_week_are_chance() -> None:
    """After three weeks an hour of the week would rest on three values: the hours of all days tell more."""
    points, counted = sampled(3.2, 40)
    verdicts = detector().scan(points, T0 + 3 * WEEK_S, counted)
    off = sorted(abs(math.log((each.expected or 0) / 800)) for each in verdicts)
    assert off[len(off) // 2] < 0.01
    assert off[-1] < 0.05
