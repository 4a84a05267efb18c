"""A voice agent written with LiveKit, spoken to by text: LiveKit traces its sessions and turns by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import telemetry
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.telemetry import set_tracer_provider
from livekit.plugins import openai
from opentelemetry import trace
from own import HEADERS


def set_up() -> Callable[[], None]:
    """Use the plain providers; LiveKit is told which."""
    finish = telemetry.set_up()
    set_tracer_provider(trace.get_tracer_provider())
    return finish


class Helper(Agent):
    """An assistant with one tool."""

    def __init__(self) -> None:
        """Give it its instructions."""
        super().__init__(instructions="You know the weather.")

    @function_tool
    async def get_weather(self, city: str) -> str:
        """Tell the weather of a city.

        Args:
            city: Where.
        """
        return f"It is 21 degrees in {city}."


def agent() -> None:
    """Let the agent answer with the help of its tool, then answer again without."""

    async def work() -> None:
        model = openai.LLM(model="gpt-4o", temperature=0.2, extra_headers=HEADERS)
        async with AgentSession(llm=model) as session:
            await session.start(Helper())
            await session.run(user_input="What is the weather in Paris?")
            await session.run(user_input="Why is the sky blue?")

    asyncio.run(work())
