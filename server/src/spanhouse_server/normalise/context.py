"""Who, where and which version: session, user, tags, metadata, environment, release, prompt, host.

Every dialect's keys are read for every span, because a process may set them on spans of whatever
instrumentation it uses. Bare names (``metadata``, ``tags``) are read only by the dialect that owns them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from spanhouse_server.model.raw import Attributes
from spanhouse_server.model.span import Span
from spanhouse_server.normalise.shape import Shape
from spanhouse_server.normalise.values import name_of, names_of, text_of, unquoted
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
    "langsmith.metadata.conversation_id",
    "ai.telemetry.metadata.sessionId",
    "ai.settings.context.sessionId",
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
    "ai.settings.context.userId",
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
    "ai.settings.context.",
)
#: What LangSmith's SDK puts among the user's metadata, and what has a field of its own.
_LANGSMITH_OWN = re.compile(r"langsmith\.metadata\.(?:ls_|lc_|LANGSMITH_|usage_metadata\Z|_type\Z|invocation_params\Z)")
ENVIRONMENT_KEYS = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
RELEASE_KEYS = ("langfuse.release", "service.version", "vcs.repository.ref.revision")
PROMPT_NAME_KEYS = ("gen_ai.prompt.name", "langfuse.observation.prompt.name", "traceloop.prompt.key", "prompt.id")
PROMPT_VERSION_KEYS = (
    "gen_ai.prompt.version",
    "langfuse.observation.prompt.version",
    "traceloop.prompt.version",
    "llm.prompt_template.version",
)
#: What an application calls the whole trace, where its top span is called otherwise.
TRACE_NAME_KEYS = ("langfuse.trace.name",)
#: The metadata key it is kept under.
TRACE_NAME = "trace.name"
_GROUPS = (
    SESSION_KEYS,
    USER_KEYS,
    ENVIRONMENT_KEYS,
    RELEASE_KEYS,
    PROMPT_NAME_KEYS,
    PROMPT_VERSION_KEYS,
    TRACE_NAME_KEYS,
    TAG_KEYS,
)
_TAGS = _GROUPS.index(TAG_KEYS)
#: Attribute to (what it tells, preference among the names that tell the same).
_PLACES = {key: (place, rank) for place, keys in enumerate(_GROUPS) for rank, key in enumerate(keys)}
#: A span with none of these has no context of its own.
_CONTEXT_KEYS = frozenset(_PLACES)
_NOT_METADATA = frozenset((*SESSION_KEYS, *USER_KEYS, *TAG_KEYS))


#: Of the keys of a shape: (what it tells, attribute) of labels, the preferred first; (attribute, name) of metadata.
ContextPlan = tuple[tuple[tuple[int, str], ...], tuple[tuple[str, str], ...]]


class Origin(NamedTuple):
    """What a resource says about where its spans come from."""

    environment: str
    release: str
    service_name: str
    host_name: str
    service_instance_id: str


def read_context(view: View, span: Span) -> None:
    """Fill in the context, from the span and, where it may be the same for all spans, its resource."""
    plans = view.shape.plans
    plan: ContextPlan | None = plans.get(read_context)
    if plan is None:
        plan = plans[read_context] = _plan(view.shape)
    labels, metadata = plan
    if labels:
        _read_own(view, span, labels)
    for key, name in metadata:
        value = view.attributes[key]
        if type(value) is str and value[:1] == '"':  # Langfuse's SDK of today puts text in JSON quotes
            value = unquoted(value)
        add_metadata(span, name, value)
    environment, release, span.service_name, span.host_name, span.service_instance_id = origin_of(view.raw.resource)
    span.environment = span.environment or environment
    span.release = span.release or release


def _plan(shape: Shape) -> ContextPlan:
    """Return where the context of a span with these keys is."""
    metadata = [
        (key, key[len(prefix) :])
        for prefix in METADATA_PREFIXES
        for key in shape.family(prefix)
        if key not in _NOT_METADATA and not _LANGSMITH_OWN.match(key)
    ]
    labels = sorted([(*_PLACES[key], key) for key in shape.among(_CONTEXT_KEYS)])
    return tuple([(place, key) for place, _, key in labels]), tuple(metadata)


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


def _read_own(view: View, span: Span, labels: tuple[tuple[int, str], ...]) -> None:
    """Fill in what the span's own attributes tell: of the keys for one thing, the first that holds a label."""
    told = [""] * _TAGS
    tags: list[str] = []
    for place, key in labels:
        if place == _TAGS:  # an array, JSON text or comma-separated text
            tags = tags or names_of(view.attributes[key])
        elif not told[place]:
            told[place] = name_of(view.attributes[key])
    span.session_id = span.session_id or told[0]
    span.user_id = span.user_id or told[1]
    span.environment = span.environment or told[2]
    span.release = span.release or told[3]
    span.prompt_name = span.prompt_name or told[4]
    span.prompt_version = span.prompt_version or told[5]
    if told[6]:
        add_metadata(span, TRACE_NAME, told[6])
    span.tags = (span.tags or tags)[:MAX_TAGS]


def add_metadata(span: Span, key: str, value: Any) -> None:
    """Set one metadata entry as text, within bounds, unless it is set already."""
    if key and value is not None and key not in span.metadata and len(span.metadata) < MAX_METADATA:
        span.metadata[key[:256]] = text_of(value)[:MAX_METADATA_CHARACTERS]


def _first(attributes: dict[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = attributes.get(key)
        if value is not None:
            text = name_of(value)
            if text:
                return text
    return ""
