"""An agent of pydantic-ai that is shown an image and a paper."""

from __future__ import annotations

from media_files import data
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai_app import set_up  # noqa: F401


def image() -> None:
    """Ask about an image."""
    agent = Agent(OpenAIChatModel("gpt-4o"), name="helper")
    agent.run_sync(["What is this?", BinaryContent(data("image.png"), media_type="image/png")])


def documents() -> None:
    """Ask about an image and a paper."""
    agent = Agent(AnthropicModel("claude-sonnet-4-5"), name="helper")
    agent.run_sync(
        [
            BinaryContent(data("image.png"), media_type="image/png"),
            BinaryContent(data("paper.pdf"), media_type="application/pdf"),
            "Does the paper show this?",
        ]
    )
