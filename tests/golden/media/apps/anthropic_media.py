"""What an application sends of images and papers with the Anthropic client."""

from __future__ import annotations

import anthropic_app
from media_files import text


def documents() -> None:
    """Ask about an image and a paper."""
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text("image.png")}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": text("paper.pdf")}},
        {"type": "text", "text": "Does the paper show this?"},
    ]
    anthropic_app.client().messages.create(
        model=anthropic_app.MODEL, max_tokens=100, messages=[{"role": "user", "content": content}]
    )
