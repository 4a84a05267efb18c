"""An agent written with Strands, which traces itself; it answers twice, so that its usage accumulates."""

from __future__ import annotations

from collections.abc import Callable

import telemetry
from strands import Agent, tool
from strands.models.openai import OpenAIModel


def set_up() -> Callable[[], None]:
    """Use the plain providers; Strands takes the global ones."""
    return telemetry.set_up()


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
        city: Where.
    """
    return f"It is 21 degrees in {city}."


def agent() -> None:
    """Let an agent answer with the help of a tool, then answer again without."""
    helper = Agent(
        model=OpenAIModel(model_id="gpt-4o", params={"temperature": 0.2}),
        tools=[get_weather],
        name="helper",
        system_prompt="You know the weather.",
        callback_handler=None,
        trace_attributes={"session.id": "session-1", "user.id": "user-1"},
    )
    helper("What is the weather in Paris?")
    helper("Why is the sky blue?")
