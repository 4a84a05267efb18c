"""A budget that is used up ends calls through the proxy, for whom it is meant and in the words of the API called."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.fakes.provider import FakeProvider
from tests.server import Server, running

ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]
ADMIN = {"authorization": f"Bearer {'a' * 24}"}
WAIT_S = 40


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, FakeProvider]]:
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        names = ("openai", "anthropic", "gemini", "cohere", "ollama")
        flags = [part for name in names for part in ("--proxy-upstream", f"{name}={base}")]
        env = {"SPANHOUSE_ADMIN_KEY": "a" * 24, "SPANHOUSE_REQUIRE_KEYS": "true"}
        with running(tmp_path_factory.mktemp("budgets"), *flags, env=env) as server:
            yield server, provider


def budget(server: Server, **more: Any) -> dict[str, Any]:
    given = {"name": "team", "limit_usd": "0.000001", "period": "rolling", "rolling_hours": 24, "enforce": True}
    return server.call("/api/v1/budgets", given | more, ADMIN)


def key_of(server: Server, name: str) -> tuple[str, str]:
    made = server.call("/api/v1/keys", {"name": name}, ADMIN)
    return made["id"], made["secret"]


def client(server: Server, secret: str, **headers: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server.url}/proxy/openai/v1", api_key="sk-test", max_retries=5,
        default_headers={"Spanhouse-Auth": f"Bearer {secret}", **headers},
    )  # fmt: skip


def ask(asker: openai.OpenAI) -> Any:
    return asker.chat.completions.create(model="gpt-4o-mini", messages=ASKED)


def until_refused(asker: openai.OpenAI) -> openai.RateLimitError:
    """Go on asking until the spend has come in."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        try:
            ask(asker)
        except openai.RateLimitError as error:
            return error
        time.sleep(0.3)
    raise AssertionError(f"not refused within {WAIT_S} s")


def until_settled(server: Server, made: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Return what the budget says was used, and what the spend under its filter is, once both stand still."""
    q = urllib.parse.quote(made["q"])
    before: Any = None
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        state = server.call(f"/api/v1/budgets/{made['id']}", headers=ADMIN)["states"][0]
        total = server.call(f"/api/v1/cost?q={q}", headers=ADMIN)["total"]
        now = Decimal(state["used_usd"]), Decimal(total["cost_usd"])
        if now == before:
            assert state["used_up"]
            return now
        before = now
        time.sleep(0.5)
    raise AssertionError("spend goes on")


def test_a_budget_of_one_key_ends_its_calls_and_no_others(scene: tuple[Server, FakeProvider]) -> None:
    server, provider = scene
    key_id, secret = key_of(server, "app")
    _, other = key_of(server, "other")
    made = budget(server, name="app's", key=key_id)
    error = until_refused(client(server, secret))
    assert error.code == "budget_exceeded"
    assert error.type == "insufficient_quota"
    assert '"app\'s" is used up' in error.message
    headers = error.response.headers
    assert 0 < int(headers["retry-after"]) <= 86_400
    assert (headers["x-should-retry"], headers["spanhouse-error"]) == ("false", "budget_exceeded")
    served = len(provider.served)
    for _ in range(3):
        with pytest.raises(openai.RateLimitError):
            ask(client(server, secret))
    assert len(provider.served) == served, "nothing went to the provider, and the client did not try again"
    assert client(server, secret).models.list().data, "what is not billed passes"
    ask(client(server, other))
    used, spent = until_settled(server, made)
    assert used == spent > Decimal(made["limit_usd"])
    changed = {"name": "app's", "limit_usd": "1000", "period": "month", "enforce": True, "key": key_id}
    server.call(f"/api/v1/budgets/{made['id']}", changed, ADMIN, "PUT")
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            ask(client(server, secret))
            break
        except openai.RateLimitError:
            assert time.monotonic() < deadline_s, "a raised budget opens again"
            time.sleep(0.3)


def test_a_budget_per_user_in_the_words_of_each_api(scene: tuple[Server, FakeProvider]) -> None:
    server, _ = scene
    _, secret = key_of(server, "users")
    made = budget(server, name="users", per="user", limit_usd="0.000001")
    until_refused(client(server, secret, **{"Spanhouse-User-Id": "ann"}))
    ask(client(server, secret, **{"Spanhouse-User-Id": "bob-first"}))
    headers = {"Spanhouse-Auth": f"Bearer {secret}", "Spanhouse-User-Id": "ann"}
    ant = anthropic.Anthropic(
        base_url=f"{server.url}/proxy/anthropic", api_key="sk-ant", max_retries=5, default_headers=headers
    )
    with pytest.raises(anthropic.RateLimitError) as limited:
        ant.messages.create(model="claude-test", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    body: Any = limited.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "rate_limit_error")
    assert "'ann'" in body["error"]["message"]
    for path, read in (
        (
            "gemini/v1beta/models/gemini-2.5-flash:generateContent",
            lambda it: (it["error"]["code"], it["error"]["status"]),
        ),
        ("cohere/v2/chat", lambda it: it["message"].startswith("The budget")),
        ("ollama/api/chat", lambda it: it["error"].startswith("The budget")),
    ):
        reply = httpx.post(f"{server.url}/proxy/{path}", json={"model": "x"}, headers=headers)
        assert reply.status_code == 429
        assert read(reply.json()) in ((429, "RESOURCE_EXHAUSTED"), True)
    server.call(f"/api/v1/budgets/{made['id']}", None, ADMIN, "DELETE")
    refused = server.call("/api/v1/spans?q=error:budget_exceeded", headers=ADMIN)["items"]
    assert refused, "refused calls are on record"
