"""How kinds of rules judge, now and over the past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.alerts.kinds import KINDS
from spanhouse_server.derive.alerts.rules import checked, kind_of
from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery, SeriesSource
from spanhouse_server.errors import BadQuery, BadRequest
from spanhouse_server.model.alerts import Rule
from tests.unit.alerts.make import T0, held, rule


class Unheard:
    """A source that knows no metric, as a store does of workers that never ran."""

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        raise BadQuery(f"there is no metric {query.metric!r}")


def states(of: Rule, source: SeriesSource, at_s: int) -> list[tuple[dict[str, str], str, float | None]]:
    return [(dict(each.labels), each.state, each.value) for each in kind_of(of).observe(of, source, at_s)]


def test_levels() -> None:
    of = rule(written={"above": 10, "warning": 5, "recover": 3})
    seen = []
    for value in (11.0, 10.0, 5.0, 4.0, 3.0, None):
        (observation,) = kind_of(of).observe(of, held([value]), T0 + 60)
        seen.append((observation.state, observation.holds))
    expected = [("breach", False), ("warning", False), ("ok", True), ("ok", True), ("ok", False), ("unknown", False)]
    assert seen == expected
    assert observation.evidence["threshold"] == {"direction": "above", "breach": 10, "warning": 5, "recover": 3}


def test_below_is_the_mirror() -> None:
    of = rule(type="quality", metric="score.faith", written={"below": 0.5, "warning": 0.7, "recover": 0.8})
    for value, state, holds in (
        (0.4, "breach", False),
        (0.6, "warning", False),
        (0.75, "ok", True),
        (0.8, "ok", False),
    ):
        (seen,) = kind_of(of).observe(of, held([value], "score.faith"), T0 + 60)
        assert (seen.state, seen.holds) == (state, holds)
    (seen,) = kind_of(of).observe(of, held([None], "score.faith"), T0 + 60)
    assert (seen.state, seen.evidence["reason"]) == ("unknown", "not observable: nothing was scored")


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("whole", 12.0), ("avg", 4.0), ("min", 1.0), ("max", 8.0), ("last", 3.0)]
)
def test_aggregates(aggregate: str, expected: float) -> None:
    of = rule(window_s=180, written={"above": 100, "aggregate": aggregate})
    assert states(of, held([8, 1, 3]), T0 + 180) == [({}, "ok", expected)]


@pytest.mark.parametrize("kind", ["drift", "scaling"])
def test_what_nobody_measures_is_not_observable_and_never_well(kind: str) -> None:
    of = rule(type=kind, metric="vllm:num_requests_waiting")
    for seen in (kind_of(of).observe(of, Unheard(), T0), next(kind_of(of).observe_over(of, Unheard(), T0, T0, 60))[1]):
        assert [(each.state, each.evidence["reason"][:15]) for each in seen] == [("unknown", "not observable:")]


def test_a_threshold_on_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(BadRequest, match="metric: there is no metric"):
        rule(metric="requsts")
    with pytest.raises(BadQuery):
        kind_of(rule()).observe(rule(), Unheard(), T0)


def test_ratios() -> None:
    of = rule(metric="request_errors/requests", window_s=120, written={"above": 0.2})
    source = MemorySeries(
        {
            "request_errors": [Series({}, [(T0, 1.0), (T0 + 60, 3.0)])],
            "requests": [Series({}, [(T0, 5.0), (T0 + 60, 5.0), (T0 + 120, 0.0), (T0 + 180, 0.0)])],
        },
        60,
    )
    assert states(of, source, T0 + 120) == [({}, "breach", 0.4)]
    assert states(of, source, T0 + 240) == [({}, "unknown", None)]


def test_no_data() -> None:
    of = rule(type="no_data", group_by=("model",), window_s=120, written={"lookback_s": 600})
    points = {"a": [1.0] * 8 + [0.0] * 12, "b": [1.0] * 20, "c": [0.0] * 20}
    series = [Series({"model": n}, [(T0 + i * 60, v) for i, v in enumerate(vs)]) for n, vs in points.items()]
    source = MemorySeries({"requests": series}, 60)
    seen = {labels["model"]: state for labels, state, _ in states(of, source, T0 + 660)}
    assert seen == {"a": "breach", "b": "ok", "c": "unknown"}
    assert {labels["model"]: state for labels, state, _ in states(of, source, T0 + 1200)}["a"] == "unknown"
    with pytest.raises(BadRequest, match="counts"):
        kind_of(of).observe(checked_as(of, "duration_ms"), source, T0)


def checked_as(of: Rule, metric: str) -> Rule:
    return Rule(**{**{name: getattr(of, name) for name in of.__slots__}, "metric": metric})


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "above or below"), ({"above": 1, "below": 2}, "above or below"), ({"above": "1"}, "params.above"),
        ({"above": True}, "params.above"), ({"above": float("nan")}, "params.above"), ({"above": 10**400}, "params.above"),
        ({"above": 10, "warning": 10}, "params.warning"), ({"above": 10, "warning": 11}, "params.warning"),
        ({"below": 10, "warning": 9}, "params.warning"), ({"above": 10, "recover": 11}, "params.recover"),
        ({"above": 10, "warning": 5, "recover": 6}, "params.recover"), ({"below": 10, "recover": 9}, "params.recover"),
        ({"above": 1, "aggregate": "mean"}, "params.aggregate"), ({"above": 1, "bucket_s": 0}, "params.bucket_s"),
        ({"above": 1, "bucket_s": 1.5}, "params.bucket_s"), ({"abvoe": 1, "above": 2}, "params.abvoe"),
    ],
)  # fmt: skip
def test_levels_that_cannot_be_meant_are_named(params: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as refused:
        KINDS["threshold"].check(params)
    assert named in refused.value.message


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"name": " "}, "name"), ({"type": "treshold"}, "type"), ({"metric": ""}, "metric"), ({"window_s": 0}, "window_s"),
        ({"every_s": 5}, "every_s"), ({"for_s": -1}, "for_s"), ({"severity": "page"}, "severity"), ({"no_data": "x"}, "no_data"),
        ({"group_by": ("modle",)}, "group_by"), ({"group_by": ("model", "model")}, "group_by"),
        ({"group_by": ("model",) * 4}, "group_by"), ({"q": "modle:x"}, "modle"), ({"labels": {"a b": "c"}}, "labels"),
        ({"labels": {"severity": "x"}}, "labels"), ({"labels": {"a": "x" * 501}}, "labels"), ({"note": "x" * 2001}, "note"),
        ({"metric": "a/b"}, "metric"), ({"note": "\ud800"}, "JSON"), ({"written": {"above": 1, "recover": 2**70}}, "recover"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_meant_are_named(bad: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as refused:
        rule(**bad)
    assert named in refused.value.message


VALUES = st.lists(st.one_of(st.just(0.0), st.integers(0, 20).map(float)), min_size=30, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    VALUES,
    VALUES,
    st.sampled_from(["threshold", "no_data"]),
    st.sampled_from([60, 120, 300]),
    st.sampled_from([60, 120, 180]),
    st.sampled_from(["whole", "avg", "max", "last"]),
    st.booleans(),
)
def test_the_past_is_judged_as_the_present(
    one: list[float], two: list[float], kind: str, window_s: int, every_s: int, aggregate: str, grouped: bool
) -> None:
    """``observe_over`` gives at each step what ``observe`` gives there."""
    length = min(len(one), len(two))
    series = [
        Series({"model": name}, [(T0 + i * 60, v) for i, v in enumerate(values[:length])])
        for name, values in (("a", one), ("b", two))
    ]
    source = MemorySeries({"requests": series}, 60)
    written = {"lookback_s": 600} if kind == "no_data" else {"above": 10, "warning": 5, "aggregate": aggregate}
    of = rule(type=kind, window_s=window_s, every_s=every_s, written=written, group_by=("model",) if grouped else ())
    first_s = -(-(T0 + 900) // every_s) * every_s
    last_s = T0 + length * 60
    over = dict(kind_of(of).observe_over(of, source, first_s, last_s, every_s))
    assert list(over) == list(range(first_s, last_s + 1, every_s))
    for at_s, seen in over.items():
        alone = kind_of(of).observe(of, source, at_s)
        assert by_labels(seen) == by_labels(alone)


def by_labels(seen: Any) -> dict[str, tuple[str, float | None, bool]]:
    return {str(sorted(each.labels.items())): (each.state, each.value, each.holds) for each in seen}


def test_windows_that_overlap_too_often_are_refused() -> None:
    of = rule(metric="duration_ms.p95", window_s=86_400, every_s=60, written={"above": 1})
    with pytest.raises(BadRequest, match="overlap"):
        list(kind_of(of).observe_over(of, held([1.0], "duration_ms.p95"), T0, T0 + 86_400, 60))


def test_a_rule_is_kept_with_its_parameters_typed() -> None:
    made = checked(Rule("", "p", "  n ", "threshold", "requests", written={"above": 1}))
    assert (made.name, made.params.breach) == ("n", 1)
