"""An agent written with Microsoft's Agent Framework, which traces itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import telemetry
from agent_framework.observability import enable_instrumentation
from agent_framework.openai import OpenAIChatCompletionClient


def set_up() -> Callable[[], None]:
    """Use the plain providers; the framework takes the global ones."""
    finish = telemetry.set_up()
    enable_instrumentation(enable_sensitive_data=True)
    return finish


def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"It is 21 degrees in {city}."


def agent() -> None:
    """Let an agent answer with the help of a tool."""
    client = OpenAIChatCompletionClient(model="gpt-4o")
    helper = client.as_agent(name="helper", instructions="You know the weather.", tools=[get_weather])
    asyncio.run(helper.run("What is the weather in Paris?"))
