"""Who gets in, and that nobody crosses from one project to another."""

from __future__ import annotations

import pytest

from tests.stored import hex_id
from tests.unit.show.conftest import ADMIN, House

SECRET_TRACE = hex_id("secret")
AS_ADMIN = {"authorization": f"Bearer {ADMIN}"}

#: Every read of the API, by a path that would show something of the project `other`.
READS = [
    "/traces",
    f"/traces/{SECRET_TRACE}",
    f"/traces/{SECRET_TRACE}/spans/{hex_id('secret/llm', 16)}",
    f"/traces/{SECRET_TRACE}/logs",
    "/traces?q=refund",
    f"/traces?q=trace:{SECRET_TRACE}",
    f"/spans?q=trace:{SECRET_TRACE}",
    "/sessions",
    "/sessions/s%2F1",
    "/users",
    "/users/ann",
    "/facets?field=name",
    "/metrics?metric=spans&group_by=name&from=2026-01-15&to=2026-01-16",
    "/scores",
    "/otel-metrics",
    "/live",
    "/projects",
]


def key_for(house: House, project: str) -> dict[str, str]:
    reply = house.client.post(f"/api/v1/keys?project={project}", json={"name": "k"}, headers=AS_ADMIN)
    return {"x-api-key": reply.json()["secret"]}


@pytest.mark.parametrize("path", [*READS, "/keys", "/ingest"])
def test_nothing_is_read_without_a_key(locked: House, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {ADMIN}"}, {"x-api-key": ""}):
        reply = locked.client.get(f"/api/v1{path}", headers=headers)
        assert reply.status_code == 401, (headers, reply.text)
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), [("POST", "/scores"), ("POST", "/projects"), ("POST", "/keys"),
                                              ("DELETE", "/keys/x"), ("DELETE", "/scores/x")])  # fmt: skip
def test_nothing_is_written_without_a_key(locked: House, method: str, path: str) -> None:
    body = {"name": "x", "value": 1, "trace_id": SECRET_TRACE} if path == "/scores" else {"name": "x"}
    assert locked.client.request(method, f"/api/v1{path}", json=body).status_code == 401


@pytest.mark.parametrize("path", [path for path in READS if path != "/live"])
def test_a_key_shows_nothing_of_another_project(locked: House, path: str) -> None:
    mine = key_for(locked, "default")
    reply = locked.client.get(f"/api/v1{path}", headers=mine)
    assert reply.status_code in (200, 404)
    assert "secret" not in reply.text
    # An error may repeat the id that was asked for.
    assert reply.status_code == 404 or SECRET_TRACE not in reply.text
    joint = "&" if "?" in path else "?"
    if path != "/projects":
        assert locked.client.get(f"/api/v1{path}{joint}project=other", headers=mine).status_code == 403


def test_a_key_writes_only_into_its_project(locked: House) -> None:
    mine, theirs = key_for(locked, "default"), key_for(locked, "other")
    body = {"id": "cross", "trace_id": SECRET_TRACE, "name": "mark", "value": 1}
    assert locked.client.post("/api/v1/scores?project=other", json=body, headers=mine).status_code == 403
    assert locked.client.post("/api/v1/scores", json=body, headers=mine).status_code == 200
    seen = locked.client.get(f"/api/v1/traces/{SECRET_TRACE}", headers=theirs).json()
    assert seen["scores"] == {}
    assert locked.client.delete("/api/v1/scores/cross", headers=theirs).status_code == 404
    assert locked.client.delete("/api/v1/scores/cross", headers=mine).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/keys"), ("POST", "/keys"), ("POST", "/projects"),
                                              ("DELETE", "/keys/x"), ("GET", "/ingest")])  # fmt: skip
def test_a_project_key_is_no_admin(locked: House, method: str, path: str) -> None:
    mine = key_for(locked, "default")
    assert locked.client.request(method, f"/api/v1{path}", json={"name": "x"}, headers=mine).status_code == 403


def test_login_gives_a_cookie_that_only_the_page_can_use(locked: House) -> None:
    assert locked.client.post("/api/v1/login", json={"key": "wrong"}).status_code == 401
    reply = locked.client.post("/api/v1/login", json={"key": ADMIN})
    assert reply.json()["admin"] is True
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ADMIN not in cookie
    assert locked.client.get("/api/v1/traces").status_code == 200
    assert locked.client.get("/api/v1/me").json()["authenticated"] is True
    value = locked.client.cookies["spanhouse_session"]
    assert locked.client.post("/api/v1/logout").status_code == 200
    assert locked.client.get("/api/v1/traces").status_code == 401
    locked.client.cookies.set("spanhouse_session", value)
    assert locked.client.get("/api/v1/traces").status_code == 401
    assert locked.client.get("/api/v1/me").json()["authenticated"] is False


def test_a_login_with_a_project_key_stays_in_its_project(locked: House) -> None:
    secret = key_for(locked, "other")["x-api-key"]
    assert locked.client.post("/api/v1/login", json={"key": secret}).json()["project_id"] == "other"
    assert [item["name"] for item in locked.client.get("/api/v1/traces").json()["items"]] == ["secret"]
    assert locked.client.get("/api/v1/traces?project=default").status_code == 403


def test_a_login_that_was_idle_too_long_has_ended() -> None:
    from spanhouse_server.show.logins import IDLE_S, Logins

    now = [0.0]
    logins = Logins(lambda: now[0])
    cookie = logins.open("key")
    now[0] = IDLE_S - 1
    assert logins.key(cookie) == "key"
    now[0] += IDLE_S + 1
    assert logins.key(cookie) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4318", "", "10.0.0.1"]
)
def test_on_loopback_foreign_host_names_are_refused(house: House, host: str) -> None:
    assert house.client.get("/api/v1/traces", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:4318", "127.0.0.1:9", "[::1]:4318", "[::1]", "LOCALHOST."])
def test_on_loopback_local_host_names_are_answered(house: House, host: str) -> None:
    assert house.client.get("/api/v1/traces", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:4318"}, 200),
        ({"origin": "http://127.0.0.1:4318", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_other_sites_change_nothing(house: House, headers: dict[str, str], status: int) -> None:
    assert house.client.post("/api/v1/logout", headers=headers).status_code == status


def test_no_other_site_may_read(house: House) -> None:
    reply = house.client.get("/api/v1/traces", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers
