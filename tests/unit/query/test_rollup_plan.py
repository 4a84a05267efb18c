"""How a time range is divided between spans, minutes and hours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.query import rollups
from spanhouse_server.query.facets import grouping_field
from spanhouse_server.query.filter import parse_filter

NS = 1_000_000_000
minutes = st.lists(st.integers(0, 3000), unique=True, max_size=200).map(lambda found: sorted(n * 60 for n in found))


class Store:
    """Answers the two reads of a plan."""

    def __init__(self, touched: list[int], from_ns: int = 0, rolled: bool = True, position_ns: int = 0) -> None:
        self.touched, self.from_ns, self.rolled, self.position_ns = touched, from_ns, rolled, position_ns
        self.stored, self.expires_s = 1000, 2**32 - 1

    def select(self, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
        if "rollup_state" in sql:
            return (
                [{"position_ns": self.position_ns, "from_ns": self.from_ns, "tier_key": "tier"}] if self.rolled else []
            )
        if "sum(groups)" in sql:
            return [{"rolled": 1, "stored": self.stored, "expires_s": self.expires_s}]
        within = range(parameters["first_s"], parameters["last_s"])
        return [{"minute_s": each} for each in self.touched if each in within]


@given(
    touched=minutes,
    start_ns=st.integers(0, 3000 * 60 * NS),
    length_ns=st.integers(0, 3000 * 60 * NS),
    from_ns=st.integers(0, 3000 * 60 * NS),
    position_ns=st.integers(0, 6000 * 60 * NS),
    interval_s=st.sampled_from([1, 60, 90, 300, 3600, 86_400]),
)
def test_every_moment_is_read_once_and_no_touched_one_from_rollups(
    touched, start_ns, length_ns, from_ns, position_ns, interval_s
):
    end_ns = start_ns + length_ns
    plan = rollups.plan_range(
        Store(touched, from_ns, position_ns=position_ns), "p", start_ns, end_ns, interval_s, set()
    )
    parts = sorted(
        [(a, b, "spans") for a, b in plan.spans_ns]
        + [(a * NS, b * NS, "minutes") for a, b in plan.minutes]
        + [(a * NS, b * NS, "hours") for a, b in plan.hours]
    )
    assert all(before[1] == after[0] for before, after in zip(parts, parts[1:], strict=False))
    if parts:
        assert (parts[0][0], parts[-1][1]) == (start_ns, end_ns)
    assert len(plan.minutes) + len(plan.hours) <= 3 * rollups.MAX_RANGES + 3
    assert all(b * NS <= position_ns for _, b in plan.hours)
    for step_s, ranges in ((60, plan.minutes), (3600, plan.hours)):
        for a, b in ranges:
            assert a % step_s == b % step_s == interval_s % step_s == 0
            assert a * NS >= from_ns
            assert not any(a <= each < b for each in touched)


def test_without_rollups_or_with_another_tier_only_spans_are_read():
    whole = [(0, 7200 * NS)]
    assert rollups.plan_range(Store([], rolled=False), "p", 0, 7200 * NS, 60, set()).spans_ns == whole
    assert rollups.plan_range(Store([]), "p", 0, 7200 * NS, 60, {"other"}).spans_ns == whole
    assert rollups.plan_range(Store([]), "p", 0, 7200 * NS, 60, {"tier", "other"}).spans_ns == whole
    assert rollups.plan_range(Store([]), "p", 0, 7200 * NS, 60, {"tier"}).minutes == [(0, 7200)]


def test_too_many_touched_minutes_are_read_from_the_spans(monkeypatch):
    monkeypatch.setattr(rollups, "MAX_TOUCHED", 5)
    store = Store([n * 60 for n in range(0, 12, 2)])
    assert rollups.plan_range(store, "p", 0, 7200 * NS, 60, set()).spans_ns == [(0, 7200 * NS)]


def test_of_few_spans_the_spans_are_read_unless_some_have_expired():
    store = Store([])
    store.stored = rollups.SKETCH_COST - 1
    assert rollups.plan_range(store, "p", 0, 7200 * NS, 60, set()).minutes
    assert not rollups.plan_range(store, "p", 0, 7200 * NS, 60, set(), sketches=True).minutes
    store.expires_s = 5
    assert rollups.plan_range(store, "p", 0, 7200 * NS, 60, set(), sketches=True).minutes


@pytest.mark.parametrize(
    ("group_by", "q", "keys"),
    [
        ("model,status", "", set()),
        ("", "model:a* -status:error (env:prod OR has:llm,error) finish_reason~stop", set()),
        ("metadata.tier", "metadata.tier:gold", {"tier"}),
        ("metadata.a", "metadata.b:x", {"a", "b"}),
        ("user", "", None),
        ("", "has:cost", None),
        ("", "model:a refund", None),
        ("", "duration>1s", None),
        ("", "score.x>1", None),
        ("", "-(model:a OR name:b)", None),
        ("", "attribute.x:1", None),
        ("", "errors>1", None),
    ],
)
def test_which_questions_rollups_can_answer(group_by, q, keys):
    fields = [grouping_field(name) for name in group_by.split(",") if name]
    assert rollups.rolled_keys(fields, parse_filter(q)) == keys


def test_a_plan_holds_for_a_moment_and_for_its_range() -> None:
    now_s, store = [100.0], Store([])
    plans = rollups.Plans(store, lambda: now_s[0])  # type: ignore[arg-type]
    first = plans.range("p", 0, 7200 * NS, 60, set(), sketches=False)
    store.touched = [600]
    now_s[0] += rollups.PLAN_HOLDS_S / 2
    assert plans.range("p", 0, 7200 * NS, 60, set(), sketches=False) is first
    assert plans.range("p", 0, 7260 * NS, 60, set(), sketches=False).minutes == [(0, 600), (660, 7260)]
    assert plans.range("q", 0, 7200 * NS, 60, set(), sketches=False) is not first
    now_s[0] += rollups.PLAN_HOLDS_S / 2
    assert plans.range("p", 0, 7200 * NS, 60, set(), sketches=False).minutes == [(0, 600), (660, 7200)]


def test_plans_are_bounded() -> None:
    plans = rollups.Plans(Store([]), lambda: 0.0)  # type: ignore[arg-type]
    for number in range(rollups.MAX_PLANS + 20):
        plans.range("p", 0, (7200 + number * 60) * NS, 60, set(), sketches=False)
    assert len(plans._made) == rollups.MAX_PLANS


def test_what_began_a_moment_ago_is_read_from_the_spans_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "now_ns", lambda: 100_000 * NS)

    class Unasked:
        def select(self, sql: str, parameters: Any = None) -> list[dict[str, Any]]:
            raise AssertionError("nobody needs to look")

    recent = (100_000 - rollups.RECENT_S) * NS
    assert rollups.plan_range(Unasked(), "p", recent, 100_000 * NS, 60, set()).spans_ns == [(recent, 100_000 * NS)]  # type: ignore[arg-type]
    assert rollups.plan_range(Store([]), "p", recent - 60 * NS, 99_960 * NS, 60, set()).minutes
