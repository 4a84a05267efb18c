"""The paths about money, time, budgets and service levels, over the real API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.show.schemas.budgets import BudgetDetail, BudgetItem, BudgetList, BudgetVerdicts
from spanhouse_server.show.schemas.cost import (
    CostChangeReply,
    GpuPriceList,
    SelfHostedReply,
    SpendReply,
    WasteReply,
    WhatIfReply,
)
from spanhouse_server.show.schemas.latency import LatencyReply
from spanhouse_server.show.schemas.slos import SloItem, SloList, SloState
from spanhouse_server.store.contract import ColumnarStore
from tests.stored import NS, T0
from tests.unit.show.conftest import ADMIN, House, locked, store

__all__ = ["locked", "store"]

API = "/api/v1"
RANGE = "from=2026-01-15T11:00:00Z&to=2026-01-15T13:00:00Z"
BUDGET = {"name": "all", "limit_usd": "0.015", "period": "month"}
SLO = {"name": "calls", "objective": 0.99}
GPU = {"name": "H200", "q": "model:gpt-4o", "gpu_count": 2, "usd_per_gpu_hour": "1.5", "effective_from": "2026-01-15"}


@pytest.fixture(scope="module")
def house(store: ColumnarStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests here: opening one takes longer than any of them."""
    opened = House(store, tmp_path_factory.mktemp("house"))
    opened.client.post(f"{API}/budgets", json=BUDGET)
    opened.client.post(f"{API}/slos", json=SLO)
    opened.client.post(f"{API}/cost/gpu-prices", json=GPU | {"name": "other", "q": "model:none"})
    yield opened
    opened.close()


def get(house: House, path: str) -> Any:
    reply = house.client.get(API + path)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (f"/cost?{RANGE}&group_by=user,model&interval=3600", SpendReply),
        (f"/cost/changes?{RANGE}", CostChangeReply),
        (f"/cost/changes?{RANGE}&baseline_from=2026-01-01&baseline_to=2026-01-02", CostChangeReply),
        (f"/cost/what-if?{RANGE}&model=gpt-4o-mini&model=nope", WhatIfReply),
        (f"/cost/waste?{RANGE}", WasteReply),
        (f"/cost/self-hosted?{RANGE}&model=gpt-4o-mini", SelfHostedReply),
        ("/cost/gpu-prices", GpuPriceList),
        (f"/latency?{RANGE}&group_by=name", LatencyReply),
        ("/budgets", BudgetList),
        ("/slos", SloList),
    ],
)
def test_replies_are_what_they_are_said_to_be(house: House, path: str, schema: Any) -> None:
    reply = get(house, path)
    assert schema.model_validate(reply).model_dump(mode="json") == reply


def test_a_range_with_data(house: House) -> None:
    reply = get(house, f"/cost?{RANGE}&group_by=user")
    assert reply["total"]["cost_usd"] == "0.02"
    assert [(row["group"], row["cost_usd"], row["share"]) for row in reply["groups"]] == [
        ({"user": "ann"}, "0.02", 1.0)
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/cost?group_by=nope", "/cost?cursor=x&group_by=user", "/cost?interval=-1", "/cost?q=(", "/cost?interval=1",
        "/cost/changes?baseline_from=2026-01-01", "/cost/what-if", f"/cost/what-if?{'model=a&' * 11}",
        "/cost/what-if?model=", "/latency?of=cats", "/latency?slowest_by=x", "/latency?group_by=cost",
        f"/budgets/{'x' * 101}", "/cost?from=soon",
    ],
)  # fmt: skip
def test_bad_questions_get_one_sentence(house: House, path: str) -> None:
    reply = house.client.get(API + path)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["message"]


