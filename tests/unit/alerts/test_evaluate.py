"""The tick that evaluates rules, on a real records store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.derive.alerts import evidence
from spanhouse_server.derive.alerts.evaluate import CATCH_UP_S, AlertEvaluation, due_slots
from spanhouse_server.derive.alerts.evidence import bounded, filter_of
from spanhouse_server.derive.contract import Lease
from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery
from spanhouse_server.errors import BadQuery, StoreUnavailable
from spanhouse_server.model.alerts import AlertQuery
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.store.alert_records import AlertRecords
from tests.unit.alerts.make import NS, T0, channel, rule

LEASE = Lease("alerts.evaluate", 1)


class Metrics:
    """A source whose metrics can be set, and broken."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, float]] = {}
        self.broken: dict[str, Exception] = {}
        self.reads: list[tuple[str, int]] = []

    def put(self, metric: str, **by_s: Any) -> None:
        """Set values from a moment on: ``put("requests", at_0=5, at_120=50)``."""
        at = {int(name.removeprefix("at_")): value for name, value in by_s.items()}
        series = self.values.setdefault(metric, {})
        for begin, value in at.items():
            for start in range(begin, 200_000, 60):
                series[T0 + start] = value

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        self.reads.append((query.metric, to_s))
        if query.metric in self.broken:
            raise self.broken[query.metric]
        points = sorted(self.values.get(query.metric, {}).items())
        held = MemorySeries({query.metric: [Series({}, points or [(T0, 0.0)])]}, 60)
        return held.read(project_id, query, from_s, to_s)


class Engine:
    """The tick with a clock of its own."""

    def __init__(self, records: AlertRecords) -> None:
        self.records = records
        self.source = Metrics()
        self.steady_s = 0.0
        self.behind_s = 0.0
        self.restart()

    def restart(self) -> None:
        self.store = NoTraces()
        self.tick = AlertEvaluation(
            self.store,  # type: ignore[arg-type]
            self.records,
            settle_s=30,
            public_url="http://house",
            source=self.source,
            behind_s=lambda: self.behind_s,
            monotonic_s=lambda: self.steady_s,
        )

    def at(self, after_s: int, lease: Lease = LEASE) -> None:
        self.steady_s += 15
        self.tick.run((T0 + after_s) * NS, lease)

    def minutes(self, first: int, last: int) -> None:
        for minute in range(first, last + 1):
            self.at(minute * 60 + 30)

    def states(self) -> list[str]:
        return [each.state for each in self.records.alerts("default", AlertQuery())]


class NoTraces:
    """A store without a trace, which can be away."""

    away = False

    def select(self, *_: Any) -> list[Any]:
        if self.away:
            raise StoreUnavailable("the store is away")
        return []


@pytest.fixture
def engine(records: AlertRecords) -> Engine:
    return Engine(records)


def test_a_rule_lives_through_its_minutes(engine: Engine) -> None:
    engine.records.create_channel(channel())
    kept = engine.records.create_rule(rule(for_s=60, channels=("ops",)))
    engine.source.put("requests", at_0=5, at_120=50, at_300=5)
    engine.at(29)
    assert engine.records.progress()[kept.id].evaluated_s == T0 - 60
    engine.minutes(1, 2)
    assert engine.states() == []
    engine.minutes(3, 3)
    assert engine.states() == ["pending"]
    engine.at(3 * 60 + 45)
    engine.minutes(4, 4)
    assert engine.states() == ["firing"]
    assert len(engine.records.groups_due(["ops", "c1"], 0, 9, everything=True)) == 1
    engine.minutes(5, 6)
    assert engine.states() == ["resolved"]
    (alert,) = engine.records.alerts("default", AlertQuery())
    assert (alert.active_s, alert.fired_s, alert.resolved_s) == (T0 + 180, T0 + 240, T0 + 360)
    assert alert.evidence["threshold"]["breach"] == 10
    assert alert.evidence["series"]["points"][-1] == [T0 + 180, 50.0]
    assert alert.evidence["traces"] == []
    assert engine.records.progress()[kept.id].observed == {"ok": 1}


def test_downtime_is_caught_up_moment_by_moment(engine: Engine) -> None:
    kept = engine.records.create_rule(rule())
    engine.source.put("requests", at_0=5, at_600=50, at_720=5)
    engine.minutes(1, 1)
    engine.restart()
    engine.at(1800 + 30)
    (alert,) = engine.records.alerts("default", AlertQuery())
    assert (alert.fired_s, alert.resolved_s) == (T0 + 660, T0 + 780)
    assert engine.records.progress()[kept.id].evaluated_s == T0 + 1800


def test_an_outage_longer_than_an_hour_is_not_judged_whole(engine: Engine) -> None:
    engine.records.create_rule(rule(for_s=120))
    engine.source.put("requests", at_0=50)
    engine.minutes(1, 1)
    engine.at(100_000)
    (alert,) = engine.records.alerts("default", AlertQuery())
    assert alert.fired_s is not None
    assert alert.active_s >= T0 + 100_000 - 30 - 60 - CATCH_UP_S
    assert alert.fired_s - alert.active_s == 120


