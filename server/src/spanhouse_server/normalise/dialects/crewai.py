"""CrewAI's own tracing: OpenTelemetry's attributes, with what crews, tasks, flows and memories did beside them."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_documents
from spanhouse_server.normalise.parts import tool_call_part, tool_response_part
from spanhouse_server.normalise.values import unquoted
from spanhouse_server.normalise.view import View

#: The service CrewAI reports anonymous figures to; if redirected, its spans are none of a crew's (no content).
PHONE_HOME = "crewai.telemetry"
#: By the second segment of the attributes present, the most telling first: category, input, output.
PARTS = (
    ("guardrail", "guardrail", "crewai.guardrail.description", "crewai.guardrail.result"),
    ("policy", "guardrail", "crewai.policy.name", "crewai.policy.reason"),
    ("mcp", "tool", "crewai.mcp.tool_args", "crewai.mcp.tool_result"),
    ("knowledge", "retriever", "crewai.knowledge.query", "crewai.knowledge.retrieved_knowledge"),
    ("memory", "other", "crewai.memory.query", "crewai.memory.results"),
    ("reasoning", "agent", "", "crewai.reasoning.plan"),
    ("method", "workflow", "crewai.method.params", "crewai.method.result"),
    ("flow", "workflow", "crewai.flow.inputs", "crewai.flow.result"),
    ("task", "workflow", "crewai.task.description", "crewai.task.output"),
    ("crew", "workflow", "crewai.crew.inputs", "crewai.crew.output"),
)
_METADATA = ("crewai.crew.name", "crewai.task.name", "crewai.flow.name", "crewai.execution_uuid")
_EMPTY = frozenset({"null", "{}", "[]"})


def matches(view: View) -> bool:
    """Tell whether CrewAI wrote the span."""
    return view.in_scope("crewai") or "crewai" in view.roots


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    if view.in_scope(PHONE_HOME):
        return
    otel.read(view, span)
    groups = view.groups("crewai")
    span.agent_name = view.name("crewai.agent.role") or span.agent_name  # the conventional one holds a hash
    if not view.name("gen_ai.operation.name"):
        part = next((part for part in PARTS if part[0] in groups), None)
        span.category = part[1] if part is not None else "other"
    for name, category, given, result in PARTS:
        if name in groups and (span.category == category or name in ("task", "crew")):
            _fill(view, span, given, result)
            break
    span.input_messages = [message for message in span.input_messages if not _is_null(message)]
    _pair_calls(span.input_messages)
    span.tool_name = span.tool_name or view.name("crewai.mcp.tool_name")
    span.tool_result = unquoted(span.tool_result)
    span.tool_definitions = [_repaired(tool) for tool in span.tool_definitions]
    for key in _METADATA:
        add_metadata(span, key, view.get(key))
    if any(view.get(f"gen_ai.{each}.truncated") is True for each in ("input.messages", "output.messages")):
        span.truncated = True


def _fill(view: View, span: Span, given: str, result: str) -> None:
    found = view.python(result)
    if span.category == "retriever" and isinstance(found, (list, dict)):
        span.documents = span.documents or fold_documents(found)
    value = view.python(given)
    fill_input_output(span, None if isinstance(value, str) and value in _EMPTY else value, found)


def _is_null(message: Message) -> bool:
    """Tell whether a message is a crew's inputs where it had none."""
    return [part.get("content") for part in message["parts"]] == ["null"]


def _pair_calls(messages: list[Message]) -> None:
    """Give tools' answers the ids of the calls before them, in order; calls are quoted as Python shows text."""
    open_ids: list[Any] = []
    for message in messages:
        for position, part in enumerate(message["parts"]):
            if part.get("type") == "tool_call":
                arguments = _unrepr(part.get("arguments"))
                message["parts"][position] = tool_call_part(part.get("id"), _unrepr(part.get("name")), arguments)
                open_ids.append(part.get("id"))
            elif message["role"] == "tool" and part.get("type") == "text":
                call_id = open_ids.pop(0) if open_ids else None
                message["parts"][position] = tool_response_part(call_id, part.get("content"))


def _unrepr(value: Any) -> Any:
    """Return text without the quotes that Python's ``repr`` put around it."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == "'":
        found = jsontext.load_python(f"[{value}]")
        return found[0] if isinstance(found, list) and len(found) == 1 else value
    return value


def _repaired(value: Any) -> Any:
    """Return a tool's schema with the inner parts that Python showed instead of JSON."""
    if isinstance(value, dict):
        return {key: _repaired(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, str) and value[:2] in ("{'", "['"):
        return jsontext.load_python(value)
    return _unrepr(value)


DIALECT = Dialect("crewai", matches, read)
