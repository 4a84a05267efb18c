"""Budgets and service levels through the alert engine, on real stores: told once, over when the period is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from spanhouse_server.derive.alerts.evaluate import AlertEvaluation
from spanhouse_server.derive.alerts.kinds.budget import BUDGET
from spanhouse_server.derive.alerts.kinds.burn_rate import BURN_RATE
from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.derive.contract import Lease
from spanhouse_server.model.alerts import AlertQuery, Rule
from spanhouse_server.model.budgets import Budget, Slo
from spanhouse_server.store.contract import ColumnarStore, RecordsStore
from tests.stored import NS, T0, Keeper, columnar, span
from tests.templates import new_records

NOON = T0 // NS
LEASE = Lease("alerts.evaluate", 1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("alerts")) as opened:
        Keeper(opened).put(
            *(
                span(f"t{number}", "chat", start_s=-60 - number * 4, category="llm", tokens=(1, 1), cost="0.1",
                     user_id=f"u{number % 2}", status_code="error" if number < 60 else "ok")
                for number in range(200)
            )
        )  # fmt: skip
        yield opened


@pytest.fixture
def records(tmp_path: Path) -> Iterator[RecordsStore]:
    opened = new_records(tmp_path / "records.db")
    BUDGET.bind(opened.budgets)
    BURN_RATE.bind(opened.slos)
    yield opened
    opened.close()


def test_told_once_and_over_with_the_period(store: ColumnarStore, records: RecordsStore) -> None:
    made = Budget("", "default", "day", Decimal(16), "day", thresholds=(50, 100, 200))
    records.create_budget(made)
    records.create_budget(replace(made, name="broken", q="no_such_field:1"))
    records.create_slo(Slo("", "default", "calls", Decimal("0.99")))
    for kind in ("budget", "burn_rate"):
        records.alerts.create_rule(checked(Rule("", "default", kind, kind, every_s=60)))
    evaluation = AlertEvaluation(store, records.alerts, settle_s=0, monotonic_s=lambda: 0.0)
    for minute in range(2):
        evaluation.run((NOON + minute * 60) * NS, LEASE)

    def alerts() -> Counter[tuple[str, str, str]]:
        return Counter(
            (each.labels.get("threshold") or each.labels["window"], each.state, each.severity)
            for each in records.alerts.alerts("default", AlertQuery())
        )

    expected = {
        ("50", "firing", "warning"): 1, ("100", "firing", "critical"): 1, ("1h/5m", "firing", "critical"): 1,
        ("6h/30m", "firing", "critical"): 1, ("3d/6h", "firing", "warning"): 1,
    }  # fmt: skip
    assert alerts() == expected
    assert not any(progress.error for progress in records.alerts.progress("default").values())
    evaluation.run((NOON + 13 * 3600) * NS, LEASE)
    over = alerts()
    assert over["50", "resolved", "warning"] == over["100", "resolved", "critical"] == 1
    assert sum(over.values()) == len(expected), "nothing fired twice"
