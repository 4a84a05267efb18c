"""The same under LangSmith's OpenTelemetry export."""

from __future__ import annotations

from anthropic_media import documents  # noqa: F401
from langsmith_app import set_up  # noqa: F401
from openai_media import files, image, responses, sound  # noqa: F401
