"""The Python clients of OpenAI and Anthropic through both doors: what they see is what they would see directly.

And what the server has of it: every call once, with the tokens that were served, and their price.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.provider import FakeProvider
from tests.integration.proxy_clients import (
    ANTHROPIC_CALLS,
    OPENAI_CALLS,
    STATUSES,
    Seen,
    use_anthropic,
    use_openai,
)
from tests.server import Server, running
from tests.unit.collector.proxy.wire import ProxyProcess

WAIT_S = 60
USES: dict[str, Callable[[str, str], Seen]] = {"openai": use_openai, "anthropic": use_anthropic}


@dataclass
class Scene:
    """``urls`` are the base URLs of the providers by client and door; ``direct`` is what clients saw without one."""

    server: Server
    urls: dict[tuple[str, str], str]
    direct: dict[str, Seen]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("clients")
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        names = (f"openai={base}", f"anthropic={base}")
        mounted = [word for name in names for word in ("--proxy-upstream", name)]
        alone = [word for name in names for word in ("--upstream", name)]
        with running(folder / "house", *mounted) as server:
            proxy = ProxyProcess(folder / "proxy", server.url, *alone)
            try:
                own = f"http://127.0.0.1:{proxy.start().port}"
                urls = {
                    ("openai", "mounted"): f"{server.url}/proxy/openai/v1",
                    ("openai", "alone"): f"{own}/openai/v1",
                    ("anthropic", "mounted"): f"{server.url}/proxy/anthropic",
                    ("anthropic", "alone"): f"{own}/anthropic",
                }
                direct = {
                    "openai": use_openai(provider.openai_url, "direct"),
                    "anthropic": use_anthropic(base, "direct"),
                }
                yield Scene(server, urls, direct)
            finally:
                proxy.stop()


def recorded(server: Server, session: str, count: int) -> dict[str, list[dict[str, Any]]]:
    """Wait for a session's spans; return them by the model asked for."""
    deadline_s = time.monotonic() + WAIT_S
    while len(found := server.call(f"/api/v1/spans?q=session:{session}&limit=100")["items"]) < count:
        assert time.monotonic() < deadline_s, f"{len(found)} of {count} spans"
        time.sleep(0.1)
    assert len(found) == count
    by_model: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        span = server.call(f"/api/v1/traces/{each['trace_id']}/spans/{each['span_id']}")
        by_model.setdefault(span["request_model"], []).append(span)
    return by_model


def tokens(span: dict[str, Any]) -> tuple[int, int]:
    return span["usage"]["input_tokens"], span["usage"]["output_tokens"]


@pytest.mark.parametrize("door", ["mounted", "alone"])
@pytest.mark.parametrize("name", USES)
def test_a_client_sees_what_it_would_see_directly(scene: Scene, name: str, door: str) -> None:
    session = f"{name}-{door}"
    seen = USES[name](scene.urls[name, door], session)
    direct = scene.direct[name]
    assert seen.keys() == direct.keys()
    for what, given in direct.items():
        assert seen[what] == given, what
    (check_openai if name == "openai" else check_anthropic)(direct, recorded(scene.server, session, CALLS[name]))


CALLS = {"openai": OPENAI_CALLS, "anthropic": ANTHROPIC_CALLS}


def check_errors(seen: Seen, spans: dict[str, list[dict[str, Any]]], module: str) -> None:
    """Check that the clients raised errors of their own, and that the calls are recorded as failed."""
    for status in STATUSES:
        error = seen[f"error {status}"]
        assert (error[0], error[2]) == (module, status)
        assert all(span["status_code"] == "error" for span in spans[f"error-{status}"])
    assert [seen[f"error {status}"][1] for status in (400, 401, 403, 404, 409, 422, 429, 500)] == [
        "BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError", "ConflictError",
        "UnprocessableEntityError", "RateLimitError", "InternalServerError",
    ]  # fmt: skip
    assert seen["error 429"][4]["retry-after"] == "7"
    assert seen["timeout"][1] == "APITimeoutError"
    assert isinstance(seen["broken"][1], str)


def check_openai(seen: Seen, spans: dict[str, list[dict[str, Any]]]) -> None:
    check_errors(seen, spans, "openai")
    assert "21 degrees" in str(seen["tools answered"])
    assert seen["cancelled"] == "cancelled"
    told = [
        seen["chat"]["usage"],
        seen["tools answered"]["usage"],
        seen["tools stream"][-1]["usage"],
        seen["raw"][2]["usage"],
    ]
    chats = spans["gpt-4o-mini"]
    assert len(chats) == 6
    assert {tokens(span) for span in chats} == {(each["prompt_tokens"], each["completion_tokens"]) for each in told}
    assert sum(bool(span["ttft_ms"]) for span in chats) == 2
    said = seen["responses"]["usage"]
    assert [tokens(span) for span in spans["gpt-4.1"]] == [(said["input_tokens"], said["output_tokens"])] * 2
    assert sorted(span["usage"]["input_tokens"] for span in spans["text-embedding-3-small"]) == [1, 2]
    for model in ("gpt-4o-mini", "gpt-4.1", "text-embedding-3-small"):
        assert {span["cost"]["status"] for span in spans[model]} == {"priced"}
    assert len(spans["error-500"]) == 3, "one call, and one with the client's own second try"
    for model in ("slow-gpt", "slow-o4", "gpt-4.1-mini"):
        assert spans[model][0]["error_type"] == "client_disconnected"
    assert spans["broken-gpt"][0]["error_type"] == "connection_broken"


def check_anthropic(seen: Seen, spans: dict[str, list[dict[str, Any]]]) -> None:
    check_errors(seen, spans, "anthropic")
    assert "21 degrees" in str(seen["tools answered"])
    told = [seen[each]["usage"] for each in ("message", "tools", "tools answered")]
    chats = [span for span in spans["claude-haiku-4-5"] if span["operation"] == "chat"]
    assert len(chats) == 5
    assert {tokens(span) for span in chats} == {
        (each["input_tokens"] + each["cache_read_input_tokens"], each["output_tokens"]) for each in told
    }
    assert {span["usage"]["cache_read_tokens"] for span in chats} == {2}
    assert {span["cost"]["status"] for span in chats} == {"priced"}
    assert spans["error-529"][0]["error_type"] == "overloaded_error"
    for model in ("slow-claude", "claude-sonnet-5"):
        assert spans[model][0]["error_type"] == "client_disconnected"
    assert spans["broken-claude"][0]["error_type"] == "connection_broken"
