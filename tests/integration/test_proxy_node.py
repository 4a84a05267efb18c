"""The npm clients of OpenAI and Anthropic through the proxy: only their base URL changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.fakes.provider import FakeProvider
from tests.server import Server, running
from tests.unit.collector.proxy.wire import ProxyProcess

CLIENTS = Path(__file__).parent / "node/clients.mjs"
WEB = Path(__file__).resolve().parents[2] / "web"
#: Calls that reach a provider, of each session.
CALLS = 20


def use_clients(openai_url: str, anthropic_url: str, session: str) -> dict[str, Any]:
    """Use both clients in every way; return what they gave by what was asked."""
    node = shutil.which("node")
    assert node, "the tests of npm clients need Node 20 or newer: `make test` brings it"
    assert (WEB / "node_modules/openai").exists(), "the npm clients are not installed: run `make web`"
    done = subprocess.run(
        [node, str(CLIENTS)],
        env=os.environ | {"OPENAI_URL": openai_url, "ANTHROPIC_URL": anthropic_url, "SESSION": session},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return {name: rest for name, *rest in json.loads(done.stdout)}


def recorded(server: Server, session: str) -> dict[str, list[dict[str, Any]]]:
    """Wait for a session's spans; return them by the model asked for."""
    deadline_s = time.monotonic() + 20
    while len(found := server.call(f"/api/v1/spans?q=session:{session}&limit=100")["items"]) < CALLS:
        assert time.monotonic() < deadline_s, f"{len(found)} of {CALLS} spans"
        time.sleep(0.1)
    by_model: dict[str, list[dict[str, Any]]] = {}
    for each in found:
        span = server.call(f"/api/v1/traces/{each['trace_id']}/spans/{each['span_id']}")
        by_model.setdefault(span["request_model"], []).append(span)
    assert sum(map(len, by_model.values())) == CALLS
    return by_model


def test_the_npm_clients_see_what_they_would_see_directly(tmp_path: Path) -> None:
    with FakeProvider() as provider:
        base = provider.openai_url.removesuffix("/v1")
        flags = ("--proxy-upstream", f"openai={base}", "--proxy-upstream", f"anthropic={base}")
        direct = use_clients(provider.openai_url, base, "direct")
        with running(tmp_path, *flags) as server:
            alone = ProxyProcess(
                tmp_path / "alone", server.url, "--upstream", f"openai={base}", "--upstream", f"anthropic={base}"
            )
            try:
                for door, url in (
                    ("mounted", f"{server.url}/proxy"),
                    ("alone", f"http://127.0.0.1:{alone.start().port}"),
                ):
                    assert use_clients(f"{url}/openai/v1", f"{url}/anthropic", door) == direct, door
                    check(direct, recorded(server, door))
            finally:
                alone.stop()


def check(direct: dict[str, Any], spans: dict[str, list[dict[str, Any]]]) -> None:
    """Check what the clients gave, and what was recorded of it."""
    failed = {name: gave[0] for name, gave in direct.items() if isinstance(gave[0], str)}
    assert failed.keys() == {
        *("error 400", "error 401", "error 429", "error 500", "timeout", "broken", "message error", "message timeout")
    }
    assert (failed["error 429"], direct["error 429"][-1]) == ("RateLimitError", "7")
    assert failed["timeout"] == failed["message timeout"] == "APIConnectionTimeoutError"

    usage = direct["chat"][0]["usage"]
    chats = [span["usage"] for span in spans["gpt-4o-mini"]]
    assert {(each["input_tokens"], each["output_tokens"]) for each in chats} == {
        (gave["usage"]["prompt_tokens"], gave["usage"]["completion_tokens"])
        for gave in (direct["chat"][0], direct["tools"][0])
    }
    assert usage["prompt_tokens"] > 0
    said = direct["responses"][0]["usage"]
    assert {(each["usage"]["input_tokens"], each["usage"]["output_tokens"]) for each in spans["gpt-4.1"]} == {
        (said["input_tokens"], said["output_tokens"])
    }
    told = [direct["message"][0]["usage"], direct["message tools"][0]["usage"]]
    messages = [span for span in spans["claude-haiku-4-5"] if span["operation"] == "chat"]
    assert len(messages) == 3
    assert {(each["usage"]["input_tokens"], each["usage"]["output_tokens"]) for each in messages} == {
        (each["input_tokens"], each["output_tokens"]) for each in told
    }
    for model in ("gpt-4o-mini", "gpt-4.1", "text-embedding-3-small"):
        assert {span["cost"]["status"] for span in spans[model]} == {"priced"}
    assert spans["text-embedding-3-small"][0]["usage"]["input_tokens"] == 2
    errors = {model: spans[model][0]["error_type"] for model in ("slow-gpt", "slow-claude", "gpt-4.1-mini")}
    assert set(errors.values()) == {"client_disconnected"}
    assert spans["error-529"][0]["error_type"] == "overloaded_error"
    assert spans["broken-gpt"][0]["status_code"] == "error"