def test_slow_rules_hold_up_no_quick_ones(engine: Engine) -> None:
    """Anomaly rules read weeks when they begin: here ten seconds each, and one threshold that was made last."""
    learning = [
        engine.records.create_rule(rule(name=f"A{n}", type="anomaly", window_s=300, every_s=300, written={}))
        for n in range(3)
    ]
    quick = engine.records.create_rule(rule(name="Z", metric="errors"))
    read = engine.source.read

    def slowly(project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> list[Series]:
        engine.steady_s += 10 if query.metric == "requests" else 0
        return read(project_id, query, from_s, to_s)

    engine.source.read = slowly  # type: ignore[method-assign]

    def judged() -> list[int | None]:
        progress = engine.records.progress()
        return [progress[each.id].evaluated_s for each in (*learning, quick)]

    engine.at(630)
    assert judged() == [T0 + 600, None, None, T0 + 600]
    assert engine.source.reads[0][0] == "errors"
    engine.at(690)
    assert judged() == [T0 + 600, T0 + 600, None, T0 + 660]
    engine.at(750)
    assert judged() == [T0 + 600, T0 + 600, T0 + 600, T0 + 720]


def test_a_broken_rule_is_shown_and_holds_up_nobody(engine: Engine) -> None:
    broken = engine.records.create_rule(rule(name="A", metric="errors"))
    kept = engine.records.create_rule(rule(name="B"))
    engine.source.broken["errors"] = BadQuery("there is no such thing", "look again")
    engine.source.put("requests", at_0=50)
    engine.minutes(1, 1)
    progress = engine.records.progress()
    assert (progress[broken.id].error, progress[broken.id].evaluated_s) == ("there is no such thing; look again", None)
    assert engine.states() == ["firing"]
    engine.source.broken["errors"] = RuntimeError("a bug with a secret")
    engine.steady_s += 120
    engine.minutes(2, 2)
    progress = engine.records.progress()
    assert progress[broken.id].error == "something failed inside Spanhouse; its log says what"
    assert progress[broken.id].error_since_ns == (T0 + 90) * NS
    assert progress[kept.id].evaluated_s == T0 + 120
    del engine.source.broken["errors"]
    engine.steady_s += 120
    engine.minutes(3, 3)
    assert engine.records.progress()[broken.id].error == ""


def test_a_rule_that_its_kind_no_longer_takes_is_an_error(engine: Engine) -> None:
    kept = engine.records.create_rule(replace(rule(), written={"above": "x"}, type="threshold"))
    gone = engine.records.create_rule(replace(rule(name="Gone"), type="vanished"))
    engine.minutes(1, 1)
    progress = engine.records.progress()
    assert "params.above" in progress[kept.id].error
    assert "vanished" in progress[gone.id].error


def test_failing_and_slow_rules_rest(engine: Engine) -> None:
    engine.records.create_rule(rule())
    engine.source.broken["requests"] = BadQuery("no")
    engine.at(90)
    engine.at(105)
    assert len(engine.source.reads) == 1
    engine.steady_s += 60
    engine.at(120)
    assert len(engine.source.reads) == 2
    changed = engine.records.update_rule(replace(engine.records.rules()[0], note="mended"))
    del engine.source.broken["requests"]
    engine.at(135)
    assert engine.records.progress()[changed.id].error == ""


def test_a_store_that_is_away_stops_the_round_and_is_said(engine: Engine) -> None:
    kept = engine.records.create_rule(rule())
    engine.source.broken["requests"] = StoreUnavailable("the store is away")
    engine.store.away = True
    with pytest.raises(StoreUnavailable):
        engine.minutes(1, 1)
    assert engine.records.progress()[kept.id].error == "the store is away"
    # Back again: judged at once.
    engine.source.broken.clear()
    engine.store.away = False
    engine.source.put("requests", at_0=50)
    engine.at(105)
    assert engine.states() == ["firing"]


def test_a_greedy_rule_holds_up_nobody(engine: Engine) -> None:
    """One that needs more memory than there is, evaluated longest ago, so that it comes first in each round."""
    greedy = engine.records.create_rule(rule(name="A", metric="errors"))
    engine.source.broken["errors"] = StoreUnavailable("the store is out of memory", "narrow the filter")
    engine.source.put("requests", at_0=50)
    kept = engine.records.create_rule(rule(name="B"))
    engine.at(90)
    assert engine.states() == ["firing"]
    engine.at(150)
    progress = engine.records.progress()
    assert progress[kept.id].evaluated_s == T0 + 120
    assert progress[greedy.id].error == "the store is out of memory; narrow the filter"
    assert [metric for metric, _ in engine.source.reads].count("errors") == 1, "it rests"
    del engine.source.broken["errors"]
    engine.steady_s += 60
    engine.at(180)
    assert engine.records.progress()[greedy.id].error == ""


def test_what_waits_to_be_stored_is_waited_for(engine: Engine) -> None:
    kept = engine.records.create_rule(rule(type="no_data", written={}))
    engine.source.put("requests", at_0=5)
    engine.minutes(1, 2)
    engine.behind_s = 300
    engine.minutes(3, 6)
    assert engine.records.progress()[kept.id].evaluated_s == T0 + 120
    engine.behind_s = 0
    engine.minutes(7, 7)
    assert engine.records.progress()[kept.id].evaluated_s == T0 + 420
    assert engine.states() == []


@pytest.mark.parametrize("change", ["delete", "off", "measure", "note"])
def test_alerts_of_a_rule_that_changed(engine: Engine, change: str) -> None:
    kept = engine.records.create_rule(rule())
    engine.source.put("requests", at_0=50)
    engine.source.put("errors", at_0=0)
    engine.minutes(1, 1)
    if change == "delete":
        engine.records.delete_rule("default", kept.id)
    elif change == "off":
        engine.records.update_rule(replace(kept, enabled=False))
    elif change == "measure":
        engine.records.update_rule(replace(kept, metric="errors"))
    else:
        engine.records.update_rule(replace(kept, note="x"))
    engine.minutes(2, 2)
    (alert,) = engine.records.alerts("default", AlertQuery())
    reasons = {"delete": "the rule was deleted", "off": "the rule was switched off", "measure": "the rule was changed"}
    assert (alert.state, alert.reason) == (
        ("firing", "requests is 50, above 10") if change == "note" else ("resolved", reasons[change])
    )


def test_a_clock_set_back_goes_on_judging(engine: Engine) -> None:
    kept = engine.records.create_rule(rule(keep_firing_s=60))
    engine.source.put("requests", at_0=5, at_6000=50)
    engine.at(6090)
    assert engine.states() == ["firing"]
    engine.minutes(1, 3)
    assert engine.records.progress()[kept.id].evaluated_s == T0 + 180
    assert engine.states() == ["resolved"]


def test_a_lost_lease_stops_at_once(engine: Engine) -> None:
    engine.records.create_rule(rule())
    engine.at(90, Lease("alerts.evaluate", 1, lambda: False))
    assert engine.source.reads == []


def test_nothing_is_judged_twice_by_two_servers(engine: Engine, records: AlertRecords) -> None:
    kept = engine.records.create_rule(rule())
    engine.source.put("requests", at_0=50)
    stale = records.progress()[kept.id]
    engine.minutes(1, 1)
    engine.tick._evaluate(kept, stale, [], T0 + 60, (T0 + 90) * NS)
    assert len(engine.records.alerts("default", AlertQuery())) == 1


@pytest.mark.parametrize(
    ("evaluated_s", "settled_s", "now_s", "moments", "interrupted"),
    [
        (None, T0 + 130, T0 + 160, [T0 + 120], False),
        (T0 + 60, T0 + 130, T0 + 160, [T0 + 120], False),
        (T0 + 120, T0 + 130, T0 + 160, [], False),
        (T0 + 60, T0 + 250, T0 + 280, [T0 + 120, T0 + 180, T0 + 240], False),
        (T0 + 90, T0 + 130, T0 + 160, [T0 + 120], False),
        (T0 + 180, T0 + 130, T0 + 190, [], False),
        (T0 + 600, T0 + 130, T0 + 160, [T0 + 120], True),
    ],
)  # fmt: skip
def test_moments(evaluated_s: Any, settled_s: int, now_s: int, moments: list[int], interrupted: bool) -> None:
    found = due_slots(rule(), evaluated_s, settled_s, now_s)
    assert (list(found.moments), found.interrupted) == (moments, interrupted)


def test_moments_after_a_long_time() -> None:
    found = due_slots(rule(), T0, T0 + 90_000, T0 + 90_030)
    assert len(found.moments) == CATCH_UP_S // 60 + 1
    assert found.interrupted


def test_the_filter_of_a_group_can_be_read() -> None:
    q = filter_of("a OR b", {"model": 'gpt "4"\\', "service": "", "team": "x"}, ("model", "service"))
    assert q == '(a OR b) model:"gpt \\"4\\"\\\\" service:""'
    assert parse_filter(q) is not None
    assert filter_of(" ", {}, ("model",)) == ""


def test_evidence_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    long = bounded({"points": [[n, n] for n in range(10_000)], "reason": "r"})
    assert len(long["points"]) == evidence.CONTEXT_POINTS * 4
    assert long["points"][-1] == [9999, 9999]
    assert bounded({"x": object(), "reason": "r"}) == {"reason": "r", "left_out": "the evidence could not be kept"}
    monkeypatch.setattr(evidence, "MAX_EVIDENCE_BYTES", 10)
    assert "too large" in bounded({"x": "y" * 100})["left_out"]
