"""Who, where and which version: session, user, tags, metadata, environment, release, prompt, host.

Every dialect's keys are read for every span, because a process may set them on spans of whatever
instrumentation it uses. Bare names (``metadata``, ``tags``) are read only by the dialect that owns them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from spanhouse_server.model.raw import Attributes
from spanhouse_server.model.span import Span
from spanhouse_server.normalise.values import name_of, names_of, text_of
from spanhouse_server.normalise.view import View

MAX_METADATA = 128
MAX_METADATA_CHARACTERS = 4096
MAX_TAGS = 128

SESSION_KEYS = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "traceloop.association.properties.session_id",
    "langsmith.metadata.session_id",
    "langsmith.metadata.thread_id",
    "ai.telemetry.metadata.sessionId",
    "gcp.vertex.agent.session_id",
    "mlflow.trace.session",
)
USER_KEYS = (
    "langfuse.user.id",
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "gen_ai.request.user",
    "traceloop.association.properties.user_id",
    "langsmith.metadata.user_id",
    "ai.telemetry.metadata.userId",
    "mlflow.trace.user",
    "metadata.user_api_key_end_user_id",
)
TAG_KEYS = (
    "spanhouse.tags",
    "tag.tags",
    "langfuse.trace.tags",
    "logfire.tags",
    "langsmith.span.tags",
    "ai.telemetry.metadata.tags",
)
METADATA_PREFIXES = (
    "spanhouse.metadata.",
    "traceloop.association.properties.",
    "langfuse.trace.metadata.",
    "langsmith.metadata.",
    "ai.telemetry.metadata.",
)
_METADATA_ROOTS = frozenset(prefix.partition(".")[0] for prefix in METADATA_PREFIXES)
ENVIRONMENT_KEYS = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
RELEASE_KEYS = ("langfuse.release", "service.version", "vcs.repository.ref.revision")
PROMPT_NAME_KEYS = ("gen_ai.prompt.name", "langfuse.observation.prompt.name", "traceloop.prompt.key", "prompt.id")
PROMPT_VERSION_KEYS = (
    "gen_ai.prompt.version",
    "langfuse.observation.prompt.version",
    "traceloop.prompt.version",
    "llm.prompt_template.version",
)
#: A span with none of these has no context of its own.
_CONTEXT_KEYS = frozenset(
    key
    for keys in (
        SESSION_KEYS,
        USER_KEYS,
        TAG_KEYS,
        ENVIRONMENT_KEYS,
        RELEASE_KEYS,
        PROMPT_NAME_KEYS,
        PROMPT_VERSION_KEYS,
    )
    for key in keys
)
_NOT_METADATA = frozenset((*SESSION_KEYS, *USER_KEYS, *TAG_KEYS))


class Origin(NamedTuple):
    """What a resource says about where its spans come from."""

    environment: str
    release: str
    service_name: str
    host_name: str
    service_instance_id: str


def read_context(view: View, span: Span) -> None:
    """Fill in the context, from the span and, where it may be the same for all spans, its resource."""
    if not _CONTEXT_KEYS.isdisjoint(view.attributes):
        span.session_id = span.session_id or view.name(*SESSION_KEYS)
        span.user_id = span.user_id or view.name(*USER_KEYS)
        span.environment = span.environment or view.name(*ENVIRONMENT_KEYS)
        span.release = span.release or view.name(*RELEASE_KEYS)
        span.prompt_name = span.prompt_name or view.name(*PROMPT_NAME_KEYS)
        span.prompt_version = span.prompt_version or view.name(*PROMPT_VERSION_KEYS)
        span.tags = (span.tags or read_tags(view))[:MAX_TAGS]
    if not _METADATA_ROOTS.isdisjoint(view.roots):
        for prefix in METADATA_PREFIXES:
            _read_metadata(view, span, prefix)
    origin = origin_of(view.raw.resource)
    span.environment = span.environment or origin.environment
    span.release = span.release or origin.release
    span.service_name = origin.service_name
    span.host_name = origin.host_name
    span.service_instance_id = origin.service_instance_id


#: The resource looked at last, with its reading: spans of a batch share one.
_last: tuple[Attributes, Origin] = ({}, Origin("", "", "", "", ""))


def origin_of(resource: Attributes) -> Origin:
    """Return what a resource says, read once for all the spans that share it."""
    global _last
    seen, origin = _last
    if seen is not resource:
        origin = Origin(
            environment=_first(resource, ENVIRONMENT_KEYS),
            release=_first(resource, RELEASE_KEYS),
            service_name=_first(resource, ("service.name",)),
            host_name=_first(resource, ("host.name", "host.id")),
            service_instance_id=_first(resource, ("service.instance.id",)),
        )
        _last = (resource, origin)
    return origin


def read_tags(view: View) -> list[str]:
    """Return the tags of the first key that has any: an array, JSON text or comma-separated text."""
    for key in TAG_KEYS:
        value = view.get(key)
        if value is not None:
            tags = names_of(value)
            if tags:
                return tags
    return []


def add_metadata(span: Span, key: str, value: Any) -> None:
    """Set one metadata entry as text, within bounds, unless it is set already."""
    if key and value is not None and key not in span.metadata and len(span.metadata) < MAX_METADATA:
        span.metadata[key[:256]] = text_of(value)[:MAX_METADATA_CHARACTERS]


def _read_metadata(view: View, span: Span, prefix: str) -> None:
    for key in view.family(prefix):
        if key not in _NOT_METADATA:
            add_metadata(span, key[len(prefix) :], view.get(key))


def _first(attributes: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if value is not None:
            text = name_of(value)
            if text:
                return text
    return ""
