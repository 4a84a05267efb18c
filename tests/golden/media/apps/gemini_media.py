"""What an application sends and gets of images and sound with Google's client."""

from __future__ import annotations

import gemini_app
from google.genai import types
from media_files import data

_DRAWN = {
    "model": "gemini-2.5-flash-image",
    "contents": [
        types.Part.from_text(text="Draw this anew."),
        types.Part.from_bytes(data=data("image.png"), mime_type="image/png"),
    ],
    "config": types.GenerateContentConfig(response_modalities=["TEXT", "IMAGE"]),
}


def parts() -> None:
    """Have a picture drawn anew."""
    google = gemini_app.client()
    google.models.generate_content(**_DRAWN)


def parts_stream() -> None:
    """Have a picture drawn anew, in a stream."""
    google = gemini_app.client()
    for _ in google.models.generate_content_stream(**_DRAWN):
        pass


def sound() -> None:
    """Ask about a sound and an image."""
    google = gemini_app.client()
    google.models.generate_content(
        model="gemini-2.5-flash",
        contents=[
            types.Part.from_bytes(data=data("sound.wav"), mime_type="audio/wav"),
            types.Part.from_bytes(data=data("image.png"), mime_type="image/png"),
            types.Part.from_text(text="Do these belong together?"),
        ],
    )
