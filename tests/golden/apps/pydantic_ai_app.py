"""An application written with pydantic-ai, instrumented by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import telemetry
from openai import AsyncOpenAI
from own import HEADERS
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from samples import PIXEL


def set_up() -> Callable[[], None]:
    """Use the plain providers; the format's version comes from the environment, the default where it is unset."""
    finish = telemetry.set_up()
    version = os.environ.get("GOLDEN_FORMAT")
    Agent.instrument_all(InstrumentationSettings(version=int(version)) if version else InstrumentationSettings())
    return finish


def chat() -> None:
    """Ask one question; half of the input comes from the cache, some output is reasoning."""
    agent = Agent(OpenAIChatModel("gpt-4o-mini"), system_prompt="You answer in one sentence.", name="helper")
    agent.run_sync(
        "Why is the sky blue, grüße 🌍?",
        model_settings={"temperature": 0.2, "max_tokens": 100, "extra_headers": HEADERS},
        conversation_id="session-1",
        metadata={"plan": "pro"},
    )


def tools() -> None:
    """Let an agent answer with the help of a tool."""
    agent = Agent(OpenAIChatModel("gpt-4o"), name="helper", instructions="You know the weather.")

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"It is 21 degrees in {city}."

    agent.run_sync("What is the weather in Paris?")


def stream() -> None:
    """Stream an answer."""
    agent = Agent(OpenAIChatModel("gpt-4o-mini"), name="helper")
    settings = {"extra_headers": {"x-fake-ttft-ms": "30"}}
    with agent.run_stream_sync("Tell me a story about streaming.", model_settings=settings) as result:
        result.get_output()


def vision() -> None:
    """Send an image beside the text."""
    agent = Agent(OpenAIChatModel("gpt-4o"), name="helper")
    agent.run_sync(["What is this?", BinaryContent.from_data_uri(PIXEL)])


def anthropic_thinking() -> None:
    """Let the model think first."""
    agent = Agent(AnthropicModel("claude-sonnet-4-5"), name="helper")
    agent.run_sync(
        "Think about seven.",
        model_settings={"max_tokens": 4000, "anthropic_thinking": {"type": "enabled", "budget_tokens": 2000}},
    )


def anthropic_chat() -> None:
    """Ask twice, so that the first call writes the cache and the second reads it."""
    for question in ("What is a span?", "What is a trace?"):
        agent = Agent(AnthropicModel("claude-sonnet-4-5"), system_prompt="You know everything about spans and traces.")
        agent.run_sync(question, model_settings={"anthropic_cache_instructions": True, "max_tokens": 100})


def error() -> None:
    """Run into a rate limit."""
    once = OpenAIProvider(openai_client=AsyncOpenAI(max_retries=0))
    with contextlib.suppress(ModelHTTPError):
        Agent(OpenAIChatModel("gpt-error-429", provider=once), name="helper").run_sync("Am I too fast?")
