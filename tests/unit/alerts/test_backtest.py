"""Rules run over the past: when they would have fired, and how often they would have told."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.derive.alerts import backtest
from spanhouse_server.derive.alerts.backtest import back_test
from spanhouse_server.derive.series import MemorySeries, Series
from spanhouse_server.errors import BadRequest
from tests.unit.alerts.make import T0, channel, held, rule


def source(*breaches: tuple[int, int], minutes: int = 600) -> MemorySeries:
    """Return requests by the minute: 50 from each first to each last minute, else 1."""
    return held([50.0 if any(a <= n < b for a, b in breaches) else 1.0 for n in range(minutes)])


def run(of: Any, over: MemorySeries, *channels: Any, minutes: int = 600) -> Any:
    return back_test(of, channels, over, T0 + 60, T0 + minutes * 60)


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
