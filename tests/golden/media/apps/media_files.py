"""The media that the recorder puts beside the application."""

from __future__ import annotations

import base64
from pathlib import Path


def data(name: str) -> bytes:
    """Return a file's bytes."""
    return Path(name).read_bytes()


def text(name: str) -> str:
    """Return a file in base64."""
    return base64.b64encode(data(name)).decode()


def address(name: str, kind: str) -> str:
    """Return a file as a ``data:`` address."""
    return f"data:{kind};base64,{text(name)}"
