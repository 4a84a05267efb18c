"""Other vendors' doors: the paths and headers their users' applications already send OTLP with.

Moving here is then one changed URL. Every path below leads to the same three endpoints; what differs is
where a vendor puts its key, and the project it names in a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Door:
    """A path prefix before ``/v1/traces`` and its kin, and whose senders use it."""

    prefix: str
    vendors: str


DOORS = (
    Door("", "OpenTelemetry, Phoenix, MLflow, Traceloop, Logfire"),
    Door("/api/public/otel", "Langfuse"),
    Door("/otel", "LangSmith, W&B Weave, Braintrust"),
    Door("/api/v1/otel", "LangSmith, self-hosted"),
    Door("/traces/otel", "W&B Weave, self-hosted"),
    Door("/api/v1/private/otel", "Opik, self-hosted"),
    Door("/opik/api/v1/private/otel", "Opik"),
)
#: Langfuse's own API, of which ``langfuse.py`` serves the ingesting part.
LANGFUSE_API = "/api/public/"


class Native(StrEnum):
    """APIs of other vendors that are not served; ``natives.py`` tells their clients what to do instead."""

    LANGSMITH = "langsmith"
    OPIK = "opik"
    MLFLOW = "mlflow"
    WEAVE = "weave"
    PHOENIX = "phoenix"


#: The beginnings of their paths, whatever address their clients were given: this one, or one with a vendor's prefix.
NATIVE_PATHS: Mapping[Native, tuple[str, ...]] = {
    Native.LANGSMITH: tuple(
        f"{base}/{name}" for base in ("", "/api/v1") for name in ("info", "runs", "feedback", "commits", "repos")
    ),
    Native.OPIK: (
        "/opik/api/",
        "/v1/private/",
        "/api/v1/private/",
        "/is-alive/",
        "/api/is-alive/",
        "/v1/internal/",
    ),
    Native.MLFLOW: ("/api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api/"),
    Native.WEAVE: ("/graphql", "/call/", "/calls/", "/obj/", "/objs/", "/table/", "/file/", "/files/"),
    Native.PHOENIX: tuple(
        f"/v1/{name}"
        for name in (
            *("projects", "prompts", "datasets", "experiments", "sessions", "annotation_configs"),
            *("spans", "span_annotations", "trace_annotations", "session_annotations"),
        )
    ),
}
#: Paths that are served beside the framework of our own API.
PATHS = (
    *(f"{door.prefix}/v1/" for door in DOORS),
    LANGFUSE_API,
    *(path for paths in NATIVE_PATHS.values() for path in paths),
)

#: Headers in which vendors' senders carry the key, after those of ``credentials``.
KEY_HEADERS = ("api_key", "wandb-api-key")
#: Headers in which they name a project: LangSmith, Opik, MLflow, Weave, Braintrust.
_PROJECT_HEADERS = ("langsmith-project", "projectname", "x-mlflow-experiment-id", "project_id", "x-bt-parent")


def project_hint(headers: Mapping[str, str]) -> str | None:
    """Return the project that a vendor's header names, or nothing.

    It is a wish and no credential: ``Receiver.project_for`` follows it only where the sender may
    open every project anyway, and never where a key decides.
    """
    for name in _PROJECT_HEADERS:
        value = headers.get(name)
        if value:
            # Weave says `entity/project`, Braintrust `project_name:project`.
            return unquote(value).strip().rpartition("/")[2].rpartition(":")[2].strip() or None
    return None
