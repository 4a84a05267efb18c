"""What Spanhouse hands on: its own metrics and health to begin with."""

from __future__ import annotations

from starlette.routing import Route

from spanhouse_server.export import probes, prometheus
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics


def routes(health: Health, metrics: Metrics) -> list[Route]:
    """Return ``/healthz``, ``/readyz`` and ``/metrics``."""
    return [*probes.routes(health), *prometheus.routes(metrics)]
