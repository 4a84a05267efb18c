"""The same under OpenLIT."""

from __future__ import annotations

from anthropic_media import documents  # noqa: F401
from openai_media import (  # noqa: F401
    dalle,
    drawing,
    files,
    image,
    redrawing,
    responses,
    responses_stream,
    sound,
    sound_stream,
)
from openlit_app import set_up  # noqa: F401