def test_a_budget_is_made_changed_and_deleted(house: House) -> None:
    made = house.client.post(f"{API}/budgets", json=BUDGET | {"user": 'a"b', "tag": "x", "q": "env:prod"})
    assert made.status_code == 201
    item = BudgetItem.model_validate(made.json())
    assert item.q == '(env:prod) AND user:"a\\"b" AND tag:"x"'
    assert (item.thresholds, item.states[0].used_usd, item.states[0].left_usd) == ([50, 80, 100], "0", "0.015")
    path = f"{API}/budgets/{item.id}"
    changed = house.client.put(path, json={"name": "less", "limit_usd": 1, "period": "rolling", "rolling_hours": 5})
    assert changed.status_code == 200
    assert changed.json()["period"] == "rolling"
    assert changed.json()["created_at"] == item.created_at
    detail = BudgetDetail.model_validate(house.client.get(path).json())
    assert (detail.name, detail.q, detail.crossings, detail.states[0].forecast) == ("less", "", [], None)
    assert house.client.get(f"{path}?project=other").status_code == 404
    assert house.client.put(f"{path}?project=other", json=BUDGET).status_code == 404
    assert house.client.delete(f"{path}?project=other").status_code == 404
    assert house.client.delete(path).json()["name"] == "less"
    assert house.client.get(path).status_code == 404


def test_a_budget_of_a_key(house: House) -> None:
    key, _ = house.records.create_key("default", "app")
    made = house.client.post(f"{API}/budgets", json=BUDGET | {"key": key.id, "enforce": True}).json()
    assert made["q"] == f'metadata.key_id:"{house.records.key_ids("default")[key.id]}"'
    theirs, _ = house.records.create_key("other", "app")
    assert house.client.post(f"{API}/budgets", json=BUDGET | {"key": theirs.id}).status_code == 404


def test_a_proxy_elsewhere_learns_what_is_used_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = f"{API}/budgets/verdicts"
    assert BudgetVerdicts.model_validate(house.client.get(asked).json()).items == []
    hours = (time.time_ns() - T0) // NS // 3600 + 24
    enforced = {"enforce": True, "period": "rolling", "rolling_hours": min(hours, 8784), "limit_usd": "0.015"}
    bodies = [
        enforced | {"name": "users", "per": "user", "q": "session:s* OR -tag:x,y"},
        enforced | {"name": "all", "limit_usd": "0.02"},
        enforced | {"name": "enough left", "limit_usd": "0.021"},
        enforced | {"name": "told only", "enforce": False},
        enforced | {"name": "off", "enabled": False},
    ]
    made = [house.client.post(f"{API}/budgets", json=body).json() for body in bodies]
    monkeypatch.setattr(house.context.budgets, "_refresh_s", 0.0)
    reply = BudgetVerdicts.model_validate(house.client.get(asked).json())
    users, everything = reply.items
    assert (users.id, users.resets_at, users.limit_usd, reply.truncated) == (made[0]["id"], None, "0.015", False)
    assert [(each.value, each.used_usd) for each in users.closed] == [("ann", "0.02")]
    assert users.per is not None
    assert (users.per.field, users.per.key) == ("user", "")
    tags = {"field": "tag", "key": "", "test": "is", "values": ["x", "y"]}
    sessions = {"field": "session", "key": "", "test": "like", "values": [["s", ""]]}
    assert users.condition == {"any": [sessions, {"not": tags}]}
    assert (everything.condition, everything.per, everything.closed[0].value) == (None, None, "")
    assert house.client.get(f"{asked}?project=other").json()["items"] == []
    for each in made:
        house.client.delete(f"{API}/budgets/{each['id']}")
    assert house.client.get(asked).json()["items"] == []


def test_a_projects_own_key_is_enough_to_ask_what_is_used_up(locked: House) -> None:
    _, secret = locked.records.create_key("default", "proxy")
    asked = f"{API}/budgets/verdicts"
    assert locked.client.get(asked).status_code == 401
    assert locked.client.get(asked, headers={"x-api-key": secret}).json()["items"] == []
    assert locked.client.get(f"{asked}?project=other", headers={"x-api-key": secret}).status_code == 403


@pytest.mark.parametrize(
    "bad",
    [
        {"limit_usd": 0}, {"limit_usd": "NaN"}, {"limit_usd": "1e-13"}, {"limit_usd": "1e13"}, {"name": " "},
        {"period": "year"}, {"period": "rolling"}, {"rolling_hours": 5}, {"time_zone": "Mars/Base"},
        {"time_zone": "../../etc/passwd"}, {"q": "("}, {"per": "cost"}, {"thresholds": [0]}, {"thresholds": [1] * 11},
        {"enforce": True, "q": "model:gpt-4o"}, {"enforce": True, "q": "refund"}, {"enforce": True, "per": "model"},
        {"typo": 1}, {"note": "x" * 2001}, {"per": "nope"},
    ],
)  # fmt: skip
def test_a_bad_budget_is_refused_in_one_sentence(house: House, bad: dict[str, Any]) -> None:
    reply = house.client.post(f"{API}/budgets", json=BUDGET | bad)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["message"]


