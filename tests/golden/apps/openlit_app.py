"""The OpenAI and Anthropic applications watched by OpenLIT."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anthropic_app
import openlit
import telemetry
from openai_app import chat, embeddings, error, stream, stream_without_usage, tools, vision  # noqa: F401
from opentelemetry import trace

anthropic_chat = anthropic_app.chat
anthropic_tools = anthropic_app.tools


def _prices() -> str:
    """Write prices of our own making (US dollars per 1,000 tokens); return the file's path."""
    price = {"promptPrice": 0.001, "completionPrice": 0.002}
    path = Path("prices.json")
    path.write_text(json.dumps({"chat": {"gpt-4o-mini": price, "claude-sonnet-4-5": price}, "embeddings": {}}))
    return str(path)


def set_up() -> Callable[[], None]:
    """Give OpenLIT the plain providers."""
    finish = telemetry.set_up()
    options = {"environment": "test", "disable_metrics": True, "application_name": "golden", "pricing_json": _prices()}
    try:
        openlit.init(service_name="golden", **options)
    except TypeError:  # the generation before
        openlit.init(tracer=trace.get_tracer("openlit"), **options)
    return finish
