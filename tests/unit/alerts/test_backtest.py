"""Rules run over the past: when they would have fired, and how often they would have told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spanhouse_server.derive.alerts import backtest, lines
from spanhouse_server.derive.alerts.backtest import Past, back_test
from spanhouse_server.derive.alerts.muting import Muted
from spanhouse_server.derive.series import MemorySeries, Series
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import DEFAULT_INHIBITIONS, Fired, Matcher, Silence
from tests.unit.alerts.make import NS, T0, alert, channel, held, rule


def source(*breaches: tuple[int, int], minutes: int = 600) -> MemorySeries:
    """Return requests by the minute: 50 from each first to each last minute, else 1."""
    return held([50.0 if any(a <= n < b for a, b in breaches) else 1.0 for n in range(minutes)])


def run(of: Any, over: MemorySeries, *channels: Any, minutes: int = 600, past: Past | None = None) -> Any:
    return back_test(of, channels, over, T0 + 60, T0 + minutes * 60, past=past)


def test_it_tells_when_it_would_have_fired() -> None:
    found = run(rule(for_s=60), source((10, 20), (30, 31), (590, 600)))
    times = [(each.active_s, each.fired_s, each.resolved_s) for each in found.alerts]
    assert times == [(T0 + 660, T0 + 720, T0 + 1260), (T0 + 591 * 60, T0 + 592 * 60, None)]
    assert (found.pending, found.steps, found.observed["breach"]) == (1, 600, 21)
    # Two messages for the first, one for the one that still fires.
    assert found.notifications == {"(default)": 3}
    assert found.told_s == [T0 + 720 + 30, T0 + 1260, T0 + 592 * 60 + 30]


def test_messages_go_by_the_channels_grouping() -> None:
    points = [(T0 + n * 60, 50.0 if 10 <= n < 400 else 1.0) for n in range(600)]
    both = MemorySeries({"requests": [Series({"model": "a"}, points), Series({"model": "b"}, points)]}, 60)
    of = rule(group_by=("model",))
    together = channel(repeat_interval_s=7200)
    apart = channel(name="apart", group_by=("model",), repeat_interval_s=7200)
    silent = channel(name="silent", repeat_interval_s=86_400, send_resolved=False)
    found = run(of, both, together, apart, silent)
    # It fires, is repeated after two, four and six hours, and ends; once for each group where they are apart.
    assert found.notifications == {"ops": 5, "apart": 10, "silent": 1}
    assert len(found.alerts) == 2


def test_flapping_is_held_together_by_the_interval() -> None:
    flapping = source(*((n, n + 1) for n in range(10, 70, 2)))
    assert len(run(rule(), flapping).alerts) == 30
    # Every five minutes at most while it flaps.
    assert 11 <= run(rule(), flapping).notifications["(default)"] <= 14
    steady = run(rule(keep_firing_s=300), flapping)
    assert (len(steady.alerts), steady.notifications) == (1, {"(default)": 2})


def silence(from_minute: int, to_minute: int, **label: str) -> Silence:
    matchers = tuple(Matcher(name, "=", value) for name, value in label.items())
    return Silence("s1", "default", matchers, (T0 + from_minute * 60) * NS, (T0 + to_minute * 60) * NS)


def test_silences_hold_back_what_would_have_been_sent() -> None:
    over = source((10, 20), (100, 120), (300, 310))
    # The first is silenced for all its time; the second is told when the silence ends, and that it ended.
    past = Past([silence(5, 30, alertname="Busy"), silence(95, 112, severity="critical"), silence(290, 400, team="x")])
    found = run(rule(), over, past=past)
    assert len(found.alerts) == 3
    first, second, third = found.alerts
    assert found.muted == {first.id: Muted("silence", "s1"), second.id: Muted("silence", "s1")}
    assert first.id not in found.first_told_s
    assert T0 + 112 * 60 <= found.first_told_s[second.id] < T0 + 118 * 60
    assert found.first_told_s[third.id] == T0 + 301 * 60 + 30
    assert found.notifications == {"(default)": 4}
    assert run(rule(), over).notifications == {"(default)": 6}


def test_alerts_of_other_rules_inhibit_while_they_fired() -> None:
    over = source((10, 20), (100, 120))
    warning = rule(severity="warning")
    theirs = alert(id="o", rule_id="other", fired_s=T0 + 600, resolved_s=T0 + 3000)
    for other, inhibited in (
        (theirs, True),
        (replace(theirs, fired_s=T0 + 1260), False),
        (replace(theirs, resolved_s=T0 + 620), False),
        (replace(theirs, severity="warning"), False),
        (replace(theirs, metric="errors"), False),
    ):
        past = Past((), DEFAULT_INHIBITIONS, [Fired(other)], [rule(id="other"), warning])
        found = run(warning, over, past=past)
        assert [each.id in found.first_told_s for each in found.alerts] == [not inhibited, True], other
        assert (len(found.muted), found.notifications["(default)"]) == ((1, 2) if inhibited else (0, 4))


def test_an_alert_inhibits_only_since_it_is_as_severe_as_that() -> None:
    over = source((10, 20), (40, 50))
    warning = rule(severity="warning")
    # A warning at first, which inhibits no other; critical from the thirtieth minute on.
    theirs = Fired(alert(id="o", rule_id="other", fired_s=T0 + 60, resolved_s=T0 + 6000), T0 + 1800)
    found = run(warning, over, past=Past((), DEFAULT_INHIBITIONS, [theirs], [rule(id="other"), warning]))
    first, second = found.alerts
    assert found.muted == {second.id: Muted("inhibition", "o")}
    assert first.id in found.first_told_s
    # The end of one that was told is told too, though it ends before the other grows worse.
    assert found.notifications["(default)"] == 2


def test_what_was_normal_is_drawn() -> None:
    """Weeks of 100 requests every five minutes, and an hour of five times as many."""
    of = rule(type="anomaly", window_s=300, every_s=60, written={"learn_s": 86_400}, group_by=("model",))
    count = 8 * 288
    points = [(T0 + n * 300, 500.0 if 2200 <= n < 2212 else 100.0 + n % 7) for n in range(count)]
    calm = [(at_s, 50.0 + n % 3) for n, (at_s, _) in enumerate(points)]
    both = MemorySeries({"requests": [Series({"model": "calm"}, calm), Series({"model": "busy"}, points)]}, 300)
    from_s = T0 + 2016 * 300
    found = back_test(of, (), both, from_s, T0 + count * 300)
    busy, other = found.lines
    assert (busy.labels, other.labels) == ({"model": "busy"}, {"model": "calm"})
    assert [at_s for at_s, *_ in busy.points] == [from_s - 300 + n * 300 for n in range(len(busy.points))]
    assert len(busy.points) == 289, "each bucket once, though it is judged five times"
    for at_s, value, expected, low, high in busy.points:
        assert value is not None
        assert expected is not None
        assert low is not None
        assert high is not None
        surge = 2200 <= (at_s - T0) // 300 < 2212
        assert low < expected < high
        assert (value > high) is surge
    assert run(rule(), source((10, 20))).lines == []


def test_long_lines_keep_what_lies_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_POINTS", 10)
    points: list[lines.Point] = [(n, 1.0, 1.0, 0.5, 1.5) for n in range(95)]
    points[33] = (33, 9.0, 1.0, 0.5, 1.5)
    points[34] = (34, None, None, None, None)
    kept = lines.thinned(points)
    assert len(kept) == 10
    assert points[33] in kept
    assert [each[0] for each in kept] == sorted(each[0] for each in kept)
    assert lines.thinned(points[:10]) == points[:10]
    assert lines.thinned([]) == []


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match="more than"):
        back_test(rule(), (), source(), T0, T0 + 86_400 * 30)
    with pytest.raises(BadRequest, match="holds no evaluation"):
        back_test(rule(), (), source(), T0 + 10, T0 + 5)
    seconds = iter(range(0, 10_000, 10))
    with pytest.raises(BadRequest, match="took longer"):
        back_test(rule(), (), source(), T0 + 60, T0 + 3600, monotonic_s=lambda: float(next(seconds)))
    monkeypatch.setattr(backtest, "MAX_FIRINGS", 2)
    many = run(rule(), source(*((n, n + 1) for n in range(10, 30, 2))))
    assert (len(many.alerts), many.left_out) == (2, 8)