def test_a_service_level_is_made_changed_and_deleted(house: House) -> None:
    made = house.client.post(f"{API}/slos", json=SLO | {"indicator": "latency", "threshold_ms": 800, "q": "user:ann"})
    assert made.status_code == 201
    item = SloItem.model_validate(made.json())
    path = f"{API}/slos/{item.id}"
    state = SloState.model_validate(house.client.get(path).json())
    assert [burn.window for burn in state.burn] == ["1h/5m", "6h/30m", "3d/6h"]
    assert state.error_budget.left_share == 1
    assert house.client.put(path, json=SLO | {"objective": "0.95"}).json()["objective"] == "0.95"
    assert house.client.get(f"{path}?project=other").status_code == 404
    assert house.client.delete(path).status_code == 200
    assert house.client.get(path).status_code == 404


@pytest.mark.parametrize(
    "bad",
    [
        {"objective": 1}, {"objective": 0.4}, {"objective": "0.999999999"}, {"indicator": "speed"}, {"q": "("},
        {"indicator": "latency"}, {"threshold_ms": 5}, {"window_days": 0}, {"min_events": 0}, {"latency_of": "x"},
        {"indicator": "latency", "threshold_ms": 1e12}, {"unit": "spans"}, {"name": ""}, {"typo": 1},
    ],
)  # fmt: skip
def test_a_bad_service_level_is_refused_in_one_sentence(house: House, bad: dict[str, Any]) -> None:
    reply = house.client.post(f"{API}/slos", json=SLO | bad)
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["message"]


def test_gpu_prices(house: House) -> None:
    made = house.client.post(f"{API}/cost/gpu-prices", json=GPU)
    assert made.status_code == 201
    row = get(house, f"/cost/self-hosted?{RANGE}&model=gpt-4o-mini")["items"][-1]
    assert (row["gpu_hours"], row["cost_usd"], row["requests"]) == (4.0, "6", 2)
    assert Decimal(row["usd_per_mtok"]) == Decimal(6) * 1_000_000 / 240
    assert row["models"][0]["requests"] == 2
    for bad in ({"q": ""}, {"gpu_count": 0}, {"effective_from": "soon"}, {"effective_until": "2020-01-01"}):
        assert house.client.post(f"{API}/cost/gpu-prices", json=GPU | bad).status_code == 400
    assert house.client.delete(f"{API}/cost/gpu-prices/{made.json()['id']}?project=other").status_code == 404
    assert house.client.delete(f"{API}/cost/gpu-prices/{made.json()['id']}").json() == made.json()


def test_only_an_admin_writes_and_no_key_opens_another_project(locked: House) -> None:
    _, secret = locked.records.create_key("default", "app")
    key, admin = {"x-api-key": secret}, {"x-api-key": ADMIN}
    for path, body in (("budgets", BUDGET), ("slos", SLO), ("cost/gpu-prices", GPU)):
        assert locked.client.get(f"{API}/{path}").status_code == 401
        assert locked.client.get(f"{API}/{path}", headers=key).json()["items"] == []
        assert locked.client.get(f"{API}/{path}?project=other", headers=key).status_code == 403
        assert locked.client.post(f"{API}/{path}", json=body, headers=key).status_code == 403
        made = locked.client.post(f"{API}/{path}?project=other", json=body, headers=admin)
        assert made.status_code == 201
        assert locked.client.get(f"{API}/{path}", headers=key).json()["items"] == []
        assert locked.client.delete(f"{API}/{path}/{made.json()['id']}", headers=admin).status_code == 404
    for path in ("cost", "cost/changes", "cost/what-if?model=x", "cost/waste", "cost/self-hosted", "latency"):
        joint = "&" if "?" in path else "?"
        assert locked.client.get(f"{API}/{path}{joint}project=other", headers=key).status_code == 403
