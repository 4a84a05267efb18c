"""What other vendors' SDKs send is taken at their own paths; their project names never open a door.

``bodies/`` holds requests recorded from the released SDKs: path, headers and body as they were sent.
"""

from __future__ import annotations

import base64
import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from spanhouse_server.receive import PATHS, http_routes
from spanhouse_server.receive.credentials import credentials
from spanhouse_server.receive.vendors import DOORS, project_hint
from tests.unit.receive import wire
from tests.unit.receive.conftest import ReceivingEnd, Reply
from tests.unit.receive.test_access import ADMIN, basic

RECORDED = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "bodies").iterdir())
}
BODY = wire.traces().SerializeToString()


def body_of(recorded: dict[str, Any]) -> bytes:
    text = recorded["body"]
    return base64.b64decode(text) if recorded["encoding"] == "base64" else text.encode()


def post(end: ReceivingEnd, path: str, body: bytes, headers: dict[str, str]) -> Reply:
    """Send a request with the very header names given: vendors' own may hold underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", end.http_port, timeout=60)
    try:
        connection.request("POST", path, body, {"content-type": "application/x-protobuf"} | headers)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def replay(end: ReceivingEnd, recorded: dict[str, Any], **headers: str) -> Reply:
    return post(end, recorded["path"], body_of(recorded), recorded["headers"] | headers)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_are_taken_without_keys(end: ReceivingEnd, name: str) -> None:
    reply = replay(end, RECORDED[name])
    assert reply.status in (200, 202, 207), reply.body
    if reply.status == 207:
        answer = json.loads(reply.body)
        assert answer["errors"] == []
        assert all(success["status"] == 201 for success in answer["successes"])
    (entry,) = end.entries()
    assert entry.project_id == "default"
    assert entry.signal == ("traces" if recorded_is_otlp(name) else "logs")
    if recorded_is_otlp(name):
        assert entry.body == body_of(RECORDED[name])


def recorded_is_otlp(name: str) -> bool:
    return RECORDED[name]["headers"]["content-type"] == "application/x-protobuf"


@pytest.fixture
def locked(serve: Any) -> tuple[ReceivingEnd, str]:
    """A receiving end that asks for keys, with projects `shop` and `123` and the key of `shop`."""
    end = serve(require_keys=True, admin_key=ADMIN, fsync="off")
    end.records.create_project("123")
    _, secret = end.records.create_key(end.records.create_project("shop").id, "ci")
    return end, secret


#: The headers in which each vendor's sender carries its key.
KEYED = {
    "langfuse-2-ingestion": lambda key: {"authorization": basic("pk-lf-1", key)},
    "langfuse-3-traces": lambda key: {"authorization": basic("pk-lf-1", key)},
    "langfuse-5-scores": lambda key: {"authorization": basic("pk-lf-1", key)},
    "langsmith": lambda key: {"x-api-key": key},
    "opik": lambda key: {"authorization": key},
    "phoenix": lambda key: {"authorization": f"Bearer {key}"},
    "weave": lambda key: {"wandb-api-key": key},
    "mlflow": lambda key: {"authorization": f"Bearer {key}"},
    "logfire-feedback": lambda key: {"authorization": key},
}


@pytest.mark.parametrize("name", KEYED)
def test_the_key_decides_the_project(locked: tuple[ReceivingEnd, str], name: str) -> None:
    end, secret = locked
    assert replay(end, RECORDED[name]).status == 401
    # MLflow's header names another project that exists, the others' one by the key's own name.
    reply = replay(end, RECORDED[name], **KEYED[name](secret))
    assert reply.status in (200, 202, 207), reply.body
    assert [entry.project_id for entry in end.entries()] == ["shop"]


PROJECT_HEADERS = ("langsmith-project", "projectName", "x-mlflow-experiment-id", "project_id", "x-bt-parent")


def test_a_named_project_opens_nothing(locked: tuple[ReceivingEnd, str]) -> None:
    end, secret = locked
    for header in PROJECT_HEADERS:
        assert post(end, "/otel/v1/traces", BODY, {header: "shop"}).status == 401
        assert post(end, "/otel/v1/traces", BODY, {header: "123", "x-api-key": secret}).status == 200
    assert {entry.project_id for entry in end.entries()} == {"shop"}
    # Our own header asks, and is refused, where a vendor's only wishes.
    assert post(end, "/otel/v1/traces", BODY, {"x-spanhouse-project": "123", "x-api-key": secret}).status == 403


def test_a_wish_is_followed_where_every_project_is_open(serve: Any, locked: tuple[ReceivingEnd, str]) -> None:
    end, _ = locked
    for header in PROJECT_HEADERS:
        assert post(end, "/otel/v1/traces", BODY, {header: "shop", "x-api-key": ADMIN}).status == 200
    assert post(end, "/otel/v1/traces", BODY, {"langsmith-project": "nowhere", "x-api-key": ADMIN}).status == 200
    assert [entry.project_id for entry in end.entries()] == ["shop"] * len(PROJECT_HEADERS) + ["default"]
    opened = serve(fsync="off")
    opened.records.create_project("shop")
    for headers in (
        {"project_id": "me/shop", "wandb-api-key": "wb"},
        {"langsmith-project": "shop", "x-spanhouse-project": "default"},
        {"projectname": "nowhere"},
    ):
        assert post(opened, "/otel/v1/traces", BODY, headers).status == 200
    assert [entry.project_id for entry in opened.entries()] == ["shop", "default", "default"]


def test_another_vendors_key_opens_no_more_than_none(serve: Any) -> None:
    opened = serve(fsync="off")
    _, secret = opened.records.create_key(opened.records.create_project("shop").id, "ci")
    assert opened.post("/v1/traces", BODY, authorization="Bearer lsv2_abc").status == 200
    assert opened.post("/v1/traces", BODY, authorization=f"Bearer {secret}").status == 200
    assert [entry.project_id for entry in opened.entries()] == ["default", "shop"]
    # A key of ours that is revoked or mistyped is a mistake, also here.
    assert opened.post("/v1/traces", BODY, authorization=f"Bearer {secret}x").status == 401


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.prefix or "/")
def test_every_door_takes_every_signal(end: ReceivingEnd, door: Any) -> None:
    for signal, message in (("traces", wire.traces()), ("logs", wire.logs()), ("metrics", wire.metrics())):
        assert end.post(f"{door.prefix}/v1/{signal}", message.SerializeToString()).status == 200
        assert end.post(f"{door.prefix}/v1/{signal}/", message.SerializeToString()).status == 200
        refused = end.post(f"{door.prefix}/v1/{signal}", b"\xff\xff")
        assert wire.status_of(refused.body, refused.type)[0] == 3
    assert [entry.signal for entry in end.entries()] == ["traces", "traces", "logs", "logs", "metrics", "metrics"]


def test_the_table_of_paths_holds_every_route_and_nothing_else(end: ReceivingEnd) -> None:
    """The application sends what begins so past its own framework; the page and the API must not be hit."""
    for route in http_routes(end.receiver):
        assert route.path.startswith(PATHS)
    for path in (
        "/",
        "/traces",
        "/traces/1f",
        "/api/v1/traces",
        "/api/v1/openapi.json",
        "/proxy/openai/v1/chat",
        "/otel",
    ):
        assert not path.startswith(PATHS)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"api_key": "k"}, "k"),
        ({"wandb-api-key": "k"}, "k"),
        ({"x-api-key": "k", "api_key": "other"}, "k"),
        ({"api_key": " "}, None),
    ],
)
def test_where_vendors_put_their_key(headers: dict[str, str], secret: str | None) -> None:
    assert credentials(headers) == (secret, None)


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({}, None),
        ({"langsmith-project": "my%20shop"}, "my shop"),
        ({"projectname": "shop"}, "shop"),
        ({"project_id": "team/shop"}, "shop"),
        ({"x-bt-parent": "project_name:shop"}, "shop"),
        ({"x-mlflow-experiment-id": "0"}, "0"),
        ({"project_id": "team/"}, None),
    ],
)
def test_project_names(headers: dict[str, str], hint: str | None) -> None:
    assert project_hint(headers) == hint
