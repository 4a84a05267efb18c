"""Session, user, tags, metadata and prompt of the current trace.

They live in OpenTelemetry's own context, so they travel wherever it travels (tasks, threads given a
copy), end with the span in which they were set, and reach spans of automatic instrumentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace

from spanhouse import _ambient
from spanhouse import _attributes as a
from spanhouse._log import never_raises, warn_rarely
from spanhouse._serialize import safe, to_text

#: More tags than a person can read are a mistake, and an endless iterable must not hold the application up.
MAX_TAGS = 100

ASSOCIATIONS_KEY = otel_context.create_key("spanhouse-associations")


def set_session(session_id: str) -> None:
    """Say which conversation the current span, and those after it in this context, belong to."""
    session = safe(str, session_id)
    _set({a.SESSION_ID: session, a.CONVERSATION_ID: session})


def set_user(user_id: str) -> None:
    """Say which user the current span, and those after it in this context, serve."""
    _set({a.USER_ID: safe(str, user_id)})


@never_raises
def set_tags(*tags: str) -> None:
    """Add tags to the current span and those after it in this context."""
    _set({a.TAGS: _joined_tags(tags)})


@never_raises
def set_metadata(**values: Any) -> None:
    """Add key-value metadata to the current span and those after it in this context."""
    _set(_metadata(values))


def set_prompt(name: str, version: str | int | None = None) -> None:
    """Say which managed prompt, in which version, is used from here on in this context."""
    _set(_prompt(name, version))


@contextmanager
def context(
    session: str | None = None,
    user: str | None = None,
    tags: tuple[str, ...] | list[str] = (),
    metadata: Mapping[str, Any] | None = None,
    prompt: str | None = None,
    prompt_version: str | int | None = None,
) -> Iterator[None]:
    """Put session, user, tags, metadata and prompt on every span started inside the block."""
    values: dict[str, Any] = {}
    try:
        if session is not None:
            values[a.SESSION_ID] = values[a.CONVERSATION_ID] = safe(str, session)
        if user is not None:
            values[a.USER_ID] = safe(str, user)
        if tags:
            values[a.TAGS] = _joined_tags(tags)
        if metadata:
            values.update(_metadata(metadata))
        if prompt is not None:
            values.update(_prompt(prompt, prompt_version))
    except Exception as error:
        warn_rarely("context", "some of the context could not be read: %s", type(error).__name__)
    token = _ambient.attach(_with_associations(values))
    try:
        yield
    finally:
        _ambient.detach(token)


def current_session() -> str | None:
    """Return the session in force, if any."""
    associations = _ambient.current().get(ASSOCIATIONS_KEY)
    return associations.get(a.SESSION_ID) if isinstance(associations, dict) else None


def _set(values: dict[str, Any]) -> None:
    try:
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(values)
        # Not detached here: leaving the enclosing span's context undoes it.
        _ambient.attach(_with_associations(values))
    except Exception as error:
        warn_rarely("context", "context could not be set: %s: %s", type(error).__name__, error)


def _with_associations(values: dict[str, Any]) -> otel_context.Context:
    current = _ambient.current()
    old = current.get(ASSOCIATIONS_KEY)
    merged = {**old, **values} if isinstance(old, dict) else values
    return otel_context.set_value(ASSOCIATIONS_KEY, merged, current)


def _joined_tags(tags: tuple[str, ...] | list[str]) -> list[str]:
    associations = _ambient.current().get(ASSOCIATIONS_KEY)
    before = associations.get(a.TAGS, []) if isinstance(associations, dict) else []
    given = (tags,) if isinstance(tags, str) else tags
    return list(dict.fromkeys([*before, *(safe(str, tag) for tag in islice(given, MAX_TAGS))]))


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        a.METADATA_PREFIX + safe(str, key): value if isinstance(value, (bool, int, float)) else to_text(value)
        for key, value in values.items()
        if value is not None
    }


def _prompt(name: str, version: str | int | None) -> dict[str, Any]:
    values: dict[str, Any] = {a.PROMPT_NAME: safe(str, name)}
    if version is not None:
        values[a.PROMPT_VERSION] = safe(str, version)
    return values
