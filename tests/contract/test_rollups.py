"""Rollups against the spans they are made of, over both engines: random data, late, moved and settled again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.clock import MAX_TIME_NS
from spanhouse_server.derive.contract import Lease, TimeWindow
from spanhouse_server.derive.rollup import Rollup
from spanhouse_server.derive.runner import Runner
from spanhouse_server.query import metrics, pieces, rollups
from spanhouse_server.query.cost.by_value import spent_by_value, spent_so_far
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.metrics import MetricQuery, metric_series
from spanhouse_server.query.times import Window
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from spanhouse_server.store.records import open_records
from tests.contract.samples import NS, T0
from tests.settled import Clock, Traffic

#: In the year 2096: the engine's own clock has not expired what was received then.
FAR_S = 4_000_000_000
EXACT = [
    "spans", "requests", "errors", "request_errors", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "cost_usd", "duration_ms.sum", "duration_ms.min", "duration_ms.max",
    "request_duration_ms.sum", "ttft_ms.sum", "ttft_ms.max", "output_tokens_per_s.min", "output_tokens_per_s.max",
    "duration_ms.p95", "request_duration_ms.p50", "ttft_ms.p99", "output_tokens_per_s.p50", "duration_ms.p99.9",
]  # fmt: skip
NEARLY = ["duration_ms", "ttft_ms.avg", "output_tokens_per_s", "output_tokens_per_s.sum"]
GROUPS = ["", "model", "provider,model", "status", "finish_reason", "metadata.plan", "service,release,category",
          "operation", "error", "environment", "cost_status"]  # fmt: skip
FILTERS = ["", "model:m1", "-status:error", "has:error", "has:llm model:m*", "provider~ope", "metadata.plan:gold",
           "(env:prod OR release:v2) -finish_reason:stop", "finish_reason:length,stop", "model:*", "error:Timeout"]  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rollups, "now_ns", made)
    monkeypatch.setattr(metrics, "now_ns", made)
    return made


@pytest.fixture(autouse=True)
def rollups_are_read() -> Iterator[None]:
    """Have rollups read for however few spans."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollups, "ROW_COST", 0)
        patch.setattr(rollups, "SKETCH_COST", 0)
        yield


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordsStore]:
    opened = open_records(f"sqlite:///{tmp_path}/records.db")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def store(columnar: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> ColumnarStore:
    for table in ("rollups", "rollup_marks", "rollup_state", "span_index"):
        with columnar._inserts.client() as client:  # type: ignore[attr-defined]
            client.command(f"TRUNCATE TABLE {table}")
    return columnar


def runner(store: ColumnarStore, records: RecordsStore, clock: Clock, **more: Any) -> Runner:
    made = Rollup(store, more.pop("retention_days", 0), more.pop("tier_key", "plan"), clock)
    return Runner(store, records, workers=[made], instance="here", clock_ns=clock, **more)


def look(made: Runner) -> None:
    while made.once("rollup"):
        pass


def settled(store: ColumnarStore, records: RecordsStore, clock: Clock) -> None:
    """Roll up all that is stored, and once more when nothing was touched for a while."""
    made = runner(store, records, clock)
    look(made)
    clock.ns += 600 * NS
    look(made)


def both(
    store: ColumnarStore, monkeypatch: pytest.MonkeyPatch, query: MetricQuery
) -> tuple[dict[str, Any], dict[str, Any], list[Any]]:
    """Return a metric from rollups and from the spans alone, and the plans that were made."""
    plans = []
    plan_range = rollups.plan_range

    def planned(*arguments: Any, **more: Any) -> rollups.Plan:
        plans.append(plan_range(*arguments, **more))
        return plans[-1]

    monkeypatch.setattr(rollups, "plan_range", planned)
    rolled = metric_series(store, "p", query)
    monkeypatch.setattr(pieces, "rolled_keys", lambda *_: None)
    raw = metric_series(store, "p", query)
    monkeypatch.undo()
    return rolled, raw, plans


def columnar_is_embedded(store: ColumnarStore) -> bool:
    return store._target.is_embedded  # type: ignore[attr-defined]


def draw_from(traffic: Traffic, minutes: tuple[int, int]) -> list[str]:
    """Return ten spans that start within some minutes."""
    within = [each for each, row in traffic.kept.items() if minutes[0] <= (row.start_ns - T0) / (60 * NS) < minutes[1]]
    return sorted(within)[:10]


def values(series: dict[str, Any]) -> list[float]:
    return [float("nan") if value is None else value for _, value in [*series["points"], (0, series["total"])]]


def test_every_figure_is_the_same_from_rollups_and_from_spans(store, records, clock):
    traffic = Traffic(store, clock, 1)
    traffic.rows(200, (60, 200))
    made = runner(store, records, clock)
    look(made)  # what was stored before the worker first ran
    traffic.rows(40, (120, 160))
    traffic.again(40, (60, 200))
    clock.ns += 15 * NS
    look(made)
    clock.ns += 600 * NS
    look(made)
    traffic.rows(20, (130, 150))  # not rolled up yet
    traffic.rows(10, (170, 175), draw_from(traffic, (130, 180)))
    draw = random.Random(2)
    used = {"spans": 0, "minutes": 0, "hours": 0}
    # Over HTTP it is the same SQL in the same engine: a few show that it comes through.
    some = 14 if columnar_is_embedded(store) else 5
    for metric in (*draw.sample(EXACT, some), *draw.sample(NEARLY, 2)):
        query = MetricQuery(
            metric,
            draw.choice(GROUPS),
            draw.choice([60, 300, 3600, 3600, 7200]),
            Window(T0 + draw.randrange(0, 3600 * NS), T0 + draw.randrange(2 * 3600 * NS, 4 * 3600 * NS)),
            draw.choice(FILTERS),
            draw.choice([1, 2, 100]),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rollups, "now_ns", clock)
            rolled, raw, [plan] = both(store, patch, query)
        for name in used:
            used[name] += bool(plan.spans_ns if name == "spans" else getattr(plan, name))
        if metric in NEARLY:
            for ours, theirs in zip(rolled["series"], raw["series"], strict=True):
                assert values(ours) == pytest.approx(values(theirs), rel=1e-12, nan_ok=True)
        else:
            assert rolled == raw, query
    assert min(used.values()) > 1, used


def rolled_money(store: ColumnarStore, step_s: int) -> Decimal:
    where = rollups.rolled_rows(step_s, [(0, 2**40)])
    return store.select(f"SELECT sum(cost_usd) AS cost FROM ({where})", {"project": "p"})[0]["cost"]


def test_money_is_exact_to_the_last_decimal(store, records, clock):
    traffic = Traffic(store, clock, 3)
    traffic.rows(400, (0, 100))
    made = runner(store, records, clock)
    look(made)
    traffic.again(50, (0, 100))
    look(made)
    expected = sum((row.cost_usd for row in traffic.kept.values() if row.counted and row.cost_usd), Decimal(0))
    assert expected > 0
    assert rolled_money(store, 60) == rolled_money(store, 3600) == expected


def test_percentiles_lie_within_the_sketchs_error(store, records, clock, monkeypatch):
    traffic = Traffic(store, clock, 4)
    traffic.rows(500, (0, 60))
    settled(store, records, clock)
    durations = sorted(row.duration_ns / 1e6 for row in traffic.kept.values())
    for level in (50, 90, 95, 99):
        query = MetricQuery(f"duration_ms.p{level}", interval_s=3600, window=Window(T0, T0 + 3600 * NS))
        rolled, _, [plan] = both(store, monkeypatch, query)
        assert plan.hours
        exact = durations[round((len(durations) - 1) * level / 100)]
        assert rolled["series"][0]["total"] == pytest.approx(exact, rel=0.0101)
        monkeypatch.setattr(rollups, "now_ns", clock)


def test_a_vanished_group_and_an_emptied_minute_are_gone_from_rollups(store, records, clock):
    traffic = Traffic(store, clock, 5)
    traffic.rows(10, (0, 1))
    made = runner(store, records, clock)
    look(made)
    moved = [replace(row, is_deleted=1, version=traffic.stamp + 1) for row in traffic.kept.values()]
    clock.ns += 60 * NS
    store.insert("span_index", rows.lines(moved))
    look(made)
    found = store.select(f"SELECT count() AS n FROM ({rollups.rolled_rows(60, [(0, 2**40)])})", {"project": "p"})
    assert found[0]["n"] == 0


def test_a_delayed_computation_never_wins(store, records, clock):
    traffic = Traffic(store, clock, 6)
    traffic.rows(5, (0, 1))
    window = TimeWindow("p", T0, T0 + 60 * NS)
    worker = Rollup(store, 400, "plan", clock)
    worker.derive(window, Lease("rollup", 7))
    traffic.rows(5, (0, 1))
    worker.derive(window, Lease("rollup", 9))
    # It began before, and comes to write when other groups are there already.
    store.derive(
        "rollups",
        ("project_id", "step_s", "start_s", "generation", "received_at", "expires_s", "model", "spans"),
        "SELECT 'p', 60, {at:Int64}, 8, now(), 4294967295, 'stale', 1000",
        {"at": T0 // NS},
    )
    store.derive(
        "rollup_marks",
        ("project_id", "step_s", "start_s", "generation", "received_at", "expires_s"),
        "SELECT 'p', 60, {at:Int64}, 8, now(), 4294967295",
        {"at": T0 // NS},
    )
    found = store.select(f"SELECT sum(spans) AS n FROM ({rollups.rolled_rows(60, [(0, 2**40)])})", {"project": "p"})
    assert found[0]["n"] == 10


def test_rollups_outlive_their_spans_and_a_late_span_does_not_undo_them(store, records, clock, monkeypatch):
    traffic = Traffic(store, clock, 7)
    for at in range(20):
        row = replace(traffic.row(f"{at:016x}", T0 + at * 3 * NS), retention_days=7, received_at=FAR_S)
        store.insert("span_index", rows.lines([row]))
    made = runner(store, records, clock, retention_days=0)
    look(made)
    clock.ns = (FAR_S + 10 * 86_400) * NS
    with store._inserts.client() as client:
        client.command("TRUNCATE TABLE span_index")
    traffic.stamp = clock.ns
    store.insert("span_index", rows.lines([replace(traffic.row("f" * 16, T0 + NS), received_at=FAR_S)]))
    query = MetricQuery("spans", interval_s=60, window=Window(T0, T0 + 600 * NS))
    for _ in range(2):
        assert metric_series(store, "p", query)["series"][0]["total"] == 20
        look(made)


def test_what_spans_spent_stays_spent_when_they_expire(store, records, clock):
    """A month's budget where spans are kept for a week: the limit must not come back."""
    traffic = Traffic(store, clock, 12)
    rows_now = [
        replace(traffic.row(f"{at:016x}", T0 + at * 60 * NS), retention_days=7, received_at=FAR_S) for at in range(200)
    ]
    store.insert("span_index", rows.lines(rows_now))
    look(runner(store, records, clock, retention_days=0))
    window = CostQuery(Window(T0 - 86_400 * NS, T0 + 86_400 * NS))
    before, by_model = (spent_by_value(store, "p", window, field, 10) for field in ("", "model"))
    assert spent_so_far(store, "p", window, "", 10) == before
    assert before[""].used_usd == sum((row.cost_usd for row in rows_now if row.counted and row.cost_usd), Decimal(0))
    clock.ns = (FAR_S + 10 * 86_400) * NS
    with store._inserts.client() as client:
        client.command("TRUNCATE TABLE span_index")
    assert spent_by_value(store, "p", window, "", 10)[""].used_usd == 0
    assert spent_so_far(store, "p", window, "", 10)[""].used_usd == before[""].used_usd
    found = spent_so_far(store, "p", window, "model", 10)
    expected = {model: spent.used_usd for model, spent in by_model.items() if spent.used_usd}
    assert {model: spent.used_usd for model, spent in found.items()} == expected


def test_what_rollups_cannot_tell_is_read_from_the_spans(store, records, clock, monkeypatch):
    traffic = Traffic(store, clock, 8)
    traffic.rows(50, (0, 60))
    look(runner(store, records, clock))
    window = Window(T0, T0 + 3600 * NS)
    for query in (
        MetricQuery("spans", "user", 60, window),
        MetricQuery("spans", "", 60, window, "duration>1ms"),
        MetricQuery("spans", "", 60, window, "refund"),
        MetricQuery("spans", "", 60, window, "has:tokens OR model:m1"),
        MetricQuery("spans", "", 90, window),
        MetricQuery("spans", "metadata.x", 60, window),
    ):
        rolled, raw, plans = both(store, monkeypatch, query)
        assert rolled == raw
        assert not any(plan.minutes or plan.hours for plan in plans), query
        monkeypatch.setattr(rollups, "now_ns", clock)


def test_another_project_is_never_read(store, records, clock):
    Traffic(store, clock, 9).rows(10, (0, 5))
    Traffic(store, clock, 10, "q").rows(20, (0, 5))
    look(runner(store, records, clock))
    window = Window(T0, T0 + 600 * NS)
    found = [metric_series(store, each, MetricQuery("spans", "", 60, window))["series"][0]["total"] for each in "pqr"]
    assert found == [10, 20, 0]


def test_the_settle_stamp_is_found_by_its_index(store, clock):
    Traffic(store, clock, 11).rows(10, (0, 5))
    [plan] = store.select(
        "SELECT groupConcat('\n')(explain) AS text FROM (EXPLAIN indexes = 1 SELECT count() FROM span_index"
        f" WHERE version >= {MAX_TIME_NS})"
    )
    assert "ix_version" in plan["text"]
    assert "Granules: 0/1" in plan["text"]
