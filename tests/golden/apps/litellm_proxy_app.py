"""LiteLLM's gateway in a process of its own, called by an application with the APIs of OpenAI and Anthropic."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import telemetry
from opentelemetry import propagate, trace
from own import HEADERS
from samples import ANTHROPIC_SYSTEM, ANTHROPIC_TOOL, TOOL

KEY = "sk-golden"


def offered(name: str, model: str, base: str = "OPENAI_BASE_URL") -> dict[str, Any]:
    """Return a model of the gateway: its name for callers, and whose it is."""
    return {
        "model_name": name,
        "litellm_params": {"model": model, "api_key": "none", "api_base": f"os.environ/{base}"},
    }


CONFIG: dict[str, Any] = {
    "model_list": [
        offered("small", "openai/gpt-4o-mini"),
        offered("large", "openai/gpt-4o"),
        offered("thinker", "openai/gpt-5"),
        offered("vectors", "openai/text-embedding-3-small"),
        offered("busy", "openai/gpt-error-429"),
        offered("flaky", "openai/gpt-error-500"),
        offered("claude", "anthropic/claude-sonnet-4-5", "ANTHROPIC_BASE_URL"),
        offered("busy-claude", "anthropic/claude-error-529", "ANTHROPIC_BASE_URL"),
    ],
    "litellm_settings": {"callbacks": ["otel"], "num_retries": 0},
    "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    "general_settings": {"master_key": KEY, "forward_client_headers_to_llm_api": True},
}
QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
STORY = {"role": "user", "content": "Tell me a story about streaming."}


def set_up() -> Callable[[], None]:
    """Let only the gateway tell of its calls."""
    return telemetry.set_up()


@contextlib.contextmanager
def gateway(**settings: dict[str, Any]) -> Iterator[openai.OpenAI]:
    """Run the gateway, with sections of its configuration added to; give a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = Path("litellm.yaml").resolve()
    config.write_text(json.dumps(CONFIG | {section: CONFIG[section] | added for section, added in settings.items()}))
    environ = os.environ | {"OTEL_EXPORTER": "otlp_http", "OTEL_ENDPOINT": os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]}
    command = [
        Path(sys.executable).with_name("litellm"),
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with subprocess.Popen(command, env=environ, stdout=sys.stderr) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(900):
                with contextlib.suppress(httpx.TransportError):
                    if httpx.get(url + "/health/liveliness").status_code == 200:
                        break
                time.sleep(0.1)
            yield openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
            time.sleep(7)  # spans are sent every five seconds
        finally:
            process.terminate()


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""
    with gateway() as client:
        client.chat.completions.create(
            model="small",
            messages=[
                {"role": "system", "content": "You answer in one sentence."},
                {"role": "user", "content": "Why is the sky blue, grüße 🌍?"},
            ],
            temperature=0.2,
            max_tokens=100,
            user="user-1",
            extra_headers=HEADERS,
        )


def stream() -> None:
    """Stream an answer with usage in its last event."""
    with gateway() as client:
        for _ in client.chat.completions.create(
            model="small",
            messages=[STORY],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-fake-ttft-ms": "30"},
        ):
            pass


def stream_without_usage() -> None:
    """Stream an answer the way most do: without asking for usage."""
    with gateway() as client:
        for _ in client.chat.completions.create(model="small", messages=[STORY], stream=True):
            pass


def tools() -> None:
    """Let the model call a tool and tell it the result."""
    messages: list[Any] = [QUESTION]
    with gateway() as client:
        first = client.chat.completions.create(model="large", messages=messages, tools=[TOOL])
        message = first.choices[0].message
        messages.append({"role": "assistant", "tool_calls": [call.model_dump() for call in message.tool_calls or []]})
        for call in message.tool_calls or []:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"It is 21 degrees in {city}."})
        client.chat.completions.create(model="large", messages=messages, tools=[TOOL])


def embeddings() -> None:
    """Embed two texts."""
    with gateway() as client:
        client.embeddings.create(model="vectors", input=["one small text", "and another"])


