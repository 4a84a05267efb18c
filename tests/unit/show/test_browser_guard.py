"""What a page somewhere on the web can make its visitor's browser do to a server without keys: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError
from spanhouse_server.show.security import BrowserGuard

APP = "https://app.example:8443"


def guarded(folder: Path, **settings: Any) -> TestClient:
    """Return a client of a guarded application that answers everything."""
    loaded = Settings.load({"data_dir": folder, "allowed_origins": APP, **settings}, env={})
    app = BrowserGuard(PlainTextResponse("ok"), loaded, ("/v1/", "/otel/v1/"))
    return TestClient(app, base_url="http://127.0.0.1:4318")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/traces", {}, 200),
        ("POST", "/v1/traces", {"origin": "https://evil.example"}, 403),
        ("POST", "/v1/traces", {"origin": "null"}, 403),
        ("POST", "/v1/traces", {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}, 403),
        ("POST", "/v1/traces", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", "/v1/traces", {"host": "evil.example:4318", "origin": "http://evil.example:4318"}, 403),
        ("POST", "/v1/traces", {"host": "app.example:8443"}, 200),
        ("POST", "/v1/traces", {"origin": APP, "sec-fetch-site": "cross-site"}, 200),
        ("POST", "/otel/v1/traces", {"origin": APP}, 200),
        ("POST", "/api/v1/scores", {"origin": APP}, 403),
        ("GET", "/metrics", {}, 200),
        ("GET", "/metrics", {"host": "rebound.example"}, 403),
        ("GET", "/metrics", {"host": "[::1]:4318"}, 200),
        ("GET", "/", {"origin": "https://evil.example"}, 403),
        # A script of the page itself, behind a local reverse proxy that sets Host.
        ("GET", "/assets/page.js", {"origin": "http://localhost:9999", "sec-fetch-site": "same-origin"}, 200),
        ("GET", "/assets/page.js", {"origin": "http://localhost:9999", "sec-fetch-site": "same-site"}, 403),
        ("GET", "/", {"host": "rebound.example", "sec-fetch-site": "same-origin"}, 403),
        # A link that somebody follows from another site.
        ("GET", "/traces/abc", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ("OPTIONS", "/v1/traces", {"origin": "https://evil.example"}, 403),
    ],
)
def test_without_keys(tmp_path: Path, method: str, path: str, headers: dict[str, str], status: int) -> None:
    reply = guarded(tmp_path).request(method, path, headers=headers)
    assert reply.status_code == status
    if status == 403:
        assert set(reply.json()["error"]) == {"code", "message", "hint"}
        assert "access-control-allow-origin" not in reply.headers


def test_with_keys_only_the_keys_count(tmp_path: Path) -> None:
    client = guarded(tmp_path, require_keys="true", admin_key="k" * 24)
    evil = {"origin": "https://evil.example", "host": "any.example"}
    assert client.post("/v1/traces", headers=evil).status_code == 200
    told = client.post("/v1/traces", headers={"origin": APP})
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (200, APP)


def test_a_listed_page_is_told_that_it_may_send(tmp_path: Path) -> None:
    asked = {
        "origin": APP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
        "access-control-request-private-network": "true",
    }
    reply = guarded(tmp_path).options("/v1/traces", headers=asked)
    assert reply.status_code == 204
    told = {name: value for name, value in reply.headers.items() if name.startswith("access-control-allow")}
    assert told == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type,authorization",
        "access-control-allow-private-network": "true",
    }
    assert "access-control-allow-origin" not in guarded(tmp_path).options("/api/v1/traces", headers=asked).headers


@pytest.mark.parametrize("origins", ["*", "app.example", "https://a.example/path", "https://user@a.example"])
def test_what_is_no_origin_is_refused_at_the_start(tmp_path: Path, origins: str) -> None:
    with pytest.raises(ConfigError, match="no web origin"):
        guarded(tmp_path, allowed_origins=origins)
