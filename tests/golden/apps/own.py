"""What the apps whose framework sets up telemetry by itself share."""

from __future__ import annotations

import os

HEADERS = {"x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4"}


def take_endpoint() -> str:
    """Return the base URL that OTLP goes to, and hide it from whoever would export there too."""
    return os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT")
