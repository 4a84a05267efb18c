"""What an application does with the Anthropic client."""

from __future__ import annotations

import contextlib
from typing import Any

import anthropic
from samples import ANTHROPIC_SYSTEM, ANTHROPIC_TOOL

MODEL = "claude-sonnet-4-5"


def client() -> anthropic.Anthropic:
    """Return a client for the provider that the environment names."""
    return anthropic.Anthropic(max_retries=0)


def chat() -> None:
    """Ask twice, so that the first call writes the cache and the second reads it."""
    for question in ("What is a span?", "What is a trace?"):
        client().messages.create(
            model=MODEL, max_tokens=100, system=ANTHROPIC_SYSTEM, messages=[{"role": "user", "content": question}]
        )


def stream() -> None:
    """Stream an answer."""
    question = {"role": "user", "content": "Tell me a story about streaming."}
    for _ in client().messages.create(model=MODEL, max_tokens=100, messages=[question], stream=True):
        pass


def thinking() -> None:
    """Let the model think first."""
    client().messages.create(
        model=MODEL,
        max_tokens=4000,
        thinking={"type": "enabled", "budget_tokens": 2000},
        messages=[{"role": "user", "content": "Think about seven."}],
    )


def tools() -> None:
    """Let the model call a tool and tell it the result."""
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client().messages.create(model=MODEL, max_tokens=100, messages=messages, tools=[ANTHROPIC_TOOL])
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": f"It is 21 degrees in {block.input['city']}."}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages.append({"role": "user", "content": results})
    client().messages.create(model=MODEL, max_tokens=100, messages=messages, tools=[ANTHROPIC_TOOL])


def error() -> None:
    """Run into an overloaded provider."""
    with contextlib.suppress(anthropic.APIStatusError):
        client().messages.create(
            model="claude-error-529", max_tokens=100, messages=[{"role": "user", "content": "Are you there?"}]
        )
