"""The proxy inside the server, as a new user meets it: only the base URL of the client changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.server import Server, running

ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FakeProvider]]:
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        flags = ["--proxy-upstream", f"openai={base}", "--proxy-upstream", f"anthropic={base}"]
        flags += ["--allowed-origins", "https://app.example"]
        with running(tmp_path_factory.mktemp("mounted"), *flags) as server:
            yield server, provider


def spans(server: Server, session: str, count: int) -> list[dict[str, Any]]:
    """Wait for a session's spans."""
    deadline_s = time.monotonic() + 60
    while True:
        found = server.call(f"/api/v1/spans?q=session:{session}&limit=50")["items"]
        if len(found) >= count:
            return [server.call(f"/api/v1/traces/{each['trace_id']}/spans/{each['span_id']}") for each in found]
        assert time.monotonic() < deadline_s, f"{len(found)} of {count} spans"
        time.sleep(0.1)


def run_openai(base_url: str, session: str) -> list[Any]:
    """Use the client in every way; return what it gave, without what differs by nature."""
    client = openai.OpenAI(
        base_url=base_url,
        api_key="sk-test",
        max_retries=0,
        default_headers={"X-Session-Id": session, "x-fake-id": "same"},
    )
    seen: list[Any] = []
    chat = client.chat.completions.create(model="gpt-4o-mini", messages=ASKED)
    seen.append(chat.model_dump())
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    seen.append([chunk.model_dump() for chunk in stream])
    seen.append(client.chat.completions.create(model="gpt-4o-mini", messages=ASKED, tools=TOOLS).model_dump())
    seen.append(client.embeddings.create(model="text-embedding-3-small", input=["a", "b"]).model_dump())
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="error-429", messages=ASKED)
    seen.append((str(limited.value), limited.value.response.headers.get("retry-after")))
    with pytest.raises(openai.InternalServerError) as failed:
        client.chat.completions.create(model="error-500", messages=ASKED)
    seen.append(str(failed.value))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).chat.completions.create(model="slow-gpt", messages=ASKED)
    with pytest.raises((openai.APIError, httpx.RemoteProtocolError)) as broken:
        list(client.chat.completions.create(model="broken-gpt", messages=ASKED, stream=True))
    seen.append(type(broken.value))
    return seen


def test_the_openai_client_sees_what_it_would_see_directly(scene: tuple[Server, FakeProvider]) -> None:
    server, provider = scene
    direct = run_openai(provider.openai_url, "direct")
    proxied = run_openai(f"{server.url}/proxy/openai/v1", "through")
    assert proxied == direct
    stored = spans(server, "through", 8)
    by_model = {}
    for span in stored:
        by_model.setdefault(span["request_model"], []).append(span)
    usage = direct[0]["usage"]
    for span in by_model["gpt-4o-mini"][:1]:
        assert span["usage"]["input_tokens"] >= usage["prompt_tokens"] > 0
    chats = [span["usage"] for span in by_model["gpt-4o-mini"]]
    assert {each["input_tokens"] for each in chats} >= {usage["prompt_tokens"]}
    assert all(span["cost"]["status"] == "priced" for span in by_model["gpt-4o-mini"])
    assert by_model["error-429"][0]["status_code"] == "error"
    assert by_model["slow-gpt"][0]["error_type"] == "client_disconnected"
    assert by_model["broken-gpt"][0]["status_code"] == "error"
    assert sum(bool(span["ttft_ms"]) for span in by_model["gpt-4o-mini"]) == 1


def test_the_anthropic_client(scene: tuple[Server, FakeProvider]) -> None:
    server, provider = scene
    answers = []
    for base_url in (provider.openai_url.removesuffix("/v1"), f"{server.url}/proxy/anthropic"):
        client = anthropic.Anthropic(
            base_url=base_url, api_key="sk-ant", max_retries=0,
            default_headers={"X-Session-Id": "ant", "x-fake-id": "same", "x-fake-cached-tokens": "2"},
        )  # fmt: skip
        ask = {"model": "claude-test", "max_tokens": 64, "messages": ASKED}
        message = client.messages.create(**ask)
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
        answers.append((message.model_dump(), text))
    assert answers[0] == answers[1]
    usage = answers[0][0]["usage"]
    for span in spans(server, "ant", 2):
        assert span["usage"]["cache_read_tokens"] == usage["cache_read_input_tokens"] == 2
        assert span["usage"]["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]
        assert span["usage"]["output_tokens"] == usage["output_tokens"]


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
