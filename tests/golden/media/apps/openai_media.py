"""What an application sends and gets of images, sound and files with the OpenAI client."""

from __future__ import annotations

import openai_app
from media_files import address, text


def image() -> None:
    """Ask about an image."""
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": address("image.png", "image/png")}},
    ]
    openai_app.client().chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])


def sound() -> None:
    """Ask in speech, and have the answer spoken."""
    content = [
        {"type": "text", "text": "What do you hear?"},
        {"type": "input_audio", "input_audio": {"data": text("sound.wav"), "format": "wav"}},
    ]
    openai_app.client().chat.completions.create(
        model="gpt-audio",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        messages=[{"role": "user", "content": content}],
    )


def files() -> None:
    """Ask about a paper and an image in the turn after."""
    paper = {"filename": "paper.pdf", "file_data": address("paper.pdf", "application/pdf")}
    picture = {"type": "image_url", "image_url": {"url": address("image.png", "image/png"), "detail": "low"}}
    openai_app.client().chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "user", "content": [{"type": "file", "file": paper}, {"type": "text", "text": "Sum it up."}]},
            {"role": "assistant", "content": "It is about spans."},
            {"role": "user", "content": [{"type": "text", "text": "Does it show this?"}, picture]},
        ],
    )


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
