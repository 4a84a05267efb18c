"""An agent written with Google's Agent Development Kit, which traces itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import telemetry
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.genai import types


def set_up() -> Callable[[], None]:
    """Use the plain providers; the kit takes the global ones."""
    return telemetry.set_up()


def get_weather(city: str) -> dict[str, str]:
    """Tell the weather of a city."""
    return {"result": f"It is 21 degrees in {city}."}


def agent() -> None:
    """Let an agent answer with the help of a tool."""
    helper = LlmAgent(
        name="helper",
        model="gemini-2.5-flash",
        instruction="You know the weather.",
        tools=[get_weather],
        generate_content_config=types.GenerateContentConfig(top_p=0.5, max_output_tokens=200),
    )

    async def work() -> None:
        runner = InMemoryRunner(agent=helper, app_name="golden")
        await runner.session_service.create_session(app_name="golden", user_id="user-1", session_id="session-1")
        question = types.Content(role="user", parts=[types.Part.from_text(text="What is the weather in Paris?")])
        async for _ in runner.run_async(user_id="user-1", session_id="session-1", new_message=question):
            pass

    asyncio.run(work())
