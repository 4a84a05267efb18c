"""What an application sends and gets of images, sound and files with LiteLLM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litellm
from litellm_app import run, set_up  # noqa: F401
from openai_media import FILES, HEARD, SEEN


def _ask(model: str, messages: list[dict[str, Any]], **more: Any) -> None:
    run(lambda: litellm.acompletion(model=model, messages=messages, **more))


def image() -> None:
    """Ask about an image."""
    _ask("openai/gpt-4o", SEEN)


def sound() -> None:
    """Ask in speech, and have the answer spoken."""
    _ask("openai/gpt-audio", HEARD, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"})


def files() -> None:
    """Ask about a paper and an image in the turn after."""
    _ask("openai/gpt-4o", FILES)


def documents() -> None:
    """Ask Anthropic's model about an image and a paper, in OpenAI's words."""
    _ask("anthropic/claude-sonnet-4-5", FILES, max_tokens=100)


def drawing() -> None:
    """Have an image drawn from words."""
    run(lambda: litellm.aimage_generation(model="openai/gpt-image-1", prompt="Draw a small house.", quality="low"))


def redrawing() -> None:
    """Have an image drawn from another one."""

    async def work() -> None:
        with Path("image.png").open("rb") as picture:
            await litellm.aimage_edit(model="openai/gpt-image-1", image=[picture], prompt="Draw this anew.")

    run(work)


def sound_stream() -> None:
    """Ask in speech, and have the answer spoken as it is made."""

    async def work() -> None:
        answer = await litellm.acompletion(
            model="openai/gpt-audio",
            messages=HEARD,
            modalities=["text", "audio"],
            audio={"voice": "alloy", "format": "pcm16"},
            stream=True,
            stream_options={"include_usage": True},
        )
        async for _ in answer:
            pass

    run(work)
