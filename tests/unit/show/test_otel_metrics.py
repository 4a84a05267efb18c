"""Stored OTLP metrics over the API: what may be asked for, and how a bad question is answered."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.store.contract import ColumnarStore
from tests.stored import T0, Keeper, point
from tests.unit.show.conftest import House

RANGE = {"from": "2026-01-15T12:00:00Z", "to": "2026-01-15T12:10:00Z", "interval": "60"}


@pytest.fixture(autouse=True, scope="module")
def points(store: ColumnarStore) -> None:
    for host, grows in (("h1", 60.0), ("h2", 180.0)):
        resource = {"service.name": "engine", "host.name": host}
        Keeper(store).points(
            [
                point("vllm:tokens", 60 * n, value=grows * n, type="sum", temporality="cumulative", monotonic=True,
                      unit="{token}", attributes={"model": "m=1"}, resource=resource, start_ns=T0)
                for n in range(3)
            ]
        )  # fmt: skip


def ask(house: House, **more: Any) -> Any:
    return house.client.get("/api/v1/otel-metrics", params={"name": "vllm:tokens", **RANGE, **more})


def test_rates_by_attribute(house: House) -> None:
    reply = ask(house, stat="rate", group_by="host_name, model", attribute="model=m=1").json()
    assert (reply["stat"], reply["interval_s"], reply["truncated"]) == ("rate", 60, False)
    lines = {line["attributes"]["host_name"]: line for line in reply["series"]}
    assert [value for _, value in lines["h2"]["points"]] == [0.0, 3.0, 3.0]
    assert (lines["h1"]["attributes"]["model"], lines["h1"]["type"], lines["h1"]["unit"]) == ("m=1", "sum", "{token}")


def test_one_line_in_all_and_every_series_apart(house: House) -> None:
    (line,) = ask(house, stat="increase", group_by="").json()["series"]
    assert line["series_count"] == 2
    assert sum(value for _, value in line["points"]) == 480.0
    apart = ask(house).json()
    assert (apart["stat"], len(apart["series"])) == ("last", 2)
    assert ask(house, limit=1).json()["truncated"] is True


@pytest.mark.parametrize(
    "asked", [{"stat": "p95"}, {"stat": "median"}, {"group_by": "a,b,c,d,e,f"}, {"attribute": "model"}], ids=str
)
def test_bad_questions(house: House, asked: dict[str, str]) -> None:
    reply = ask(house, **asked)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]
