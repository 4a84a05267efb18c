"""An application written with LiteLLM, with its own OpenTelemetry callback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import litellm
import telemetry
from openai_app import TOOL
from own import HEADERS


def set_up() -> Callable[[], None]:
    """Use the plain providers; LiteLLM takes the global ones."""
    finish = telemetry.set_up()
    litellm.callbacks = ["otel"]
    return finish


def run(work: Callable[[], Any]) -> None:
    """Run a scenario and wait until LiteLLM's logging in the background is done."""

    async def both() -> None:
        await work()
        await asyncio.sleep(1)

    asyncio.run(both())


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""

    async def work() -> None:
        await litellm.acompletion(
            model="openai/gpt-4o-mini",
            messages=[
                {"role": "system", "content": "You answer in one sentence."},
                {"role": "user", "content": "Why is the sky blue, grüße 🌍?"},
            ],
            temperature=0.2,
            max_tokens=100,
            user="user-1",
            metadata={"tags": ["golden"]},
            extra_headers=HEADERS,
        )

    run(work)


def stream() -> None:
    """Stream an answer with usage in its last event."""

    async def work() -> None:
        answer = await litellm.acompletion(
            model="openai/gpt-4o-mini",
            messages=[{"role": "user", "content": "Tell me a story about streaming."}],
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"x-fake-ttft-ms": "30"},
        )
        async for _ in answer:
            pass

    run(work)


def tools() -> None:
    """Let the model call a tool and tell it the result."""

    async def work() -> None:
        messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
        first = await litellm.acompletion(model="openai/gpt-4o", messages=messages, tools=[TOOL])
        message = first.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls or []:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"It is 21 degrees in {city}."})
        await litellm.acompletion(model="openai/gpt-4o", messages=messages, tools=[TOOL])

    run(work)


def anthropic_chat() -> None:
    """Ask Anthropic's model twice, so that the first call writes the cache and the second reads it."""
    system = {
        "type": "text",
        "text": "You know everything about spans and traces.",
        "cache_control": {"type": "ephemeral"},
    }

    async def work() -> None:
        for question in ("What is a span?", "What is a trace?"):
            await litellm.acompletion(
                model="anthropic/claude-sonnet-4-5",
                max_tokens=100,
                messages=[{"role": "system", "content": [system]}, {"role": "user", "content": question}],
            )

    run(work)


def embeddings() -> None:
    """Embed two texts."""
    run(lambda: litellm.aembedding(model="openai/text-embedding-3-small", input=["one small text", "and another"]))


def error() -> None:
    """Run into a rate limit."""

    async def work() -> None:
        with contextlib.suppress(litellm.RateLimitError):
            await litellm.acompletion(
                model="openai/gpt-error-429", messages=[{"role": "user", "content": "Am I too fast?"}], num_retries=0
            )

    run(work)
