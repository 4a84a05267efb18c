"""Own prices and remakes over the API."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from spanhouse_server.errors import StoreUnavailable
from tests.unit.show.conftest import ADMIN, House

API = "/api/v1"
PRICE = {"model": "gpt-4o", "rates": {"input_usd_per_mtok": "2.50", "output_usd_per_mtok": 10}}


def finished(house: House, job: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while job["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
        job = house.client.get(f"{API}/remakes/{job['id']}").json()
    return job


def test_a_price_is_made_listed_and_deleted(house: House) -> None:
    given = PRICE | {"provider": "openai", "effective_from": "2026-01-01", "effective_until": "2027-01-01T00:00:00Z",
                     "service_tier": "batch", "above_input_tokens": 200_000, "note": "contract"}  # fmt: skip
    reply = house.client.post(f"{API}/prices", json=given)
    assert reply.status_code == 201
    made = reply.json()
    assert made["rates"] == {"input_usd_per_mtok": "2.50", "output_usd_per_mtok": "10"}
    assert made["effective_from"] == "2026-01-01T00:00:00.000000000Z"
    assert (made["service_tier"], made["above_input_tokens"], made["note"]) == ("batch", 200_000, "contract")
    listed = house.client.get(f"{API}/prices").json()
    assert listed["items"] == [made]
    assert listed["list_version"]
    assert house.client.get(f"{API}/prices?project=other").json()["items"] == []
    assert house.client.delete(f"{API}/prices/{made['id']}?project=other").status_code == 404
    assert house.client.delete(f"{API}/prices/{made['id']}").json() == made
    assert house.client.get(f"{API}/prices").json()["items"] == []


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("Bedrock", "aws.bedrock"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("openai", "openai"),
        ("litellm", "litellm"),
        ("", ""),
    ],
)
def test_a_provider_is_held_by_the_name_that_spans_have(house: House, given: str, held: str) -> None:
    assert house.client.post(f"{API}/prices", json=PRICE | {"provider": given}).json()["provider"] == held


def test_a_price_reaches_new_spans_at_once(house: House) -> None:
    house.context.prices.current()
    house.client.post(f"{API}/prices", json=PRICE)
    assert set(house.context.prices.current().prices) == {"default"}


@pytest.mark.parametrize(
    "bad",
    [
        {}, {"model": "x"}, PRICE | {"rates": {}}, PRICE | {"model": ""}, PRICE | {"rates": {"input": 1}},
        PRICE | {"rates": {"input_usd_per_mtok": -1}}, PRICE | {"rates": {"input_usd_per_mtok": "NaN"}},
        PRICE | {"rates": {"input_usd_per_mtok": 10**9}}, PRICE | {"effective_from": "soon"},
        PRICE | {"effective_from": "2026-02-01", "effective_until": "2026-01-01"}, PRICE | {"typo": 1},
        PRICE | {"above_input_tokens": 10**30}, [], "x",
    ],
)  # fmt: skip
def test_a_bad_price_is_refused_in_one_sentence(house: House, bad: Any) -> None:
    reply = house.client.post(f"{API}/prices", json=bad)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


def test_remakes_run_and_are_listed(house: House) -> None:
    for kind in ("reprice", "remap"):
        reply = house.client.post(f"{API}/{kind}", json={"project": "other", "since": "2020-01-01"})
        assert reply.status_code == 202
        done = finished(house, reply.json())
        assert (done["kind"], done["state"], done["error"], done["projects"]) == (kind, "done", "", ["other"])
        assert (done["traces"], done["spans"]) == (1, 3)
        assert done["since"] == "2020-01-01T00:00:00.000000000Z"
        assert done["ended_at"] >= done["started_at"]
    listed = house.client.get(f"{API}/remakes").json()["items"]
    assert [job["kind"] for job in listed] == ["remap", "reprice"]
    assert house.client.get(f"{API}/remakes/none").status_code == 404
    assert house.client.post(f"{API}/remap", json={"project": "none"}).status_code == 404
    assert house.client.post(f"{API}/remap", json={"since": "soon"}).status_code == 400


def test_one_remake_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(house.remakes, "_one", lambda *_: held.wait(20))
    first = house.client.post(f"{API}/remap", json={}).json()
    busy = house.client.post(f"{API}/reprice", json={})
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "conflict")
    held.set()
    assert finished(house, first)["state"] == "done"


def test_a_remake_that_fails_says_why(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> bool:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(house.remakes, "_one", away)
    failed = finished(house, house.client.post(f"{API}/reprice", json={}).json())
    assert (failed["state"], failed["error"]) == ("failed", "the store is away")


def test_only_an_admin_changes_prices_or_remakes(locked: House) -> None:
    _, secret = locked.records.create_key("default", "app")
    key, admin = {"x-api-key": secret}, {"x-api-key": ADMIN}
    assert locked.client.get(f"{API}/prices").status_code == 401
    assert locked.client.get(f"{API}/prices", headers=key).json()["items"] == []
    assert locked.client.get(f"{API}/prices?project=other", headers=key).status_code == 403
    for path, body in (("prices", PRICE), ("reprice", {}), ("remap", {})):
        assert locked.client.post(f"{API}/{path}", json=body, headers=key).status_code == 403
    assert locked.client.get(f"{API}/remakes", headers=key).status_code == 403
    made = locked.client.post(f"{API}/prices?project=other", json=PRICE, headers=admin)
    assert made.status_code == 201
    assert locked.client.delete(f"{API}/prices/{made.json()['id']}?project=other", headers=key).status_code == 403
