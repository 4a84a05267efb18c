"""The bars that anomaly rules must hold on a replay: what they find, how soon, and how often for nothing.

One seed of a smaller world than that of ``python -m tests.simulator.report``, which prints the table of
docs/anomalies.md over more seeds, none of which was used for tuning.
"""

from __future__ import annotations

import numpy as np
import pytest

from spanhouse_server.derive.alerts.backtest import back_test
from spanhouse_server.derive.series import SeriesQuery
from tests.simulator.incidents import KINDS
from tests.simulator.judge import Judgement, judged
from tests.simulator.replay import Outcome, default_rules, replay
from tests.simulator.report import TUNING_WEEKS, Way, kinds_table, seeds_of, table
from tests.simulator.source import PROJECT, ReplaySource
from tests.simulator.static import TUNINGS, static_rules
from tests.simulator.world import SERVICES, START_S, WEEK_M, World, make_world

SEED = 201
END_S = START_S + 8 * WEEK_M * 60


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SEED, each=2, services=SERVICES[:2])


@pytest.fixture(scope="module")
def outcome(world: World) -> Outcome:
    return replay(default_rules(), ReplaySource(world), START_S + 300, END_S)


@pytest.fixture(scope="module")
def judgement(world: World, outcome: Outcome) -> Judgement:
    return judged(world, outcome, TUNING_WEEKS * WEEK_M)


def test_the_shipped_rules_hold_the_bars(judgement: Judgement) -> None:
    assert {each.incident.kind for each in judgement.found} == set(KINDS)
    assert judgement.recall >= 0.95, [each.incident for each in judgement.found if each.delay_s is None]
    assert judgement.false_per_week <= 0.5, [(alert.rule_name, alert.reason) for _, alert in judgement.false]
    assert judgement.median_delay_min(step=True) <= 30
    assert judgement.messages_per_incident <= 10


def test_they_are_quiet_while_they_learn(world: World, outcome: Outcome) -> None:
    early = Outcome([page for page in outcome.pages if page.at_s < START_S + TUNING_WEEKS * WEEK_M * 60])
    assert len(judged(world, early, 0).false) <= 1


def test_fixed_thresholds_are_tuned_and_judged_alike() -> None:
    """The yardstick of the report, on a small replay: levels as found in the quiet weeks, the same machine behind."""
    world = make_world(9, 5, 3, 1, services=SERVICES[:1])
    source = ReplaySource(world)
    tuned_s = START_S + TUNING_WEEKS * WEEK_M * 60
    failing = [rule for rule in default_rules() if rule.metric in ("request_errors/requests", "requests")]
    rules = static_rules(failing, source, START_S, tuned_s, TUNINGS[0])
    for rule in rules:
        found = [params for _, params in rule.written.items()]
        (series,) = source.read(PROJECT, SeriesQuery(rule.metric, ("service",), "", 300), START_S, tuned_s)
        seen = [value for _, value in series.points if value]
        beyond = sum(value > found[0] if "above" in rule.written else value < found[0] for value in seen)
        assert 0 < beyond < len(seen) / 500
    way = Way("thresholds")
    way.judgements.append(judged(world, replay(rules, source, tuned_s, END_S - 3 * WEEK_M * 60), 3 * WEEK_M))
    burst = [each for each in way.found if each.incident.kind.name == "error burst"]
    assert burst[0].delay_s is not None
    assert 0 < way.judgements[0].recall < 1
    for text in (table([way]), kinds_table([way])):
        assert "thresholds" in text
        assert "nan" not in text


def test_a_back_test_says_what_the_replay_says(world: World, outcome: Outcome) -> None:
    rule = next(each for each in default_rules() if each.metric == "request_errors/requests")
    tested = back_test(rule, (), ReplaySource(world), START_S + 300, END_S)
    fired = sorted(alert.fired_s or 0 for alert in outcome.fired if alert.rule_id == rule.id)
    assert [alert.fired_s for alert in tested.alerts] == fired
    assert fired


def test_a_seed_always_makes_the_same_world() -> None:
    one, other = (make_world(5, 4, 3, 1, services=SERVICES[:2]) for _ in range(2))
    assert (one.incidents, one.gaps) == (other.incidents, other.gaps)
    for name, measured in one.telemetry.items():
        for metric, values in measured.sums.items():
            np.testing.assert_array_equal(values, other.telemetry[name].sums[metric])
    assert make_world(6, 4, 3, 1).incidents != one.incidents


def test_a_world_is_as_rough_as_it_claims() -> None:
    """Requests come in bursts, shaped by day and week; some minutes are missing, and incidents move what they say."""
    world = make_world(3, each=1)
    assert world.gaps
    assert all(world.releases.values())
    for service, measured in world.telemetry.items():
        requests = measured.sums["requests"]
        weekly = requests.reshape(8, -1).mean(axis=0).reshape(7, 24, 60).mean(axis=2)
        assert weekly.max() > 2 * weekly.min(), service
        hour = requests[: WEEK_M // 7].reshape(24, 60)
        assert (hour.var(axis=1) > 1.2 * hour.mean(axis=1)).mean() > 0.8, "more scatter than Poisson's"
    for incident in world.incidents:
        if incident.kind.name == "error burst":
            measured = world.telemetry[incident.service].sums
            span = slice(incident.start_m, incident.end_m)
            rate = measured["request_errors"][span].sum() / measured["requests"][span].sum()
            assert rate == pytest.approx(incident.size, rel=0.3)


def test_seeds_as_written() -> None:
    assert seeds_of("101-103,7") == [101, 102, 103, 7]
