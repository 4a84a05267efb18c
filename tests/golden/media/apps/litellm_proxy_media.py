"""The same through LiteLLM's gateway."""

from __future__ import annotations

from litellm_proxy_app import CONFIG, gateway, offered, set_up  # noqa: F401
from media_files import data
from openai_media import FILES, HEARD, SEEN

CONFIG["model_list"] += [
    offered("speaker", "openai/gpt-audio"),
    offered("painter", "openai/gpt-image-1"),
]


def image() -> None:
    """Ask about an image."""
    with gateway() as client:
        client.chat.completions.create(model="large", messages=SEEN)


def sound() -> None:
    """Ask in speech, and have the answer spoken."""
    with gateway() as client:
        client.chat.completions.create(
            model="speaker", messages=HEARD, modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}
        )


def files() -> None:
    """Ask about a paper and an image in the turn after."""
    with gateway() as client:
        client.chat.completions.create(model="large", messages=FILES)


def drawing() -> None:
    """Have an image drawn from words."""
    with gateway() as client:
        client.images.generate(model="painter", prompt="Draw a small house.", quality="low")


def redrawing() -> None:
    """Have an image drawn from another one."""
    with gateway() as client:
        picture = ("image.png", data("image.png"), "image/png")
        client.images.edit(model="painter", image=[picture], prompt="Draw this anew.")
