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
    spring_ai.DIALECT,
    engines.DIALECT,
    otel.DIALECT,
    generic.DIALECT,
)
