"""What an application sends and gets of images, sound and files with the OpenAI client."""

from __future__ import annotations

import openai_app
from media_files import address, data, text

#: What is asked, as messages of the chat API: about an image, about a sound, about a paper and in the turn after an image.
SEEN = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": address("image.png", "image/png")}},
        ],
    }
]
HEARD = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What do you hear?"},
            {"type": "input_audio", "input_audio": {"data": text("sound.wav"), "format": "wav"}},
        ],
    }
]
_PAPER = {"filename": "paper.pdf", "file_data": address("paper.pdf", "application/pdf")}
_PICTURE = {"type": "image_url", "image_url": {"url": address("image.png", "image/png"), "detail": "low"}}
FILES = [
    {"role": "user", "content": [{"type": "file", "file": _PAPER}, {"type": "text", "text": "Sum it up."}]},
    {"role": "assistant", "content": "It is about spans."},
    {"role": "user", "content": [{"type": "text", "text": "Does it show this?"}, _PICTURE]},
]


def image() -> None:
    """Ask about an image."""
    openai_app.client().chat.completions.create(model="gpt-4o", messages=SEEN)


def sound() -> None:
    """Ask in speech, and have the answer spoken."""
    openai_app.client().chat.completions.create(
        model="gpt-audio",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=HEARD,
    )


def files() -> None:
    """Ask about a paper and an image in the turn after."""
    openai_app.client().chat.completions.create(model="gpt-4o", messages=FILES)


def responses() -> None:
    """Ask the Responses API about an image and a paper, and have a picture drawn."""
    content = [
        {"type": "input_text", "text": "Draw this anew."},
        {"type": "input_image", "detail": "auto", "image_url": address("image.png", "image/png")},
        {"type": "input_file", "filename": "paper.pdf", "file_data": address("paper.pdf", "application/pdf")},
    ]
    openai_app.client().responses.create(
        model="gpt-4.1",
        input=[{"role": "user", "content": content}],
        tools=[{"type": "image_generation", "output_format": "png"}],
    )


def sound_stream() -> None:
    """Ask in speech, and have the answer spoken as it is made."""
    for _ in openai_app.client().chat.completions.create(
        model="gpt-audio",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "pcm16"},
        messages=HEARD,
        stream=True,
        stream_options={"include_usage": True},
    ):
        pass


def responses_stream() -> None:
    """Have the Responses API draw a picture, and see it before it is finished."""
    for _ in openai_app.client().responses.create(
        model="gpt-4.1",
        input=[{"role": "user", "content": "Draw a small house."}],
        tools=[{"type": "image_generation", "output_format": "png", "partial_images": 1}],
        stream=True,
    ):
        pass


def drawing() -> None:
    """Have an image drawn from words."""
    openai_app.client().images.generate(model="gpt-image-1", prompt="Draw a small house.", quality="low")


def drawing_stream() -> None:
    """Have an image drawn from words, and see it before it is finished."""
    for _ in openai_app.client().images.generate(
        model="gpt-image-1", prompt="Draw a small house.", quality="low", stream=True, partial_images=1
    ):
        pass


def redrawing() -> None:
    """Have an image drawn from another one."""
    openai_app.client().images.edit(
        model="gpt-image-1", image=[("image.png", data("image.png"), "image/png")], prompt="Draw this anew."
    )


def dalle() -> None:
    """Have an image drawn by a model that tells no tokens and answers with an address."""
    openai_app.client().images.generate(model="dall-e-3", prompt="Draw a small house.", size="1024x1024")
