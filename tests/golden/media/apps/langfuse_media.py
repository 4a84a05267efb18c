"""The same under Langfuse's drop-in client, which uploads media apart."""

from __future__ import annotations

from langfuse_app import set_up  # noqa: F401  importing it patches the client
from openai_media import (  # noqa: F401
    files,
    image,
    responses,
    responses_stream,
    sound,
    sound_stream,
)
