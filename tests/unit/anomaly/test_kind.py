"""Anomaly rules: the detector behind the contract of the alert engine."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.alerts.kinds import KINDS
from spanhouse_server.derive.alerts.kinds import anomaly as anomaly_module
from spanhouse_server.derive.alerts.kinds.anomaly import Anomaly, samples_of
from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.derive.anomaly.memory import EVIDENCE_POINTS
from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.alerts import Rule

DAY_S, STEP_S = 86_400, 300
#: Monday 2026-01-05 00:00 UTC.
T0 = 1_767_571_200
DAYS = 10


def rule(**given: Any) -> Rule:
    defaults: dict[str, Any] = {
        "id": "r1", "project_id": "default", "name": "Slow", "type": "anomaly", "metric": "cost_usd/requests",
        "group_by": ("service",), "window_s": 300, "every_s": 300, "written": {"direction": "up"},
    }  # fmt: skip
    return checked(Rule(**{**defaults, **given}))


class Recorded:
    """A source in memory that notes what is asked of it."""

    def __init__(self, held: Mapping[str, Sequence[Series]]) -> None:
        self._held = MemorySeries(held, STEP_S)
        self.reads: list[tuple[str, int, int]] = []

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        self.reads.append((query.metric, from_s, to_s))
        return self._held.read(project_id, query, from_s, to_s)


def world(changes: Mapping[str, tuple[int, int, float]], days: int = DAYS, seed: int = 1) -> Recorded:
    """Services with 40 requests a bucket at 0.01 USD each; ``changes`` are (from, until, factor of the cost)."""
    rng = random.Random(seed)
    requests, cost = [], []
    for service in ("chat", "search"):
        first_s, last_s, factor = changes.get(service, (0, 0, 1.0))
        count_points: list[tuple[int, float | None]] = []
        cost_points: list[tuple[int, float | None]] = []
        for at_s in range(T0, T0 + days * DAY_S, STEP_S):
            count = float(round(rng.gauss(40, 5)))
            each = 0.01 * rng.lognormvariate(0, 0.05) * (factor if first_s <= at_s < last_s else 1.0)
            count_points.append((at_s, count))
            cost_points.append((at_s, count * each))
        requests.append(Series({"service": service}, count_points))
        cost.append(Series({"service": service}, cost_points))
    return Recorded({"requests": requests, "cost_usd": cost})


def states(seen: Sequence[Observation]) -> dict[str, str]:
    return {each.labels["service"]: each.state for each in seen}


def test_it_is_one_of_the_kinds() -> None:
    assert isinstance(KINDS["anomaly"], Anomaly)
    with pytest.raises(BadRequest, match="metric"):
        rule(metric="")


def test_the_group_that_departs_breaches_with_its_evidence() -> None:
    start_s = T0 + 9 * DAY_S
    source = world({"chat": (start_s, start_s + DAY_S, 1.6)})
    seen = Anomaly().observe(rule(), source, start_s + 3600)
    assert states(seen) == {"chat": "breach", "search": "ok"}
    (bad,) = [each for each in seen if each.state == "breach"]
    assert bad.value == pytest.approx(0.016, rel=0.2)
    assert bad.evidence["points"][-1][0] == start_s + 3600 - STEP_S
    at_s, expected, low, high = bad.evidence["baseline"][-1]
    assert at_s == start_s + 3600 - STEP_S
    assert low < expected < high
    assert expected == pytest.approx(0.01, rel=0.1)
    assert "expected 0.0" in bad.evidence["reason"]
    assert len(bad.evidence["points"]) == len(bad.evidence["baseline"]) == EVIDENCE_POINTS


@pytest.mark.parametrize(
    ("direction", "factor", "state"),
    [("up", 1.6, "breach"), ("up", 0.5, "ok"), ("down", 0.5, "breach"), ("down", 1.6, "ok"), ("both", 0.5, "breach")],
)
def test_direction(direction: str, factor: float, state: str) -> None:
    start_s = T0 + 9 * DAY_S
    source = world({"chat": (start_s, start_s + DAY_S, factor)})
    seen = Anomaly().observe(rule(written={"direction": direction}), source, start_s + 3600)
    assert states(seen)["chat"] == state


def test_observing_step_by_step_says_what_observing_over_says_and_reads_only_what_is_new() -> None:
    start_s = T0 + 9 * DAY_S
    source = world({"search": (start_s, start_s + 7200, 2.0)})
    of, kind = rule(), Anomaly()
    steps = range(start_s - 1800, start_s + 4 * 3600 + 1, 600)
    one_by_one = [(at_s, kind.observe(of, source, at_s)) for at_s in steps]
    assert all(to_s - from_s > 8 * DAY_S for _, from_s, to_s in source.reads[:2])
    assert all(to_s - from_s <= 2 * 3600 for _, from_s, to_s in source.reads[2:])
    at_once = list(Anomaly().observe_over(of, source, steps[0], steps[-1], 600))
    assert one_by_one == at_once
    assert {states(seen)["search"] for _, seen in at_once} == {"ok", "breach"}


def test_late_spans_count_until_a_bucket_is_settled() -> None:
    """The last buckets are read again: what they said first is forgotten."""
    at_s = T0 + 9 * DAY_S
    of, kind = rule(), Anomaly()
    source = world({"chat": (at_s - 600, at_s, 5.0)})
    assert states(kind.observe(of, source, at_s))["chat"] == "breach"
    source._held = world({})._held
    assert states(kind.observe(of, source, at_s))["chat"] == "ok"


def test_a_changed_rule_begins_anew_and_a_clock_set_back_does_no_harm() -> None:
    source, kind = world({}), Anomaly()
    kind.observe(rule(), source, T0 + 9 * DAY_S)
    source.reads.clear()
    kind.observe(rule(written={"min_change": 0.5}), source, T0 + 9 * DAY_S)
    kind.observe(rule(written={"min_change": 0.5}), source, T0 + 5 * DAY_S)
    assert [to_s - from_s > 8 * DAY_S for _, from_s, to_s in source.reads] == [True] * len(source.reads)


def test_what_was_there_before_the_first_request_teaches_nothing() -> None:
    source = world({}, days=2)
    (first, *_) = Anomaly().observe(rule(metric="requests"), source, T0 + 3600)
    assert (first.state, first.evidence["reason"]) == ("unknown", "still learning what is normal")
    assert set(states(Anomaly().observe(rule(metric="requests"), source, T0 + 2 * DAY_S)).values()) == {"ok"}


def test_a_group_that_falls_silent_has_no_traffic() -> None:
    source, kind = world({}), Anomaly()
    of = rule(metric="requests", written={"direction": "down"})
    at_s = T0 + 9 * DAY_S
    kind.observe(of, source, at_s)
    lasting = world({})
    source._held = MemorySeries(
        {"requests": [each for each in lasting.read("default", SeriesQuery("requests", ("service",), "", STEP_S), T0,
                                                    T0 + DAYS * DAY_S) if each.labels["service"] == "chat"]},
        STEP_S,
    )  # fmt: skip
    assert states(kind.observe(of, source, at_s + 3600)) == {"chat": "ok", "search": "breach"}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anomaly_module, "MAX_SERIES", 3)
    source, kind = world({}, days=2), Anomaly()
    for name in ("a", "b", "c"):
        kind.observe(rule(id=name, metric="requests"), source, T0 + DAY_S)
    kept = kind._memories[source]
    assert list(kept) == ["default.c"]


def test_a_spike_counts_when_it_is_confirmed() -> None:
    at_s = T0 + 9 * DAY_S
    of = rule(written={"direction": "up", "confirm": 3})
    source = world({"chat": (at_s, at_s + 3600, 1.7)})
    seen = Anomaly().observe_over(of, source, at_s + STEP_S, at_s + 4 * STEP_S, STEP_S)
    chat = [next(each for each in observed if each.labels["service"] == "chat") for _, observed in seen]
    assert [each.state for each in chat] == ["ok", "ok", "breach", "breach"]
    assert all(each.holds for each in chat[:2]), "an alert that stands is kept up by a spike that is not confirmed yet"


def test_trying_a_rule_reads_a_bucket_not_weeks() -> None:
    source = world({})
    Anomaly().probe(rule(), source, T0 + 9 * DAY_S + 17)
    assert {to_s - from_s for _, from_s, to_s in source.reads} == {STEP_S}


@pytest.mark.parametrize("window_s", [7, 420, 7200])
def test_buckets_must_divide_an_hour(window_s: int) -> None:
    with pytest.raises(BadRequest, match="do not divide an hour"):
        Anomaly().observe(rule(window_s=window_s), world({}), T0 + DAY_S)


def test_unknown_metrics_are_named() -> None:
    with pytest.raises((BadRequest, BadQuery), match="no metric"):
        rule(metric="nonsense")


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({"direction": "sideways"}, "direction"),
        ({"deviations": 0}, "deviations"),
        ({"min_change": -1}, "min_change"),
        ({"relearn_s": 1.5}, "relearn_s"),
        ({"sensitivity": 3}, "sensitivity"),
        ({"groups": 100_000}, "groups"),
    ],
)
def test_bad_parameters_are_named(written: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=named):
        rule(written=written)


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=12), st.one_of(st.none(), st.floats(), st.text(max_size=5), st.booleans())))
def test_whatever_is_given_is_refused_or_understood(written: dict[str, Any]) -> None:
    with suppress(BadRequest):
        assert rule(written=written).params.options.k >= 2


@pytest.mark.parametrize(
    ("metric", "samples"),
    [
        ("requests", None),
        ("cost_usd", "requests"),
        ("cost_usd/requests", "requests"),
        ("request_errors/requests", "requests"),
        ("duration_ms.p95", "spans"),
        ("trace_duration_ms.p50", "traces"),
        ("ttft_ms.p50", "requests"),
        ("score.faithfulness.p50", "score.faithfulness.count"),
        ("output_tokens/input_tokens", None),
    ],
)
def test_what_a_value_is_made_of(metric: str, samples: str | None) -> None:
    assert samples_of(metric) == samples
