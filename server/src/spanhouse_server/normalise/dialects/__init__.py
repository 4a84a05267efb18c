"""The dialects, one small module each.

To add one: write a module with a ``DIALECT`` and put it in the list below, where its markers
are asked for before those of more general ones.
"""

from __future__ import annotations

from spanhouse_server.normalise.dialects import (
    claude_code,
    crewai,
    engines,
    generic,
    genkit,
    google_adk,
    haystack,
    langfuse,
    langsmith,
    litellm,
    livekit,
    logfire,
    mlflow,
    openinference,
    openlit,
    openllmetry,
    openrouter,
    otel,
    pydantic_ai,
    semantic_kernel,
    spanhouse,
    spring_ai,
    strands,
    vercel_ai,
    vercel_ai_legacy,
)
from spanhouse_server.normalise.dialects.base import Dialect
from spanhouse_server.normalise.view import View

#: In the order they are tried; the first that matches a span reads it.
DIALECTS: tuple[Dialect, ...] = (
    spanhouse.DIALECT,
    langfuse.DIALECT,
    openinference.DIALECT,
    vercel_ai_legacy.DIALECT,
    vercel_ai.DIALECT,
    pydantic_ai.DIALECT,
    logfire.DIALECT,
    mlflow.DIALECT,
    langsmith.DIALECT,
    openlit.DIALECT,
    google_adk.DIALECT,
    strands.DIALECT,
    litellm.DIALECT,
    crewai.DIALECT,
    semantic_kernel.DIALECT,
    haystack.DIALECT,
    openllmetry.DIALECT,
    claude_code.DIALECT,
    genkit.DIALECT,
    livekit.DIALECT,
    openrouter.DIALECT,
    spring_ai.DIALECT,
    engines.DIALECT,
    otel.DIALECT,
    generic.DIALECT,
)

#: Scopes for which a shape remembers what to ask; one set of keys rarely comes from more than one.
MAX_SCOPES = 100


def dialect_of(view: View) -> Dialect:
    """Return the first dialect that matches a span."""
    plans = view.shape.plans
    asked: tuple[Dialect, ...] | None = plans.get(view.scope)
    if asked is None:
        if len(plans) >= MAX_SCOPES:
            plans.clear()
        asked = plans[view.scope] = _to_ask(view)
    for dialect in asked:
        if dialect.might_match is None or dialect.matches(view):
            return dialect
    return generic.DIALECT


def _to_ask(view: View) -> tuple[Dialect, ...]:
    """Return the dialects that a span with this scope and these keys may be of, up to the first that is certain."""
    asked: list[Dialect] = []
    for dialect in DIALECTS:
        if (dialect.might_match or dialect.matches)(view):
            asked.append(dialect)
            if dialect.might_match is None:
                break
    return tuple(asked)
