"""Vercel's AI SDK from 7 on (``@ai-sdk/otel``): the GenAI conventions, with the SDK's own agent steps.

``invoke_agent`` → ``agent_step`` → ``chat`` and ``execute_tool``; the agent repeats its children's usage.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts
from spanhouse_server.normalise.values import unquoted
from spanhouse_server.normalise.view import View

CONTEXT = "ai.settings.context."


def matches(view: View) -> bool:
    """Tell whether the AI SDK wrote the span: by its scope, its steps, or its context keys."""
    if view.scope == "gen_ai" or view.get("gen_ai.operation.name") == "agent_step":
        return True
    return "ai" in view.roots and bool(view.family(CONTEXT))


def might_match(view: View) -> bool:
    """Tell by scope and keys whether the AI SDK may have written the span."""
    return view.scope == "gen_ai" or "gen_ai.operation.name" in view.attributes or bool(view.family(CONTEXT))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes; a tool's textual result comes in JSON quotes."""
    otel.read(view, span)
    if span.category == "tool":
        span.tool_result = unquoted(span.tool_result)
    elif span.category == "embedding" and not span.input_messages:
        values = view.get("ai.values") or view.get("ai.value")
        span.input_messages = embedded_texts(
            list(map(unquoted, values)) if isinstance(values, list) else unquoted(values)
        )


DIALECT = Dialect("vercel_ai", matches, read, might_match)