def responses() -> None:
    """Use the Responses API."""
    with gateway() as client:
        client.responses.create(
            model="thinker",
            instructions="You answer in one sentence.",
            input="What is a span?",
            extra_headers={"x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "6"},
        )


def responses_stream() -> None:
    """Stream an answer of the Responses API."""
    with gateway() as client:
        for _ in client.responses.create(
            model="thinker", input="What is a span?", stream=True, extra_headers={"x-fake-ttft-ms": "30"}
        ):
            pass


def anthropic_chat() -> None:
    """Use Anthropic's API twice, so that the first call writes the cache and the second reads it."""
    with gateway() as client:
        for question in ("What is a span?", "What is a trace?"):
            _message(client, system=ANTHROPIC_SYSTEM, messages=[{"role": "user", "content": question}])


def anthropic_stream() -> None:
    """Stream an answer of Anthropic's API."""
    with gateway() as client:
        _message(client, messages=[STORY], stream=True)


def anthropic_tools() -> None:
    """Let the model call a tool and tell it the result, in Anthropic's words."""
    with gateway() as client:
        content = json.loads(_message(client, messages=[QUESTION], tools=[ANTHROPIC_TOOL]))["content"]
        results = [
            {"type": "tool_result", "tool_use_id": block["id"], "content": f"It is 21 degrees in {city}."}
            for block in content
            if block["type"] == "tool_use"
            for city in [block["input"]["city"]]
        ]
        messages = [QUESTION, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
        _message(client, messages=messages, tools=[ANTHROPIC_TOOL])


def anthropic_error() -> None:
    """Run into an overloaded provider behind Anthropic's API."""
    with gateway() as client, contextlib.suppress(httpx.HTTPStatusError):
        _message(client, model="busy-claude", messages=[{"role": "user", "content": "Are you there?"}])


def error() -> None:
    """Run into a rate limit."""
    with gateway() as client, contextlib.suppress(openai.RateLimitError):
        client.chat.completions.create(model="busy", messages=[{"role": "user", "content": "Am I too fast?"}])


def fallback() -> None:
    """Ask a model that fails; the gateway tries it again, then lets another answer."""
    settings = {"num_retries": 1, "fallbacks": [{"flaky": ["small"]}]}
    with gateway(router_settings=settings) as client:
        client.chat.completions.create(model="flaky", messages=[{"role": "user", "content": "Can you hear me?"}])


def cache_hit() -> None:
    """Ask the same question twice; the second time the gateway answers from its own cache."""
    settings = {"cache": True, "cache_params": {"type": "local"}}
    with gateway(litellm_settings=settings) as client:
        for _ in range(2):
            client.chat.completions.create(model="small", messages=[{"role": "user", "content": "What is new?"}])
            time.sleep(1)  # answers are kept after they were given


def anthropic_bridged() -> None:
    """Ask a model of OpenAI's by Anthropic's API, twice: the second answer is streamed."""
    with gateway() as client:
        for stream in (False, True):
            _message(client, "small", messages=[STORY], stream=stream)


def responses_bridged() -> None:
    """Ask a model of Anthropic's by the Responses API, twice: the second answer is streamed."""
    with gateway() as client:
        client.responses.create(model="claude", input="What is a span?")
        for _ in client.responses.create(model="claude", input="What is a span?", stream=True):
            pass


def watched(headers: dict[str, str] | None = None) -> None:
    """Ask with a client that tells of its calls, too: in a trace of its own, as the gateway knows nothing of it."""
    telemetry.instrument("genai_openai")
    with gateway() as client:
        messages = [{"role": "user", "content": "Who counts this?"}]
        client.chat.completions.create(model="small", messages=messages, extra_headers=HEADERS | (headers or {}))


def watched_joined() -> None:
    """Ask with such a client, and tell the gateway which trace this is."""
    with trace.get_tracer("golden").start_as_current_span("answer"):
        headers: dict[str, str] = {}
        propagate.inject(headers)
        watched(headers)


def _message(client: openai.OpenAI, model: str = "claude", **asked: Any) -> str:
    """Call Anthropic's API of the gateway as its command-line clients do; return the body."""
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    body = {"model": model, "max_tokens": 100} | asked
    answer = httpx.post(str(client.base_url.join("/v1/messages")), headers=headers, json=body, timeout=60)
    answer.raise_for_status()
    return answer.text
