"""``GET /healthz`` (alive) and ``GET /readyz`` (ready), for people, containers and load balancers."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from spanhouse_server.ops.health import Health, HealthReport


def routes(health: Health) -> list[Route]:
    """Return both probes; each answers 200 or 503 with the state of every subsystem."""

    async def alive(_: Request) -> JSONResponse:
        report = health.snapshot()
        return _answer(report, report.alive, "alive", "not alive")

    async def ready(_: Request) -> JSONResponse:
        report = health.snapshot()
        return _answer(report, report.ready, "ready", "not ready")

    return [
        Route("/healthz", alive, methods=["GET"], name="healthz"),
        Route("/readyz", ready, methods=["GET"], name="readyz"),
    ]


def _answer(report: HealthReport, good: bool, yes: str, no: str) -> JSONResponse:
    body = {
        "status": yes if good else no,
        "degraded": report.degraded,
        "subsystems": {name: asdict(state) for name, state in report.subsystems.items()},
    }
    headers = {"cache-control": "no-store"}
    if not good:
        headers["retry-after"] = "1"
    return JSONResponse(body, status_code=200 if good else 503, headers=headers)
