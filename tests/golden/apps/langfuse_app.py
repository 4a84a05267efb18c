"""The OpenAI application under Langfuse's drop-in client, and a pipeline of decorated functions."""

from __future__ import annotations

import os
from collections.abc import Callable

from own import take_endpoint

os.environ |= {
    "LANGFUSE_BASE_URL": take_endpoint(),
    "LANGFUSE_PUBLIC_KEY": "pk-lf-golden",
    "LANGFUSE_SECRET_KEY": "golden",
}

from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import openai  # noqa: F401  importing it patches the client
from openai_app import chat, embeddings, error, responses, stream, tools, vision  # noqa: F401


def set_up() -> Callable[[], None]:
    """Open the client; return what flushes and closes it."""
    langfuse = get_client()
    return langfuse.shutdown


@observe(as_type="retriever")
def search(query: str) -> list[dict[str, object]]:
    """Find documents."""
    return [{"id": "doc-1", "content": "A span is one operation.", "score": 0.9}]


@observe(as_type="tool")
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"It is 21 degrees in {city}."


@observe(as_type="agent", name="helper")
def helper(question: str) -> str:
    """Look up, use a tool, ask a model whose usage is told by hand, as an app with its own client does."""
    search(question)
    weather = get_weather("Paris")
    langfuse = get_client()
    messages = [{"role": "system", "content": weather}, {"role": "user", "content": question}]
    with langfuse.start_as_current_observation(
        as_type="generation",
        name="answer",
        model="gpt-4o-mini",
        input=messages,
        model_parameters={"temperature": 0.2, "max_tokens": 100},
    ) as generation:
        reply = _ask(messages)
        usage = reply["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        thought = usage["completion_tokens_details"]["reasoning_tokens"]
        answer = reply["choices"][0]["message"]["content"]
        generation.update(
            output=answer,
            model=reply["model"],
            usage_details={
                "input": usage["prompt_tokens"] - cached,
                "input_cached_tokens": cached,
                "output": usage["completion_tokens"] - thought,
                "output_reasoning_tokens": thought,
                "total": usage["total_tokens"],
            },
            cost_details={"input": 0.25, "output": 0.5, "total": 0.75},
        )
    return answer


def _ask(messages: list[dict[str, str]]) -> dict[str, object]:
    """Call the provider without any instrumented client."""
    import requests

    reply = requests.post(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json={"model": "gpt-4o-mini", "messages": messages},
        headers={"x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "4"},
        timeout=10,
    )
    return reply.json()


def agent() -> None:
    """Run the pipeline with everything set that a trace can carry."""
    with propagate_attributes(
        user_id="user-1",
        session_id="session-1",
        tags=["golden", "chain"],
        metadata={"plan": "pro", "seats": "3"},
        trace_name="weather question",
    ):
        helper("What is the weather in Paris?")
