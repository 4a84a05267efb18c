"""``GET /metrics``: our own health for Prometheus, in its text or OpenMetrics format."""

from __future__ import annotations

import asyncio

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spanhouse_server.ops.metrics import Metrics


def routes(metrics: Metrics) -> list[Route]:
    """Return the route that renders ``metrics``."""

    async def scrape(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        # Reading the spool's counters touches its file, which must not hold up ingest.
        body = await asyncio.to_thread(encode, metrics.registry)
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return [Route("/metrics", scrape, methods=["GET"], name="metrics")]
