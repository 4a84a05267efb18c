"""The life of alerts: pending, firing, resolved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.alerts.machine import STALE_S, advance, close_all
from spanhouse_server.derive.alerts.rules import fingerprint_of
from spanhouse_server.model.alerts import Alert, Rule
from tests.unit.alerts.make import T0, numbered, rule, saw


class Life:
    """Runs evaluations a minute apart and keeps what they made."""

    def __init__(self, **of_rule: Any) -> None:
        self.rule: Rule = rule(**of_rule)
        self.alerts: dict[str, Alert] = {}
        self.steps: list[tuple[str, int]] = []
        self._ids = numbered()
        self.at_s = T0

    def see(self, *observations: Any, interrupted: bool = False, after_s: int = 60) -> list[str]:
        self.at_s += after_s
        active = [each for each in self.alerts.values() if each.state != "resolved"]
        done = advance(self.rule, active, observations, self.at_s, self._ids, interrupted=interrupted)
        self.alerts |= done.alerts
        self.steps += [(step.to, self.at_s) for step in done.transitions]
        return [step.to for step in done.transitions]

    @property
    def only(self) -> Alert:
        assert len(self.alerts) == 1
        return next(iter(self.alerts.values()))


def test_without_for_it_fires_at_once_and_ends_at_once() -> None:
    life = Life()
    assert life.see(saw("ok")) == []
    assert life.see(saw("breach", value=12.0, evidence={"reason": "too many"})) == ["pending", "firing"]
    assert (life.only.state, life.only.fired_s, life.only.value, life.only.reason) == (
        "firing",
        T0 + 120,
        12,
        "too many",
    )
    assert life.see(saw("breach", value=15.0)) == []
    assert (life.only.value, life.only.bad_s) == (15.0, T0 + 180)
    assert life.see(saw("ok", value=3.0)) == ["resolved"]
    assert (life.only.state, life.only.resolved_s) == ("resolved", T0 + 240)
    assert life.see(saw("breach")) == ["pending", "firing"]
    assert len(life.alerts) == 2
    assert len({each.fingerprint for each in life.alerts.values()}) == 1


def test_for_makes_it_wait_and_what_ends_before_is_cleared() -> None:
    life = Life(for_s=120)
    assert life.see(saw("breach")) == ["pending"]
    assert life.see(saw("breach")) == []
    assert life.see(saw("ok")) == ["cleared"]
    assert life.see(saw("breach")) == ["pending"]
    assert life.see(saw("warning")) == []
    assert life.see(saw("breach")) == ["firing"]


def test_keep_firing_bridges_gaps() -> None:
    life = Life(keep_firing_s=180)
    life.see(saw("breach"))
    for _ in range(2):
        assert life.see(saw("ok")) == []
    assert life.see(saw("breach")) == []
    for _ in range(2):
        assert life.see(saw("ok")) == []
    assert life.see(saw("ok")) == ["resolved"]


def test_hysteresis_holds_what_fires_but_starts_nothing() -> None:
    life = Life(for_s=60)
    assert life.see(saw("ok", holds=True)) == []
    assert life.see(saw("breach")) == ["pending"]
    assert life.see(saw("ok", holds=True)) == ["cleared"]
    life.see(saw("breach"))
    assert life.see(saw("breach")) == ["firing"]
    for _ in range(3):
        assert life.see(saw("ok", holds=True)) == []
    assert life.see(saw("ok")) == ["resolved"]


def test_a_warning_escalates_once_and_never_goes_back() -> None:
    life = Life()
    assert life.see(saw("warning")) == ["pending", "firing"]
    assert life.only.severity == "warning"
    assert life.see(saw("breach", evidence={"reason": "worse"})) == ["escalated"]
    assert (life.only.severity, life.only.reason) == ("critical", "worse")
    assert life.see(saw("warning")) == []
    assert life.see(saw("breach")) == []
    assert life.only.severity == "critical"


def test_groups_live_apart_and_repeated_labels_count_once() -> None:
    life = Life(labels={"team": "a"})
    life.see(saw("breach", {"model": "x"}), saw("ok", {"model": "y"}), saw("breach", {"model": "x"}, 99.0))
    assert life.only.labels == {"team": "a", "model": "x"}
    assert life.only.fingerprint == fingerprint_of("r1", {"model": "x", "team": "a"})
    assert life.see(saw("breach", {"model": "y"}), saw("ok", {"model": "x"})) == ["pending", "firing", "resolved"]
    assert {each.labels["model"]: each.state for each in life.alerts.values()} == {"x": "resolved", "y": "firing"}


@pytest.mark.parametrize(
    ("policy", "from_unknown", "while_firing", "while_pending"),
    [
        ("ok", [], ["resolved"], ["cleared"]),
        ("alert", ["pending", "firing"], [], ["firing"]),
        ("keep", [], [], ["firing"]),
        ("ignore", [], [], []),
    ],
)
def test_what_missing_data_means(
    policy: Any, from_unknown: list[str], while_firing: list[str], while_pending: list[str]
) -> None:
    assert Life(no_data=policy).see(saw("unknown", value=None)) == from_unknown
    firing = Life(no_data=policy)
    firing.see(saw("breach"))
    assert firing.see(saw("unknown", value=None)) == while_firing
    gone = Life(no_data=policy)
    gone.see(saw("breach"))
    assert gone.see() == while_firing
    pending = Life(no_data=policy, for_s=60)
    pending.see(saw("breach"))
    assert pending.see(saw("unknown", value=None)) == while_pending


def test_keep_goes_on_with_the_last_verdict_be_it_good() -> None:
    life = Life(no_data="keep", keep_firing_s=120)
    life.see(saw("breach"))
    life.see(saw("ok"))
    assert life.see(saw("unknown")) == ["resolved"]


@pytest.mark.parametrize("policy", ["keep", "ignore"])
def test_what_is_not_measured_for_a_day_is_over(policy: Any) -> None:
    life = Life(no_data=policy)
    life.see(saw("breach"))
    assert life.see(after_s=STALE_S - 60) == []
    assert life.see() == ["resolved"]
    assert "a day" in life.only.reason


def test_after_missed_evaluations_what_was_pending_waits_anew() -> None:
    life = Life(for_s=120)
    life.see(saw("breach"))
    assert life.see(saw("breach"), after_s=7200, interrupted=True) == []
    assert life.see(saw("breach")) == []
    assert life.see(saw("breach")) == ["firing"]


def test_a_clock_set_back_neither_fires_nor_holds_for_ever() -> None:
    life = Life(for_s=120, keep_firing_s=60)
    for _ in range(3):
        life.see(saw("breach"))
    assert life.only.state == "firing"
    assert life.see(saw("ok"), after_s=-86_400) == []
    assert life.see(saw("ok")) == ["resolved"]
    assert life.only.resolved_s is not None
    assert life.only.active_s <= life.only.resolved_s


def test_alerts_of_a_rule_that_is_gone_end() -> None:
    life = Life(for_s=60)
    life.see(saw("breach", {"model": "x"}))
    life.see(saw("breach", {"model": "x"}), saw("breach", {"model": "y"}))
    done = close_all(life.alerts.values(), life.at_s, "the rule was deleted")
    assert sorted(step.to for step in done.transitions) == ["cleared", "resolved"]
    assert {each.reason for each in done.alerts.values()} == {"the rule was deleted"}


VERDICTS = st.lists(st.sampled_from(["ok", "holds", "warning", "breach", "unknown", "gone"]), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    VERDICTS,
    st.sampled_from([0, 60, 150]),
    st.sampled_from([0, 120]),
    st.sampled_from(["ok", "alert", "keep", "ignore"]),
)
def test_every_life_is_whole(verdicts: Sequence[str], for_s: int, keep_s: int, policy: Any) -> None:
    """Steps come in order, nothing fires before its time, at most one alert of a fingerprint is active."""
    life = Life(for_s=for_s, keep_firing_s=keep_s, no_data=policy)
    for verdict in verdicts:
        seen = [] if verdict == "gone" else [saw("ok", holds=True) if verdict == "holds" else saw(verdict)]
        life.see(*seen)
        active = [each for each in life.alerts.values() if each.state != "resolved"]
        assert len(active) <= 1
        for each in active:
            assert each.active_s <= each.bad_s <= life.at_s
            if each.fired_s is not None:
                assert each.fired_s - each.active_s >= for_s
    order = [step for step, _ in life.steps]
    allowed = {"pending": {"firing", "cleared"}, "firing": {"escalated", "resolved"}, "escalated": {"resolved"},
               "resolved": {"pending"}, "cleared": {"pending"}}  # fmt: skip
    assert not order or order[0] == "pending"
    for before, after in zip(order, order[1:], strict=False):
        assert after in allowed[before], order
