"""The proxy inside the server: dates, pages of other sites, projects. What clients see is in `test_proxy_clients`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.provider import FakeProvider
from tests.server import Server, running

ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FakeProvider]]:
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        flags = ["--proxy-upstream", f"openai={base}", "--proxy-upstream", f"anthropic={base}"]
        flags += ["--allowed-origins", "https://app.example"]
        with running(tmp_path_factory.mktemp("mounted"), *flags) as server:
            yield server, provider


def test_one_date_on_every_answer(scene: tuple[Server, FakeProvider]) -> None:
    server, provider = scene
    for url in (f"{server.url}/healthz", f"{server.url}/proxy/openai/v1/models", f"{provider.openai_url}/models"):
        assert len(httpx.get(url).headers.get_list("date")) == 1, url


def test_pages_of_other_sites_are_kept_off(scene: tuple[Server, FakeProvider]) -> None:
    server, provider = scene
    evil, app = {"origin": "https://evil.example"}, {"origin": "https://app.example"}
    otlp = {"content-type": "application/json"}
    chat = {"model": "gpt-4o-mini", "messages": ASKED}
    served = len(provider.served)
    for path, body in (("/proxy/openai/v1/chat/completions", chat), ("/v1/traces", {"resourceSpans": []})):
        for headers in (evil, {"host": "evil.example"}):
            answer = httpx.post(server.url + path, json=body, headers=headers)
            assert (answer.status_code, "error" in answer.json()) == (403, True), (path, headers)
        answer = httpx.post(server.url + path, json=body, headers=app | otlp)
        assert answer.status_code == 200
    assert len(provider.served) == served + 1
    assert answer.headers["access-control-allow-origin"] == app["origin"]
    for path in ("/api/v1/traces", "/healthz", "/metrics", "/proxy/openai/v1/models"):
        assert httpx.get(server.url + path, headers={"host": "evil.example"}).status_code == 403, path
        assert httpx.get(server.url + path, headers=evil).status_code == 403, path
        assert httpx.get(server.url + path).status_code == 200, path


def test_another_projects_key_records_there(tmp_path: Path) -> None:
    admin = {"authorization": f"Bearer {'a' * 24}"}
    env = {"SPANHOUSE_ADMIN_KEY": "a" * 24, "SPANHOUSE_REQUIRE_KEYS": "true"}
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        with running(tmp_path, "--proxy-upstream", f"openai={base}", env=env) as server:
            other = server.call("/api/v1/projects", {"name": "other"}, admin)["id"]
            key = server.call(f"/api/v1/keys?project={other}", {"name": "app"}, admin)["secret"]
            body = {"model": "gpt-4o-mini", "messages": ASKED}
            url = f"{server.url}/proxy/openai/v1/chat/completions"
            assert httpx.post(url, json=body).status_code == 401
            assert httpx.post(url, json=body, headers={"spanhouse-auth": "Bearer sk-unknown"}).status_code == 401
            assert not provider.served
            assert httpx.post(url, json=body, headers={"spanhouse-auth": f"Bearer {key}"}).status_code == 200
            pages = f"{server.url}/proxy/-/pools"
            assert httpx.get(pages, headers={"spanhouse-auth": f"Bearer {key}"}).status_code == 401
            assert httpx.get(pages, headers={"spanhouse-auth": f"Bearer {'a' * 24}"}).json() == {"pools": {}}
            headers = {"authorization": f"Bearer {key}"}
            deadline_s = time.monotonic() + 60
            while not server.call("/api/v1/spans", headers=headers)["items"]:
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
            assert not server.call("/api/v1/spans?project=default", headers=admin)["items"]
