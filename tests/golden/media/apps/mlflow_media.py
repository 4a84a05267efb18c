"""The same under MLflow's autologging."""

from __future__ import annotations

from anthropic_media import documents  # noqa: F401
from mlflow_app import set_up  # noqa: F401
from openai_media import (  # noqa: F401
    dalle,
    drawing,
    drawing_stream,
    files,
    image,
    responses,
    responses_stream,
    sound,
    sound_stream,
)
