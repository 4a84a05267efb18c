"""The same under LangSmith's OpenTelemetry export."""

from __future__ import annotations

from anthropic_media import documents  # noqa: F401
from langsmith_app import set_up  # noqa: F401
from openai_media import (  # noqa: F401
    files,
    image,
    responses,
    responses_stream,
    sound,
    sound_stream,
)
