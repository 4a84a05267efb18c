"""What an application does with the OpenAI client: the calls behind the golden payloads."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import openai
from samples import PIXEL, TOOL


def client() -> openai.OpenAI:
    """Return a client for the provider that the environment names."""
    return openai.OpenAI(max_retries=0)


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""
    client().chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "You answer in one sentence."},
            {"role": "user", "content": "Why is the sky blue, grüße 🌍?"},
        ],
        temperature=0.2,
        max_tokens=100,
        extra_headers={"x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4"},
    )


def stream() -> None:
    """Stream an answer with usage in its last event."""
    answer = client().chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Tell me a story about streaming."}],
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"x-fake-ttft-ms": "30"},
    )
    for _ in answer:
        pass


def stream_without_usage() -> None:
    """Stream an answer the way most do: without asking for usage."""
    for _ in client().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Count to three."}], stream=True
    ):
        pass


def tools() -> None:
    """Let the model call a tool and tell it the result."""
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client().chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])
    message = first.choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    for call in message.tool_calls or []:
        city = json.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"It is 21 degrees in {city}."})
    client().chat.completions.create(model="gpt-4o", messages=messages, tools=[TOOL])


def vision() -> None:
    """Send an image beside the text."""
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    client().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])


def embeddings() -> None:
    """Embed two texts."""
    client().embeddings.create(model="text-embedding-3-small", input=["one small text", "and another"])


def error() -> None:
    """Run into a rate limit."""
    with contextlib.suppress(openai.RateLimitError):
        client().chat.completions.create(
            model="gpt-error-429", messages=[{"role": "user", "content": "Am I too fast?"}]
        )


def responses() -> None:
    """Use the Responses API."""
    client().responses.create(
        model="gpt-5",
        instructions="You answer in one sentence.",
        input="What is a span?",
        extra_headers={"x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "6"},
    )
