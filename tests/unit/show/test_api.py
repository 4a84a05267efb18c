"""The API as its callers meet it: shapes, errors, and what it refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from spanhouse_server.show.openapi import document
from tests.stored import hex_id
from tests.unit.show.conftest import House

A, LLM = hex_id("a"), hex_id("a/llm", 16)


def get(house: House, path: str, status: int = 200, **more: Any) -> Any:
    reply = house.client.get(f"/api/v1{path}", **more)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def test_every_read_answers(house: House) -> None:
    assert [item["name"] for item in get(house, "/traces")["items"]] == ["b", "a"]
    assert get(house, f"/traces/{A}")["span_count"] == 3
    assert get(house, f"/traces/{A.upper()}/spans/{LLM.upper()}")["operation"] == "chat"
    assert [log["body"] for log in get(house, f"/traces/{A}/logs")["items"]] == ["said"]
    assert len(get(house, "/spans?q=category:llm")["items"]) == 2
    assert [item["session_id"] for item in get(house, "/sessions")["items"]] == ["s/1"]
    assert len(get(house, "/sessions/s%2F1")["traces"]) == 2
    assert get(house, "/users/ann")["session_count"] == 1
    assert get(house, "/facets?field=user")["values"] == [{"value": "ann", "count": 2}]
    assert get(house, "/metrics?metric=spans&from=2026-01-15&to=2026-01-16")["series"][0]["total"] == 6
    assert get(house, "/otel-metrics")["metrics"] == []
    assert any(field["name"] == "model" for field in get(house, "/fields")["items"])
    assert get(house, "/ingest")["spool"]["requests"] == 0
    assert get(house, "/me") == {"authenticated": True, "admin": True, "project_id": None, "keys_required": False}


def test_replies_are_never_cached(house: House) -> None:
    assert house.client.get("/api/v1/traces").headers["cache-control"] == "no-store"


def test_a_fault_in_the_filter_points_at_its_token(house: House) -> None:
    error = get(house, "/traces?q=user:x%20modle:y", 400)["error"]
    assert error["code"] == "bad_query"
    assert (error["position"], error["length"]) == (7, 5)
    assert "model" in error["hint"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/traces?limit=0", 400, "bad_request"),
        ("/traces?limit=201", 400, "bad_request"),
        ("/traces?limit=ten", 400, "bad_request"),
        ("/traces?sort=price", 400, "bad_query"),
        ("/traces?cursor=zzz", 400, "bad_query"),
        ("/traces?from=yesterday", 400, "bad_query"),
        ("/traces?from=now&to=-1h", 400, "bad_query"),
        ("/traces?q=" + "x" * 9000, 400, "bad_request"),
        ("/traces?project=nope", 404, "not_found"),
        ("/traces/xyz", 400, "bad_request"),
        (f"/traces/{'0' * 32}", 404, "not_found"),
        (f"/traces/{A}/spans/{'0' * 16}", 404, "not_found"),
        ("/sessions/none", 404, "not_found"),
        ("/users/none", 404, "not_found"),
        ("/metrics", 400, "bad_request"),
        ("/metrics?metric=nope", 400, "bad_query"),
        ("/facets?field=nope", 400, "bad_query"),
        ("/facets?field=model&scope=x", 400, "bad_request"),
        ("/nothing", 404, "not_found"),
        ("", 404, "not_found"),
    ],
)
def test_errors_have_one_shape(house: House, path: str, status: int, code: str) -> None:
    error = get(house, path, status)["error"]
    assert error["code"] == code
    assert error["message"]
    assert set(error) <= {"code", "message", "hint", "position", "length", "details"}


def test_the_api_root_is_json_too(house: House) -> None:
    assert house.client.get("/api").json()["error"]["code"] == "not_found"


def test_wrong_methods_are_405_with_what_is_allowed(house: House) -> None:
    reply = house.client.request("PATCH", "/api/v1/traces")
    assert reply.status_code == 405
    assert reply.json()["error"]["code"] == "method_not_allowed"
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/index.html", "/v1development/profiles"])
def test_wrong_methods_have_that_shape_outside_the_api_too(house: House, path: str) -> None:
    reply = house.client.request("PATCH", path)
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "method_not_allowed")


def test_scores_are_stored_once_per_id(house: House) -> None:
    body = {"id": "mine", "trace_id": A, "span_id": LLM, "name": "thumb", "value": 1, "explanation": "good"}
    for _ in range(2):
        assert house.client.post("/api/v1/scores", json=body).status_code == 200
    assert [score["id"] for score in get(house, f"/scores?trace_id={A}&name=thumb")["items"]] == ["mine"]
    assert get(house, f"/traces/{A}/spans/{LLM}")["scores"][0]["explanation"] == "good"
    many = [{"session_id": "s/1", "name": "csat", "value": n} for n in range(3)]
    assert len(house.client.post("/api/v1/scores", json=many).json()["items"]) == 3
    assert get(house, "/sessions")["items"][0]["scores"]["csat"] == {"value": 1.0, "label": "", "count": 3}
    assert house.client.delete("/api/v1/scores/mine").json() == {"ok": True}
    assert house.client.delete("/api/v1/scores/mine").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": None},
        {"value": None},
        {"value": "high"},
        {"value": math.inf},
        {"trace_id": "xyz"},
        {"trace_id": "", "span_id": LLM},
        {"session_id": "also"},
        {"source": "robot"},
        {"nmae": "typo"},
        {"explanation": "x" * 30_000},
        {"id": "no spaces"},
    ],
)
def test_scores_that_make_no_sense_are_refused(house: House, change: dict[str, Any]) -> None:
    body = {"trace_id": A, "name": "thumb", "value": 1.0} | change
    text = json.dumps(body)
    reply = house.client.post("/api/v1/scores", content=text, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["details"]


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"trace_id": A, "name": "thumb", "value": "high"}, ["body.value"]),
        ({"name": "thumb", "value": 1}, ["body"]),
        ([{"trace_id": A, "name": "thumb", "value": 1}, {"trace_id": A, "nmae": "thumb", "value": 1}],
         ["body.1.name", "body.1.nmae"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_score_is_told_by_its_fields(house: House, body: Any, places: list[str]) -> None:
    error = house.client.post("/api/v1/scores", json=body).json()["error"]
    assert [each["where"] for each in error["details"]] == places
    assert error["message"].startswith(f"{places[0]}: ")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b"1"])
def test_bodies_that_are_no_score_are_refused(house: House, content: bytes) -> None:
    reply = house.client.post("/api/v1/scores", content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400, reply.text


def test_keys_show_their_secret_once(house: House) -> None:
    made = house.client.post("/api/v1/keys?project=other", json={"name": "app"})
    assert made.status_code == 201
    secret = made.json()["secret"]
    listed = get(house, "/keys?project=other")["items"]
    assert [key["name"] for key in listed] == ["app"]
    assert secret not in str(listed)
    assert get(house, "/keys") == {"items": []}
    assert [item["name"] for item in get(house, "/traces", headers={"x-api-key": secret})["items"]] == ["secret"]
    assert house.client.delete(f"/api/v1/keys/{listed[0]['id']}").status_code == 404  # it is another project's
    revoked = house.client.delete(f"/api/v1/keys/{listed[0]['id']}?project=other")
    assert revoked.json()["revoked_at"]
    assert get(house, "/traces", 401, headers={"x-api-key": secret})["error"]["code"] == "unauthenticated"


def test_projects_are_created_once(house: House) -> None:
    assert house.client.post("/api/v1/projects", json={"name": "My App", "retention_days": 7}).status_code == 201
    assert house.client.post("/api/v1/projects", json={"name": "My App"}).status_code == 409
    assert {"default", "other"} < {project["id"] for project in get(house, "/projects")["items"]}


def test_the_store_being_away_is_503_with_when_to_come_back(house: House) -> None:
    from spanhouse_server.errors import StoreUnavailable
    from spanhouse_server.store.gate import StoreGate

    def opener() -> Any:
        raise StoreUnavailable("away")

    house.context.store = StoreGate(opener)  # never opened
    reply = house.client.get("/api/v1/traces")
    assert reply.status_code == 503
    assert int(reply.headers["retry-after"]) > 0
    assert reply.json()["error"]["code"] == "store_unavailable"


def test_an_unexpected_fault_is_500_without_its_details(house: House) -> None:
    class Broken:
        def select(self, *_: Any) -> Any:
            raise RuntimeError("the password is hunter2")

    house.context.store = Broken()  # type: ignore[assignment]
    reply = house.client.get("/api/v1/traces")
    assert reply.status_code == 500
    assert "hunter2" not in reply.text
    assert reply.json()["error"]["code"] == "internal_error"


def test_the_openapi_document_names_every_operation(house: House) -> None:
    served = get(house, "/openapi.json")
    assert served == document()
    operations = [(path, way) for path, ways in served["paths"].items() for way in ways.values()]
    names = [way["operationId"] for _, way in operations]
    assert len(set(names)) == len(names) >= 26
    assert all(name.isidentifier() and "_" not in name for name in names)
    for path, way in operations:
        assert "422" not in way["responses"], path
        assert way["description"], path
