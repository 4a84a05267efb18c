"""OpenLLMetry (Traceloop): old flattened prompts, entities with JSON input and output."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.messages import fold_message, fold_tool_definition
from spanhouse_server.normalise.view import View, indexed, subtree

CATEGORIES = {"workflow": "workflow", "task": "workflow", "agent": "agent", "tool": "tool"}


def matches(view: View) -> bool:
    """Tell whether a Traceloop instrumentation wrote the span: only it flattens prompts by index."""
    if "traceloop" in view.roots or "llm.request.type" in view.attributes:
        return True
    attributes = view.attributes
    return "gen_ai.prompt.0.role" in attributes or "gen_ai.completion.0.role" in attributes


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    if span.operation == "text_completion" and view.raw.name.endswith(".chat"):
        span.operation = "chat"  # Anthropic's messages were called a completion
    category = CATEGORIES.get(view.name("traceloop.span.kind"))
    entity = view.name("traceloop.entity.name")
    if category is not None:
        span.category = category
        span.tool_name = span.tool_name or (entity if category == "tool" else "")
        span.agent_name = span.agent_name or (entity if category == "agent" else "")
    genai = view.groups("gen_ai")
    if not span.input_messages:
        span.input_messages = _flat_messages(genai.get("prompt", {}), "user")
    if not span.output_messages:
        span.output_messages = _flat_messages(genai.get("completion", {}), "assistant")
    if not span.finish_reasons:
        reasons = [message["finish_reason"] for message in span.output_messages if "finish_reason" in message]
        span.finish_reasons = list(dict.fromkeys(reasons))
    if not span.tool_definitions and "llm" in view.roots:
        functions = indexed(subtree(view.groups("llm").get("request", {}), "functions."))
        span.tool_definitions = [fold_tool_definition(function) for function in functions]
    if "traceloop.entity.input" in view.attributes or "traceloop.entity.output" in view.attributes:
        fill_input_output(span, _inside(view, "input", "inputs"), _inside(view, "output", "outputs"))


def _flat_messages(flat: dict[str, Any], role: str) -> list[Message]:
    messages = []
    for fields in indexed(flat):
        calls = indexed(subtree(fields, "tool_calls."))
        message = fold_message({**fields, "tool_calls": calls} if calls else fields, role)
        if message["parts"]:
            messages.append(message)
    return messages


def _inside(view: View, side: str, wrapper: str) -> Any:
    """Return an entity's input or output without the ``{"inputs": …}`` around it."""
    value = view.json(f"traceloop.entity.{side}")
    if isinstance(value, dict) and isinstance(value.get(wrapper), (dict, list, str)):
        return value[wrapper]
    return value


DIALECT = Dialect("openllmetry", matches, read)
