"""An agent of Google's Agent Development Kit that is shown an image and a sound, and one that draws."""

from __future__ import annotations

import asyncio

from adk_app import set_up  # noqa: F401
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.genai import types
from media_files import data


def _ask(helper: LlmAgent, text: str, *files: tuple[str, str]) -> None:
    shown = [types.Part.from_bytes(data=data(name), mime_type=kind) for name, kind in files]
    question = types.Content(role="user", parts=[types.Part.from_text(text=text), *shown])

    async def work() -> None:
        runner = InMemoryRunner(agent=helper, app_name="golden")
        await runner.session_service.create_session(app_name="golden", user_id="user-1", session_id="session-1")
        async for _ in runner.run_async(user_id="user-1", session_id="session-1", new_message=question):
            pass

    asyncio.run(work())


def sound() -> None:
    """Ask about an image and a sound."""
    helper = LlmAgent(name="helper", model="gemini-2.5-flash")
    _ask(helper, "Do these belong together?", ("image.png", "image/png"), ("sound.wav", "audio/wav"))


def parts() -> None:
    """Have a picture drawn anew."""
    config = types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"])
    helper = LlmAgent(name="helper", model="gemini-2.5-flash-image", generate_content_config=config)
    _ask(helper, "Draw this anew.", ("image.png", "image/png"))
