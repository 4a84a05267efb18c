"""Budgets, crossings, service levels and GPU prices in the records store, on SQLite and on a real Postgres."""

from __future__ import annotations

import threading
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest

from spanhouse_server.errors import BadRequest, NotFound
from spanhouse_server.model.budgets import Budget, Crossing, GpuPrice, Slo
from spanhouse_server.store.contract import RecordsStore
from spanhouse_server.store.records import budgets as budget_records
from tests.contract.test_records import records, url

__all__ = ["records", "url"]

BUDGET = Budget(
    id="", project_id="default", name="teäm \0", limit_usd=Decimal("123456789012.000000000001"), period="rolling",
    rolling_hours=8784, time_zone="Asia/Kolkata", q='user:"a b"', per="metadata.team", thresholds=(1, 50, 1000),
    enforce=True, enabled=False, note="n",
)  # fmt: skip
SLO = Slo(
    id="", project_id="default", name="fast", objective=Decimal("0.99990000"), indicator="latency", unit="traces",
    latency_of="ttft", threshold_ms=0.1, q="tag:x", window_days=90, min_events=1, min_bad_events=2, enabled=False, note="n",
)  # fmt: skip
GPU = GpuPrice(
    id="", project_id="default", name="H200", q="model:m", gpu_count=Decimal("0.5"), usd_per_gpu_hour=Decimal("2.000000000001"),
    gpu_type="H200", from_ns=5, until_ns=2**62, note="n",
)  # fmt: skip
KINDS = [
    pytest.param("budget", BUDGET, id="budget"),
    pytest.param("slo", SLO, id="slo"),
    pytest.param("gpu_price", GPU, id="gpu price"),
]


@pytest.mark.parametrize(("kind", "item"), KINDS)
def test_they_come_back_as_given_and_stay_in_their_project(records: RecordsStore, kind: str, item: Any) -> None:
    create, delete = getattr(records, f"create_{kind}"), getattr(records, f"delete_{kind}")
    listed = getattr(records, f"{kind}s")
    other = records.create_project("other").id
    made = create(item)
    assert made.created_ns > 0
    given = {"id": made.id, "created_ns": made.created_ns, "name": item.name.replace("\0", "\ufffd")}
    if kind != "gpu_price":
        given["updated_ns"] = made.updated_ns
    assert made == replace(item, **given)
    theirs = create(replace(item, project_id=other))
    assert listed("default") == [made]
    assert listed(other) == [theirs]
    for project, item_id in (("default", theirs.id), (other, made.id), ("default", "a\0b"), ("default", "\ud800")):
        with pytest.raises(NotFound):
            delete(project, item_id)
    with pytest.raises(NotFound):
        create(replace(item, project_id="nope"))
    assert delete("default", made.id) == made
    assert listed("default") == []


@pytest.mark.parametrize(("kind", "item"), KINDS[:2])
def test_they_are_replaced_as_a_whole(records: RecordsStore, kind: str, item: Any) -> None:
    create, update, one = (getattr(records, name) for name in (f"create_{kind}", f"update_{kind}", kind))
    made = create(item)
    changed = update(replace(made, name="other", enabled=True, created_ns=1))
    assert changed == replace(made, name="other", enabled=True, updated_ns=changed.updated_ns)
    assert changed.updated_ns > made.updated_ns
    assert one("default", made.id) == changed
    records.create_project("other")
    with pytest.raises(NotFound):
        update(replace(made, project_id="other"))
    with pytest.raises(NotFound):
        one("other", made.id)


@pytest.mark.parametrize(("kind", "item"), KINDS)
def test_their_number_is_bounded(records: RecordsStore, kind: str, item: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_records, "MAX_PER_PROJECT", 2)
    create = getattr(records, f"create_{kind}")
    create(item)
    create(item)
    with pytest.raises(BadRequest, match="at most 2"):
        create(item)


def crossing(budget_id: str, **more: Any) -> Crossing:
    given = {
        "value": "ann",
        "period_key": "2026-01-01",
        "threshold": 50,
        "crossed_ns": 10**18,
        "used_usd": Decimal("0.1"),
    }
    return Crossing(**{"budget_id": budget_id, "project_id": "default"} | given | more)


def test_a_threshold_is_crossed_once_whoever_notices(records: RecordsStore) -> None:
    made = records.create_budget(BUDGET)
    first = crossing(made.id)
    new: list[Crossing] = []

    def note() -> None:
        new.extend(records.record_crossings([first, crossing("gone")]))

    threads = [threading.Thread(target=note) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert new == [first]
    more = [crossing(made.id, threshold=80, crossed_ns=10**18 + 1), crossing(made.id, value="x" * 5000 + "\0")]
    assert records.record_crossings([first, *more]) == more
    assert records.record_crossings([]) == []
    listed = records.crossings("default", made.id)
    assert [(each.threshold, each.value[:3]) for each in listed] == [(80, "ann"), (50, "ann"), (50, "xxx")] or [
        (each.threshold, each.value[:3]) for each in listed
    ] == [(80, "ann"), (50, "xxx"), (50, "ann")]
    assert listed[0] == more[0]
    assert records.crossings("other", made.id) == []
    later = crossing(made.id, period_key="2028", crossed_ns=10**18 + budget_records.KEEP_CROSSINGS_NS + 2)
    records.record_crossings([later])
    assert records.crossings("default", made.id) == [later]
    records.delete_budget("default", made.id)
    assert records.crossings("default", made.id) == []


def test_keys_by_what_stands_on_spans(records: RecordsStore) -> None:
    key, secret = records.create_key("default", "app")
    records.revoke_key("default", key.id)
    assert records.key_ids("default") == {key.id: sha256(secret.encode()).hexdigest()[:16]}
    assert records.key_ids("other") == {}
