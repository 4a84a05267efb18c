"""What rules have learnt outlives the process that learnt it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.derive.alerts.kinds import anomaly as anomaly_module
from spanhouse_server.derive.alerts.kinds.anomaly import Anomaly
from spanhouse_server.derive.anomaly import Options
from spanhouse_server.derive.anomaly.memory import FORGET_S, LearntStates, Memory, packed, unpacked
from spanhouse_server.errors import StoreUnavailable
from tests.unit.anomaly.test_kind import DAY_S, STEP_S, T0, Recorded, rule, world


class Settings:
    """Settings in a dict, which may be away."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.away = False

    def setting(self, key: str) -> str | None:
        return self.held.get(key)

    def put_setting(self, key: str, value: str) -> None:
        if self.away:
            raise StoreUnavailable("the records store is away", "wait")
        self.held[key] = value


def kept_by(settings: Settings, source: Recorded) -> Recorded:
    source.learnt = LearntStates(settings)  # type: ignore[attr-defined]
    return source


def test_a_new_process_goes_on_where_the_last_one_stood() -> None:
    """Killed at any time: the next one reads what came since the state was kept, and says the same to the last digit."""
    start_s = T0 + 9 * DAY_S
    changes = {"search": (start_s + 7200, start_s + 10_800, 1.6)}
    moments = range(start_s, start_s + 5 * 3600, STEP_S)
    settings, once = Settings(), Anomaly()
    unbroken = [once.observe(rule(), source, at_s) for source in [world(changes)] for at_s in moments]
    broken, source = [], kept_by(settings, world(changes))
    for index, at_s in enumerate(moments):
        if index % 7 == 0:
            kind = Anomaly()
        source.reads.clear()
        broken.append(kind.observe(rule(), source, at_s))
        if index:
            assert all(to_s - from_s < 4 * 3600 for _, from_s, to_s in source.reads)
    assert broken == unbroken
    assert {each.state for observed in broken for each in observed} == {"ok", "breach"}


def test_another_name_learns_nothing_anew_and_another_filter_everything() -> None:
    settings, at_s = Settings(), T0 + 9 * DAY_S
    Anomaly().observe(rule(), kept_by(settings, world({})), at_s)
    for changed, again in (({"name": "Other"}, False), ({"q": "release:v2"}, True), ({"window_s": 600}, True)):
        source = kept_by(settings, world({}))
        Anomaly().observe(rule(**changed), source, at_s)
        assert any(to_s - from_s > 8 * DAY_S for _, from_s, to_s in source.reads) is again, changed


def test_it_is_not_written_at_every_evaluation_and_a_store_that_is_away_does_not_stop_judging() -> None:
    settings, kind = Settings(), Anomaly()
    source = kept_by(settings, world({}))
    kind.observe(rule(), source, T0 + 8 * DAY_S)
    before = dict(settings.held)
    kind.observe(rule(), source, T0 + 8 * DAY_S + 3600)
    assert settings.held == before
    settings.away = True
    assert kind.observe(rule(), source, T0 + 8 * DAY_S + anomaly_module.SAVE_EVERY_S)
    assert settings.held == before
    settings.away = False
    kind.observe(rule(), source, T0 + 8 * DAY_S + anomaly_module.SAVE_EVERY_S + STEP_S)
    assert settings.held != before


def learnt(seed: int = 1) -> Memory:
    kind = Anomaly()
    source = world({}, days=3, seed=seed)
    kind.observe(rule(), source, T0 + 2 * DAY_S)
    return kind._memories[source]["default.r1"]


def test_packing_loses_nothing() -> None:
    memory = learnt()
    options = Options(scale="ratio")
    found = unpacked(packed(memory), memory.lesson, options, STEP_S)
    assert found is not None
    assert packed(found) == packed(memory)
    assert unpacked(packed(memory), "another", options, STEP_S) is None


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_spoilt_state_is_learnt_again(data: Any) -> None:
    text = packed(LEARNT)
    at = data.draw(st.integers(0, len(text) - 1))
    spoilt = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(1, 50)) :]
    found = unpacked(spoilt, LEARNT.lesson, Options(scale="ratio"), STEP_S)
    assert found is None or spoilt == text


LEARNT = learnt()


@pytest.mark.parametrize("text", ["", "}{", "zzzz"])
def test_what_is_no_state_is_none(text: str) -> None:
    assert unpacked(text, "lesson", Options(), STEP_S) is None


def test_states_of_rules_that_are_gone_are_dropped() -> None:
    settings = Settings()
    states = LearntStates(settings)
    states.save("default.gone", "old", T0)
    states.save("default.kept", "old", T0 + FORGET_S)
    states.save("default.new", "new", T0 + FORGET_S + 1)
    assert (states.load("default.gone"), states.load("default.kept")) == (None, "old")
    assert states.load("never") is None
