"""The same under Langfuse's drop-in client, which uploads media apart."""

from __future__ import annotations

from langfuse_app import set_up  # noqa: F401  importing it patches the client
from openai_media import files, image, responses, sound  # noqa: F401
