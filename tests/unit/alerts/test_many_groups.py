"""More groups than a rule watches: nobody is called silent for not being among the largest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.derive.alerts.kinds import anomaly, no_data
from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.rules import kind_of
from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery
from tests.unit.alerts.make import T0, rule

DAY_S, STEP_S = 86_400, 300


class Largest:
    """A source in memory that gives, as the store does, the largest groups of a range and those asked for by name."""

    def __init__(self, held: Mapping[str, Sequence[Series]], interval_s: int) -> None:
        self._held = MemorySeries(held, interval_s)

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        found = self._held.read(project_id, query, from_s, to_s)
        found.sort(key=lambda each: -sum(value or 0.0 for _, value in each.points))
        known = [each for each in found if tuple(each.labels.values()) in query.known]
        measured = [each for each in found if any(value for _, value in each.points)]
        return known + [each for each in measured if each not in known][: query.limit]


def lines(metric: str, by_service: Mapping[str, Any], count: int, interval_s: int) -> dict[str, list[Series]]:
    """Return series of ``count`` buckets; each service has a function of the bucket's number."""
    return {
        metric: [
            Series({"service": name}, [(T0 + n * interval_s, value(n)) for n in range(count)])
            for name, value in by_service.items()
        ]
    }


def states(seen: Sequence[Observation]) -> dict[str, str]:
    return {each.labels["service"]: each.state for each in seen}


def test_a_group_that_shrank_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(no_data, "MAX_GROUPS", 2)
    source = Largest(
        lines(
            "requests",
            {
                "large": lambda n: 100.0 if n < 10 else 1.0,  # much before, little now
                "gone": lambda n: 90.0 if n < 10 else 0.0,
                "new": lambda n: 0.0 if n < 10 else 50.0,
                "other": lambda n: 2.0 if n < 10 else 40.0,
            },
            11,
            60,
        ),
        60,
    )
    of = rule(type="no_data", metric="requests", group_by=("service",), written={"lookback_s": 600}, window_s=60)
    found = states(kind_of(of).observe(of, source, T0 + 660))
    assert (found["large"], found["gone"]) == ("ok", "breach")


def test_a_group_that_is_not_among_the_largest_for_a_while_has_not_stopped() -> None:
    """Three services take turns at being the smallest, of which an anomaly rule watches the two largest."""
    count = 10 * DAY_S // STEP_S
    turns = {
        name: (lambda n, turn=turn: 60.0 if n // 12 % 3 == turn else 100.0 + n % 7)
        for turn, name in enumerate(("a", "b", "c"))
    }
    source = Largest(lines("requests", turns, count, STEP_S), STEP_S)
    of = rule(
        type="anomaly", metric="requests", group_by=("service",), window_s=STEP_S, every_s=STEP_S,
        written={"groups": 2, "direction": "down", "min_change": 1.0, "silence_s": 300},
    )  # fmt: skip
    kind = anomaly.Anomaly()
    begin_s = T0 + 9 * DAY_S
    seen: dict[str, set[str]] = {}
    for at_s in range(begin_s, begin_s + 6 * 3600, STEP_S):
        for name, state in states(kind.observe(of, source, at_s)).items():
            seen.setdefault(name, set()).add(state)
    assert seen.keys() == {"a", "b", "c"}
    # Who comes in later is learnt from then on.
    assert set().union(*seen.values()) == {"ok", "unknown"}
    # And who has stopped is told.
    stopped = replace(of, id="r2")
    gone = Largest(lines("requests", {**turns, "a": lambda n: 0.0 if n >= count - 12 else 90.0}, count, STEP_S), STEP_S)
    found = states(kind.observe(stopped, gone, T0 + count * STEP_S))
    assert found["a"] == "breach"
