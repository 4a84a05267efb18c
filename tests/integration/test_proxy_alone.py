"""The proxy alone, sending to a server elsewhere: the server's budgets enforced by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.server import Server, running
from tests.unit.collector.proxy.wire import ProxyProcess, ask

ADMIN = {"authorization": f"Bearer {'a' * 24}"}
ASKED: Any = [{"role": "user", "content": "What is the weather in Paris?"}]
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
