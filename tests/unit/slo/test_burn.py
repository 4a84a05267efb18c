"""Burn rates and error budgets against counts made by hand, and what they tell of an incident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.derive.alerts.kinds.burn_rate import BurnRateKind
from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.series import MemorySeries, Series, StoreSeries
from spanhouse_server.derive.slo.burn import PAIRS, burn_rates, error_budget
from spanhouse_server.derive.slo.events import events_of
from spanhouse_server.derive.slo.held import HeldEvents
from spanhouse_server.derive.slo.rules import checked
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.alerts import Rule
from spanhouse_server.model.budgets import Slo
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0, Keeper, columnar, span

T0_S = T0 // NS
HOUR_S, DAY_S = 3600, 86_400
SLO = Slo("s1", "p", "calls", Decimal("0.99"))

Traffic = Callable[[int], tuple[float, float]]
"""Events and bad ones in the minute that begins at a time."""


def history(traffic: Traffic, first_s: int, days: float) -> MemorySeries:
    starts = range(first_s, first_s + round(days * DAY_S), 60)
    counts = [traffic(at_s) for at_s in starts]
    total = Series({}, [(at_s, float(count)) for at_s, (count, _) in zip(starts, counts, strict=True)])
    bad = Series({}, [(at_s, float(count)) for at_s, (_, count) in zip(starts, counts, strict=True)])
    return MemorySeries({"requests": [total], "request_errors": [bad]}, 60)


def kind_and_rule(slo: Slo = SLO, **params: Any) -> tuple[BurnRateKind, Rule]:
    kind = BurnRateKind(lambda project: [slo] if slo.project_id == project else [])
    return kind, Rule("r", "p", "levels", "burn_rate", q="user:ann", params=kind.check(params))


def states(found: list[Observation]) -> dict[str, str]:
    return {each.labels["window"]: each.state for each in found}


BEGIN = T0_S
"""Of an incident: before it one of a thousand fails."""


def incident(share: float, minutes: int, per_minute: float = 10) -> Traffic:
    def traffic(at_s: int) -> tuple[float, float]:
        failing = BEGIN <= at_s < BEGIN + minutes * 60
        return per_minute, per_minute * (share if failing else 0.001)

    return traffic


def first_alarms(found: Iterator[tuple[int, list[Observation]]]) -> dict[str, float]:
    """Return after how many minutes each pair of windows burned first."""
    alarms: dict[str, float] = {}
    for at_s, seen in found:
        for each in seen:
            if each.state in ("warning", "breach"):
                alarms.setdefault(each.labels["window"], (at_s - BEGIN) / 60)
    return alarms


@pytest.mark.parametrize(
    ("share", "minutes", "expected"),
    [
        (1.0, 60, {"1h/5m": 9, "6h/30m": 25, "3d/6h": 60}),  # everything fails: 14.4 % of an hour are 9 minutes
        (0.3, 120, {"1h/5m": 30, "6h/30m": 75}),
        (0.08, 600, {"6h/30m": 270}),  # too slow for the hour, six times too fast for six
        (0.02, 3 * 24 * 60, {"3d/6h": None}),
        (0.005, 3 * 24 * 60, {}),
    ],
)
def test_delays(share: float, minutes: int, expected: dict[str, float | None]) -> None:
    kind, rule = kind_and_rule()
    source = history(incident(share, minutes), BEGIN - 4 * DAY_S, 8)
    alarms = first_alarms(
        kind.observe_over(rule, source, BEGIN - HOUR_S, BEGIN + minutes * 60 + HOUR_S, 60 if minutes < 300 else 1800)
    )
    for window, delay in expected.items():
        assert window in alarms
        if delay is not None:
            assert alarms[window] == pytest.approx(delay, rel=0.15)
    assert "1h/5m" not in alarms or share > 0.144
    if not expected:
        assert alarms == {}


def test_an_alarm_ends_soon_after_the_incident() -> None:
    kind, rule = kind_and_rule()
    source = history(incident(1.0, 30), BEGIN - 4 * DAY_S, 6)
    at_end, later = (kind.observe(rule, source, BEGIN + minute * 60) for minute in (30, 36))
    assert states(at_end)["1h/5m"] == "breach"
    assert states(later)["1h/5m"] == "ok"
    assert later[0].value is not None
    assert later[0].value > 14.4  # the hour is still bad, the last five minutes are not


def test_little_traffic_never_pages_on_one_error() -> None:
    """An event every ten minutes, one of which fails: a sixth of that hour."""

    def traffic(at_s: int) -> tuple[float, float]:
        return (1, float(at_s == BEGIN)) if at_s % 600 == 0 else (0, 0)

    source = history(traffic, BEGIN - 4 * DAY_S, 5)
    for minute in range(0, 400, 7):
        assert not any(burn.burning for burn in burn_rates(source, SLO, BEGIN + minute * 60))
    floorless = replace(SLO, min_events=1, min_bad_events=1)
    assert burn_rates(source, floorless, BEGIN + 240)[0].burning, "without the floor it would"


def test_step_by_step_and_at_once_are_the_same() -> None:
    kind, rule = kind_and_rule()
    source = history(lambda at_s: (at_s // 60 % 7, (at_s // 60 % 7) * (0.4 if at_s // 7200 % 5 == 0 else 0)), BEGIN, 8)
    for step in (300, 420):
        seen = list(kind.observe_over(rule, source, BEGIN + 4 * DAY_S + 60, BEGIN + 5 * DAY_S, step * 9))
        for at_s, found in seen:
            single = kind.observe(rule, source, at_s)
            assert [(each.labels, each.state) for each in single] == [(each.labels, each.state) for each in found]
            assert [each.value for each in single] == pytest.approx([each.value for each in found])
        assert {"breach", "ok"} <= {each.state for _, found in seen for each in found}


def test_a_level_of_the_rules_own() -> None:
    kind, rule = kind_and_rule(objective=0.9, min_bad_events=1, min_events=1)
    source = history(incident(1.0, 60), BEGIN - 4 * DAY_S, 6)
    found = kind.observe(rule, source, BEGIN + 3600)
    assert found[0].labels["slo"] == "levels"
    assert found[0].value == pytest.approx(10)
    for bad in (
        {"objective": 2}, {"objective": "x"}, {"slos": "a", "objective": 0.9}, {"indicator": "latency", "objective": 0.9},
        {"typo": 1}, {"objective": 0.9, "unit": "cats"}, {"objective": 0.9, "min_events": 0},
    ):  # fmt: skip
        with pytest.raises(BadRequest, match="params"):
            kind.check(bad)
    kind, rule = kind_and_rule(slos="nope")
    with pytest.raises(BadRequest, match="no enabled service level"):
        kind.observe(rule, source, BEGIN)


def test_nothing_is_unknown_and_quiet() -> None:
    kind, rule = kind_and_rule()
    source = history(lambda _: (0, 0), BEGIN, 4)
    assert set(states(kind.observe(rule, source, BEGIN + 4 * DAY_S)).values()) == {"unknown"}
    few = history(lambda at_s: (float(at_s % HOUR_S == 0), 0), BEGIN, 4)
    assert states(kind.observe(rule, few, BEGIN + 4 * DAY_S))["1h/5m"] == "ok"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("slo")) as opened:
        keeper = Keeper(opened)
        for number in range(200):
            failed = number % 10 == 0
            keeper_span = span(
                f"t{number}", "chat", start_s=-number * 20, duration_s=0.5 + (number % 4), category="llm", tokens=(1, 1),
                user_id="ann" if number % 2 else "bob", status_code="error" if failed else "ok",
                ttft_ns=(number % 5) * NS if number % 5 else None,
            )  # fmt: skip
            SPANS.append(keeper_span)
        keeper.put(*SPANS, project="p")
        keeper.put(span("x", "chat", category="llm", status_code="error", tokens=(1, 1)), project="other")
        yield opened


SPANS: list[Any] = []


@pytest.mark.parametrize(
    ("slo", "counts", "is_bad"),
    [
        (SLO, lambda each: True, lambda each: each.raw.status_code == "error"),
        (replace(SLO, q="user:ann OR user:nobody"), lambda each: each.user_id == "ann", lambda each: each.raw.status_code == "error"),
        (replace(SLO, indicator="latency", threshold_ms=1500.0, unit="traces"), lambda each: each.raw.status_code != "error",
         lambda each: each.raw.end_ns - each.raw.start_ns > 1.5 * NS),
        (replace(SLO, indicator="latency", latency_of="ttft", threshold_ms=2000.0, q="user:bob"),
         lambda each: each.raw.status_code != "error" and each.ttft_ns and each.user_id == "bob",
         lambda each: each.ttft_ns > 2 * NS),
    ],
    ids=["availability", "filtered", "duration", "ttft"],
)  # fmt: skip
def test_counts_of_the_store(store: ColumnarStore, slo: Slo, counts: Any, is_bad: Any) -> None:
    slo = checked(slo)
    events = [each for each in SPANS if counts(each)]
    source = StoreSeries(store)
    budget = error_budget(source, slo, T0_S + 60)
    assert (budget.total, budget.bad) == (len(events), sum(map(is_bad, events)))
    assert budget.attained == pytest.approx(1 - budget.bad / budget.total)
    assert budget.left_share == pytest.approx(1 - budget.bad / (budget.total * 0.01))
    assert len(budget.points) == 30
    at_s = T0_S + 60
    for burn, pair in zip(burn_rates(HeldEvents(slo, source, at_s, at_s), slo, at_s), PAIRS, strict=True):
        end_s = at_s // pair.grain_s * pair.grain_s
        for count, width_s in ((burn.long, pair.long_s), (burn.short, pair.short_s)):
            inside = [each for each in events if (end_s - width_s) * NS <= each.raw.start_ns < end_s * NS]
            assert (count.total, count.bad) == (len(inside), sum(map(is_bad, inside)))


def test_names_of_what_is_counted() -> None:
    assert events_of(SLO).bad_metric == "request_errors"
    slow = events_of(replace(SLO, indicator="latency", threshold_ms=0.1, q="a OR b"))
    assert slow.bad_q == "(a OR b) -status:error duration>0.1ms"
