"""The web page's files: found below any path, cached as they may be, safe to open."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from spanhouse_server.show.faults import install_faults
from spanhouse_server.show.static import install_static


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    web = tmp_path / "web"
    (web / "assets").mkdir(parents=True)
    (web / ".vite").mkdir()
    (web / "index.html").write_text("<!doctype html><html><head><title>page</title></head></html>")
    (web / "theme.js").write_text("1")
    (web / "assets" / "main-abc.js").write_text("console.log(1);" * 200)
    (web / ".vite" / "manifest.json").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    install_faults(app)

    @app.get("/api/v1/thing")
    def thing() -> dict[str, int]:
        return {"a": 1}

    install_static(app, web)
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.mark.parametrize("path", ["/", "/traces", f"/traces/{'a' * 32}", "/setup", "/sessions/s%2F1", "/some/new/page"])
def test_client_routes_give_the_page(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 200
    assert "<title>page" in reply.text
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/", None),
        ("/traces", None),
        ("/alerts/a1", "../"),
        ("/traces/", "../"),
        ("/some/new/page", "../../"),
        ("/sessions/s%2F1", "../"),
    ],
)
def test_a_deeper_page_says_where_its_files_are(client: TestClient, path: str, base: str | None) -> None:
    page = client.get(path).text
    assert ("<base" in page) == (base is not None)
    if base is not None:
        assert f'<head><base href="{base}" />' in page
        assert urljoin(urljoin(f"http://host{path}", base), "./assets/a.js") == "http://host/assets/a.js"


def test_the_page_is_safe_to_open(client: TestClient) -> None:
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("prefix", ["", "/traces", "/a/b/c"])
def test_assets_are_found_below_any_path_and_kept_for_ever(client: TestClient, prefix: str) -> None:
    reply = client.get(f"{prefix}/assets/main-abc.js")
    assert reply.status_code == 200
    assert "immutable" in reply.headers["cache-control"]
    assert reply.headers["content-type"].startswith("text/javascript")
    assert reply.headers["content-encoding"] == "gzip"
    assert client.get(f"{prefix}/theme.js").text == "1"


def test_an_asset_of_an_earlier_build_is_404(client: TestClient) -> None:
    assert client.get("/assets/main-old.js").status_code == 404


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/").headers["etag"]
    assert client.get("/", headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/.vite/manifest.json"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert "secret" not in client.get(path).text
    assert client.get(path).text != "{}"


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api", "/v1/traces", "/proxy/x", "/healthz"])
def test_paths_of_other_rooms_are_never_the_page(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 404
    assert "page" not in reply.text


def test_the_api_keeps_its_405(client: TestClient) -> None:
    assert client.post("/api/v1/thing").status_code == 405
    assert client.post("/api/v1/nothing").status_code == 404


def test_a_missing_build_says_what_to_do(tmp_path: Path) -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    install_static(app, tmp_path / "none")
    reply = TestClient(app).get("/traces")
    assert reply.status_code == 503
    assert "make web" in reply.text
