"""How budgets stand, against sums made by hand; crossings once; the guard's answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.derive.budgets.callers import Caller
from spanhouse_server.derive.budgets.guard import BudgetGuard
from spanhouse_server.derive.budgets.periods import period_at
from spanhouse_server.derive.budgets.rules import checked
from spanhouse_server.derive.budgets.spending import REMEMBERED_S, Spending
from spanhouse_server.derive.budgets.state import budget_states
from spanhouse_server.derive.budgets.tick import BudgetTick
from spanhouse_server.derive.contract import Lease
from spanhouse_server.derive.series import StoreSeries
from spanhouse_server.errors import StoreUnavailable
from spanhouse_server.model.budgets import Budget
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from tests.stored import NS, T0, Keeper, columnar, span
from tests.templates import new_records
from tests.waiting import until

T0_S = T0 // NS
HOUR_S, DAY_S = 3600, 86_400
NOON = T0_S  # 2026-01-15T12:00:00Z, a Thursday
LEASE = Lease("budgets", 1)


def budget(limit: str = "10", **more: Any) -> Budget:
    given = {"id": "b", "project_id": "default", "name": "team", "limit_usd": Decimal(limit)} | more
    return checked(Budget(**given))


def call(number: int, at_s: float, usd: str | None, **more: Any) -> Any:
    return span(
        f"t{number}", "chat", start_s=at_s, category="llm", request_model="m", tokens=(60, 40), cost=usd, **more
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("state")) as opened:
        keeper = Keeper(opened)
        keeper.put(
            call(1, -13 * HOUR_S, "100", user_id="ann"),  # the day before
            call(2, -12 * HOUR_S, "1.000000000001", user_id="ann", tags=["x"]),
            call(3, -6 * HOUR_S, "2.25", user_id="bob", tags=["x", "y"]),
            call(4, -600, "0.5", user_id="ann"),
            call(5, -300, None, user_id="ann"),
            call(6, -100, "0.25"),
            call(7, 60, "50", user_id="ann"),  # after the moment asked about
            call(9, 20 * HOUR_S, "50"),
        )
        keeper.put(call(8, -60, "1000"), project="other")
        yield opened


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordsStore]:
    opened = new_records(tmp_path / "records.db")
    opened.create_project("other")
    yield opened
    opened.close()


def test_a_budget_of_everything(store: ColumnarStore) -> None:
    (state,) = budget_states(Spending(store), budget("8", period="day"), NOON)
    assert state.spent.used_usd == Decimal("4.000000000001")
    assert state.left_usd == Decimal("3.999999999999")
    assert (state.reached, state.used_up) == ((50,), False)
    assert (state.spent.unpriced_calls, state.spent.unpriced_tokens) == (1, 100)
    (exact,) = budget_states(Spending(store), budget("4.000000000001", period="day"), NOON)
    assert (exact.reached, exact.used_up, exact.left_usd) == ((50, 80, 100), True, 0)
    (short,) = budget_states(Spending(store), budget("4.000000000002", period="day"), NOON)
    assert (short.reached, short.used_up) == ((50, 80), False)


def test_filters_values_and_windows(store: ColumnarStore) -> None:
    def used(**more: Any) -> dict[str, str]:
        return {
            state.value: f"{state.spent.used_usd.normalize():f}"
            for state in budget_states(Spending(store), budget(**more), NOON)
        }

    assert used(period="month") == {"": "104.000000000001"}
    assert used(period="rolling", rolling_hours=1) == {"": "0.75"}
    assert used(period="day", q="user:ann") == {"": "1.500000000001"}
    assert used(period="day", per="user") == {"bob": "2.25", "ann": "1.500000000001"}
    assert used(period="day", per="tag") == {"x": "3.250000000001", "y": "2.25"}
    assert used(period="day", q="user:nobody") == {"": "0"}
    assert used(period="day", q="user:nobody", per="tag") == {}
    # Midnight in Auckland was 11:00 UTC.
    assert used(period="day", time_zone="Pacific/Auckland") == {"": "0.75"}


def test_asking_again_adds_to_what_is_remembered_and_late_spans_show_in_time(store: ColumnarStore) -> None:
    spending = Spending(store)
    own = replace(budget(period="day"), project_id="late")
    Keeper(store).put(call(20, -6 * HOUR_S, "1"), project="late")
    period = period_at(own, NOON)

    def used(at_s: int) -> Decimal:
        return spending.read(own, period, at_s)[""].used_usd

    assert used(NOON) == 1
    Keeper(store).put(call(21, -5 * HOUR_S, "2"), call(22, -60, "4"), project="late")
    assert used(NOON + 1) == 5
    assert used(NOON + REMEMBERED_S) == 7
    # A changed budget is not held against what was remembered of the old one.
    assert spending.read(replace(own, q="user:nobody"), period, NOON + 2)[""].used_usd == 0


def test_a_forecast_comes_with_history(store: ColumnarStore) -> None:
    project = "history"
    keeper = Keeper(store)
    keeper.put(*(call(100 + day, -day * DAY_S, "24") for day in range(1, 40)), project=project)
    own = replace(budget("500", period="month"), project_id=project)
    (state,) = budget_states(Spending(store), own, NOON, StoreSeries(store))
    assert state.forecast is not None
    assert state.forecast.method == "seasonal"
    # 14 days so far, 17 to come at noon each: the 15th's is due now.
    assert state.spent.used_usd == 14 * 24
    assert state.forecast.total_usd == pytest.approx(31 * 24, rel=0.05)
    assert state.projected_overrun
    by_user = replace(own, per="user", q="")
    assert budget_states(Spending(store), by_user, NOON, StoreSeries(store)) == []
    (none,) = budget_states(Spending(store), replace(own, period="rolling", rolling_hours=5), NOON, StoreSeries(store))
    assert none.forecast is None


def test_each_threshold_is_noted_once_a_period(store: ColumnarStore, records: RecordsStore) -> None:
    made = records.create_budget(budget("4", period="day"))
    per_user = records.create_budget(budget("2", period="day", per="user", name="users"))
    records.create_budget(budget("0.001", period="day", enabled=False))
    ticks = [BudgetTick(store, records), BudgetTick(store, records)]
    for tick in (*ticks, ticks[0]):
        tick.run(NOON * NS, LEASE)
    found = records.crossings("default", made.id)
    assert [(each.threshold, each.period_key) for each in found] == [(t, "2026-01-15") for t in (100, 80, 50)]
    assert found[0].used_usd == Decimal("4.000000000001")
    assert {(each.value, each.threshold) for each in records.crossings("default", per_user.id)} == {
        ("bob", 100), ("bob", 80), ("bob", 50), ("ann", 50),
    }  # fmt: skip
    assert records.crossings("other", made.id) == []
    ticks[0].run((NOON + DAY_S) * NS, LEASE)
    assert [each.period_key for each in records.crossings("default", made.id)[:3]] == ["2026-01-16"] * 3
    records.delete_budget("default", made.id)
    assert records.crossings("default", made.id) == []


def test_a_budget_that_cannot_be_read_holds_up_no_other(store: ColumnarStore, records: RecordsStore) -> None:
    records.create_budget(replace(budget(period="day"), q="no_such_field:1"))
    good = records.create_budget(budget("4", period="day"))
    BudgetTick(store, records).run(NOON * NS, LEASE)
    assert len(records.crossings("default", good.id)) == 3


def test_a_lease_that_was_lost_ends_the_round(store: ColumnarStore, records: RecordsStore) -> None:
    made = records.create_budget(budget("4", period="day"))
    BudgetTick(store, records).run(NOON * NS, Lease("budgets", 1, lambda: False))
    assert records.crossings("default", made.id) == []


class TestGuard:
    @pytest.fixture
    def guard(self, store: ColumnarStore, records: RecordsStore) -> Iterator[BudgetGuard]:
        self.now_s, self.monotonic = NOON, 0.0
        guard = BudgetGuard(store, records, now_ns=lambda: self.now_s * NS, monotonic_s=lambda: self.monotonic)
        yield guard
        guard.stop()

    def test_who_is_refused(self, guard: BudgetGuard, records: RecordsStore) -> None:
        records.create_budget(budget("2", period="day", per="user", enforce=True, name="users"))
        records.create_budget(budget("0.1", period="day"))
        records.create_budget(budget("0.1", period="day", enforce=True, enabled=False))
        guard.refresh()
        assert guard.watches("default")
        assert not guard.watches("other")
        used = guard.used_up(Caller("default", "bob"))
        assert used is not None
        assert (used.name, used.value, used.used_usd, used.until_s) == (
            "users",
            "bob",
            Decimal("2.25"),
            NOON + 12 * HOUR_S,
        )
        for caller in (Caller("default", "ann"), Caller("default"), Caller("other", "bob"), Caller("default", "new")):
            assert guard.used_up(caller) is None

    def test_a_new_period_begins_free(self, guard: BudgetGuard, records: RecordsStore) -> None:
        records.create_budget(budget("1", period="day", enforce=True))
        rolling = records.create_budget(budget("1", period="rolling", rolling_hours=24, q="user:ann", enforce=True))
        guard.refresh()
        self.now_s = NOON + DAY_S
        assert guard.used_up(Caller("default", "bob")) is None
        used = guard.used_up(Caller("default", "ann"))
        assert used is not None
        assert (used.name, used.until_s) == (rolling.name, None)

    def test_who_polls_gets_what_is_used_up_now(
        self, guard: BudgetGuard, records: RecordsStore, store: ColumnarStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records.create_budget(budget("1", period="day", per="user", enforce=True, name="users"))
        records.create_budget(budget("1", period="rolling", rolling_hours=24, q="tag:x", enforce=True, name="rolling"))
        records.create_budget(budget("1000", enforce=True, name="left"))
        records.create_budget(budget("1", name="told only"))
        users, rolling = guard.closed("default")
        assert dict(users.spent_usd) == {"ann": Decimal("1.500000000001"), "bob": Decimal("2.25")}
        assert users.until_s == NOON + 12 * HOUR_S
        assert (rolling.budget.name, dict(rolling.spent_usd), rolling.until_s) == (
            "rolling", {"": Decimal("3.250000000001")}, None,
        )  # fmt: skip
        assert guard.closed("other") == []
        # From memory for a while, and beyond the end of a period what it held counts no more.
        records.create_budget(budget("0.1", period="day", enforce=True, name="new"))
        assert len(guard.closed("default")) == 2
        self.monotonic += 3
        assert [each.budget.name for each in guard.closed("default")] == ["users", "rolling", "new"]

        def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        with monkeypatch.context() as patch:
            patch.setattr(store, "select", away)
            self.monotonic += 3
            assert len(guard.closed("default")) == 3
            self.now_s += DAY_S
            assert [each.budget.name for each in guard.closed("default")] == ["rolling"]

    def test_one_slow_read_holds_up_nobody_else(self, guard: BudgetGuard, records: RecordsStore) -> None:
        records.create_budget(budget("1", period="day", enforce=True))
        assert len(guard.closed("default")) == 1
        asked: list[int] = []
        read = records.budgets

        def within(*given: Any) -> Any:
            # Another asks while this one reads: it is answered at once.
            asked.append(len(guard.closed("default")))
            return read(*given)

        records.budgets = within  # type: ignore[method-assign]
        self.monotonic += 3
        assert len(guard.closed("default")) == 1
        assert asked == [1]

    def test_outages_leave_what_was_known(
        self, guard: BudgetGuard, records: RecordsStore, store: ColumnarStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        records.create_budget(budget("1", period="day", enforce=True))
        guard.refresh()

        def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        with monkeypatch.context() as patch:
            patch.setattr(store, "select", away)
            self.now_s += 1
            with pytest.raises(StoreUnavailable):
                guard.refresh()
            assert guard.used_up(Caller("default")) is not None
        with monkeypatch.context() as patch:
            patch.setattr(records, "budgets", away)
            with pytest.raises(StoreUnavailable):
                guard.refresh()
            assert guard.used_up(Caller("default")) is not None

    def test_states_are_read_beside_the_calls(self, guard: BudgetGuard, records: RecordsStore) -> None:
        guard.start()
        assert not guard.watches("default")
        records.create_budget(budget("1", period="day", enforce=True))
        self.monotonic = 100.0
        until(lambda: guard.watches("default"))
        assert guard.used_up(Caller("default")) is not None

    def test_nobody_is_refused_by_what_is_not_known(
        self, guard: BudgetGuard, records: RecordsStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away() -> Any:
            raise StoreUnavailable("away")

        monkeypatch.setattr(records, "budgets", away)
        guard.start()
        assert not guard.watches("default")
        assert guard.used_up(Caller("default")) is None
