"""Vendors' own APIs, which are not served here: what their clients are told when only the address was changed.

Each of these clients can send OTLP instead, which is (``vendors.DOORS``), and the answer says which setting to
change. It is a 400: after a 5xx they try again, LangSmith's even after a 404 (a run may come after its feedback), and
Phoenix's and Opik's take a 404 to say that there is no such prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spanhouse_server import __version__
from spanhouse_server.errors import BadRequest, NotFound
from spanhouse_server.receive.answers import Answer, guard, json_answer, json_refusal
from spanhouse_server.receive.receiver import Receiver
from spanhouse_server.receive.vendors import DOORS, NATIVE_PATHS, Native

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True)
class _Advice:
    """What to say to a vendor's client, and the fields it looks for besides ``json_refusal``'s."""

    name: str
    instead: str
    more: Mapping[str, str] = field(default_factory=dict)


_ADVICE = {
    Native.LANGSMITH: _Advice(
        "LangSmith's run API",
        "set LANGSMITH_OTEL_ENABLED=true and LANGSMITH_OTEL_ONLY=true (in JavaScript initializeOTEL() too): the SDK"
        " then sends OTLP to /otel/v1/traces; feedback goes to POST /api/v1/scores",
    ),
    Native.OPIK: _Advice(
        "Opik's own API",
        "send OTLP to /opik/api/v1/private/otel/v1/traces with an OpenTelemetry instrumentation; feedback goes to"
        " POST /api/v1/scores",
    ),
    Native.MLFLOW: _Advice(
        "MLflow's tracking API",
        "set OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to /v1/traces of this address: MLflow's tracing then sends OTLP;"
        " feedback goes to POST /api/v1/scores",
        {"error_code": "ENDPOINT_NOT_FOUND"},
    ),
    Native.WEAVE: _Advice(
        "Weave's own API", "send OTLP to /otel/v1/traces with an OpenTelemetry instrumentation instead of weave.init()"
    ),
    Native.PHOENIX: _Advice(
        "Phoenix's own API", "read what is stored below /api/v1; annotations go to POST /api/v1/scores"
    ),
}


def routes(receiver: Receiver) -> list[Route]:
    """Return the routes of what is not served; they go behind all others."""
    guarded = guard(receiver, "native")
    known = [
        Route(path, guarded(_info), methods=["GET"], name="langsmith_info")
        for path in NATIVE_PATHS[Native.LANGSMITH]
        if path.endswith("/info")
    ]
    refused = [
        Route(f"{path}{{rest:path}}", guarded(_refusing(native)), methods=_METHODS, name=f"{native}_other")
        for native, paths in NATIVE_PATHS.items()
        for path in paths
    ]
    lost = [
        Route(f"{door.prefix}/v1/{{rest:path}}", guarded(_lost), methods=_METHODS, name="otlp_lost") for door in DOORS
    ]
    return [*known, *refused, *lost]


def _refusing(native: Native) -> Answer:
    advice = _ADVICE[native]

    async def other(request: Request) -> Response:
        said = f"{request.method} {request.url.path[:200]}: {advice.name} is not served here"
        return json_refusal(BadRequest(said, advice.instead), advice.more)

    other.__name__ = native.value
    return other


async def _lost(request: Request) -> Response:
    said = f"{request.method} {request.url.path[:200]} is no path of OTLP"
    raise NotFound(said, "POST to /v1/traces, /v1/logs or /v1/metrics; what is stored is read below /api/v1")


async def _info(_: Request) -> Response:
    """Say what LangSmith's SDKs ask for before they send, in OTLP as well: a version, and no special abilities."""
    return json_answer({"version": __version__, "instance_flags": {}})
