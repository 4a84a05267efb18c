"""The proxy alone, sending to a server elsewhere: real clients through it, and the server's budgets enforced by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.server import Server, running
from tests.unit.collector.proxy.wire import ProxyProcess, ask

ADMIN = {"authorization": f"Bearer {'a' * 24}"}
ASKED: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOLS: Any = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}]
WAIT_S = 40


@dataclass
class Scene:
    server: Server
    provider: FakeProvider
    proxy: ProxyProcess

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    @property
    def direct(self) -> str:
        return self.provider.openai_url.removesuffix("/v1")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("alone")
    env = {"SPANHOUSE_ADMIN_KEY": "a" * 24, "SPANHOUSE_REQUIRE_KEYS": "true"}
    with FakeProvider() as provider, running(folder / "house", env=env) as server:
        key = server.call("/api/v1/keys", {"name": "collector"}, ADMIN)["secret"]
        base = provider.openai_url.removesuffix("/v1")
        flags = ("--upstream", f"openai={base}", "--upstream", f"anthropic={base}")
        proxy = ProxyProcess(folder / "proxy", server.url, *flags, env={"SPANHOUSE_API_KEY": key})
        try:
            yield Scene(server, provider, proxy.start())
        finally:
            proxy.stop()


def use_anthropic(base_url: str, session: str) -> list[Any]:
    """Use the client in every way; return what it gave, without what differs by nature."""
    client = anthropic.Anthropic(
        base_url=base_url,
        api_key="sk-ant",
        max_retries=0,
        default_headers={"X-Session-Id": session, "x-fake-id": "same"},
    )
    message: Any = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": ASKED}
    seen: list[Any] = [client.messages.create(**message).model_dump()]
    with client.messages.stream(**message) as stream:
        seen.append([event.model_dump() for event in stream])
    seen.append(client.messages.create(**message, tools=TOOLS).model_dump())
    seen.append(client.messages.count_tokens(model=message["model"], messages=ASKED).model_dump())
    for status in (400, 401, 429, 529):
        with pytest.raises(anthropic.APIStatusError) as failed:
            client.messages.create(**message | {"model": f"error-{status}"})
        error: Any = failed.value.body
        seen.append((type(failed.value), error["error"], failed.value.response.headers.get("retry-after")))
    with pytest.raises(anthropic.APITimeoutError):
        client.with_options(timeout=0.1).messages.create(**message | {"model": "slow-claude"})
    # Which library the client speaks HTTP by, and whose error shows, is its own affair.
    with pytest.raises(Exception, match="incomplete|Connection error") as broken:
        list(client.messages.create(**message | {"model": "broken-claude"}, stream=True))
    seen.append(type(broken.value))
    events = client.messages.create(
        **message | {"model": "claude-sonnet-5"}, stream=True, extra_headers={"x-fake-chunk-ms": "20"}
    )
    seen.append(next(iter(events)).model_dump())
    events.close()
    return seen


def test_the_anthropic_client_sees_what_it_would_see_directly(scene: Scene) -> None:
    direct = use_anthropic(scene.direct, "direct")
    assert use_anthropic(f"{scene.url}/anthropic", "through") == direct
    deadline_s = time.monotonic() + WAIT_S
    while len(found := scene.server.call("/api/v1/spans?q=session:through", headers=ADMIN)["items"]) < 11:
        assert time.monotonic() < deadline_s, f"{len(found)} of 11 spans"
        time.sleep(0.1)
    by_model: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        span = scene.server.call(f"/api/v1/traces/{each['trace_id']}/spans/{each['span_id']}", headers=ADMIN)
        by_model.setdefault(span["request_model"], []).append(span)
    told = [direct[0]["usage"], direct[2]["usage"]]
    chats = [each for each in by_model["claude-haiku-4-5"] if each["operation"] == "chat"]
    assert {(each["usage"]["input_tokens"], each["usage"]["output_tokens"]) for each in chats} == {
        (usage["input_tokens"], usage["output_tokens"]) for usage in told
    }
    assert len(chats) == 3
    assert by_model["error-529"][0]["error_type"] == "overloaded_error"
    for model in ("slow-claude", "claude-sonnet-5"):
        assert by_model[model][0]["error_type"] == "client_disconnected"
    assert by_model["broken-claude"][0]["error_type"] == "connection_broken"


def chat(scene: Scene, user: str) -> Any:
    client = openai.OpenAI(
        base_url=f"{scene.url}/openai/v1", api_key="sk-test", max_retries=3,
        default_headers={"Spanhouse-User-Id": user},
    )  # fmt: skip
    return client.chat.completions.create(model="gpt-4o-mini", messages=ASKED)


def until_refused(scene: Scene, user: str) -> openai.RateLimitError:
    """Go on calling until the spend has come back as a refusal."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        try:
            chat(scene, user)
        except openai.RateLimitError as error:
            return error
        time.sleep(0.3)
    raise AssertionError(f"not refused within {WAIT_S} s\n" + "".join(scene.proxy.output))


def test_a_budget_of_the_server_ends_calls_here(scene: Scene) -> None:
    """Runs last: it stops the server."""
    budget = {"name": "per user", "limit_usd": "0.000001", "period": "month", "per": "user", "enforce": True}
    scene.server.call("/api/v1/budgets", budget | {"q": "user:ann,bob"}, ADMIN)
    error = until_refused(scene, "ann")
    assert error.code == "budget_exceeded"
    assert "The budget 'per user' for 'ann' is used up" in error.message
    served = len(scene.provider.served)
    with pytest.raises(openai.RateLimitError):
        chat(scene, "ann")
    assert len(scene.provider.served) == served, "nothing went to the provider, and the client did not try again"
    chat(scene, "bob")
    chat(scene, "eve")
    scene.server.kill()
    with pytest.raises(openai.RateLimitError):
        chat(scene, "ann")  # what was known holds
    chat(scene, "eve")
    page = ask(scene.proxy.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert page.line.split()[1] == b"200"
