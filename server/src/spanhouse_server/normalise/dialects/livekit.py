"""LiveKit Agents: voice sessions, turns, speech to text and back, model calls and tools.

Content lies under ``lk.pii.*`` (before: ``lk.*``); model requests speak OpenTelemetry.
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.messages import fold_messages, fold_tool_calls, text_message
from spanhouse_server.normalise.parts import tool_call_part, tool_response_part
from spanhouse_server.normalise.values import name_of, names_of, seconds_to_ns, unquoted
from spanhouse_server.normalise.view import View

#: By span name. ``llm_node`` is the agent's step around the request that counts, ``llm_request_run`` one attempt at it.
CATEGORIES = {
    "agent_session": "workflow",
    "agent_turn": "agent",
    "amd": "evaluator",
    "function_tool": "tool",
    "job_entrypoint": "workflow",
    "judge_evaluation": "evaluator",
    "llm_fallback_adapter": "workflow",
    "llm_node": "workflow",
    "llm_request": "llm",
    "llm_request_run": "other",
    "realtime_inference": "llm",
    "session_start": "workflow",
    "start_agent_activity": "workflow",
    "tts_node": "workflow",
    "user_turn": "workflow",
}
_METADATA = ("lk.room_sid", "lk.job_id", "lk.speech_id", "lk.interrupted", "lk.e2e_latency", "lk.participant_id")


def matches(view: View) -> bool:
    """Tell whether LiveKit Agents wrote the span."""
    return view.in_scope("livekit-agents") or "lk" in view.roots


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    span.category = CATEGORIES.get(view.raw.name, span.category)
    if span.category == "llm" and not span.operation:
        span.operation = "chat"
    elif span.category == "other":
        span.operation = ""
    span.agent_name = span.agent_name or view.name("lk.agent_name", "lk.agent_label")
    if span.category == "tool":
        _read_tool(view, span)
    else:
        _read_content(view, span)
    ttft_ns = seconds_to_ns(view.get("lk.response.ttft"))
    if ttft_ns:
        span.ttft_ns, span.ttft_source = ttft_ns, "client_chunk"
    span.session_id = view.name("session.id", "gen_ai.conversation.id", "lk.room_sid")
    for key in _METADATA:
        add_metadata(span, key, view.get(key))


def _own(view: View, name: str) -> Any:
    """Return an attribute of today's name, or the one of before it was marked as personal."""
    for key in (f"lk.pii.{name}", f"lk.{name}"):
        if key in view.attributes:
            return view.json(key)
    return None


def _read_tool(view: View, span: Span) -> None:
    span.operation = "execute_tool"
    span.tool_name = span.tool_name or view.name("lk.function_tool.name")
    span.tool_call_id = span.tool_call_id or view.name("lk.function_tool.id")
    span.tool_result = unquoted(span.tool_result)
    fill_input_output(span, _own(view, "function_tool.arguments"), _own(view, "function_tool.output"))
    if view.get("lk.function_tool.is_error") is True and "error.type" not in view.attributes:
        view.overlay({"error.type": "tool_error"})


def _read_content(view: View, span: Span) -> None:
    context = _own(view, "chat_ctx")
    if not span.input_messages and isinstance(context, dict):
        span.input_messages = _items(context.get("items"))
    for name in ("user_input", "user_transcript", "input_text"):
        given = _own(view, name)
        if not span.input_messages and isinstance(given, str) and given:
            span.input_messages = [text_message("user", given)]
    instructions = _own(view, "instructions")
    if not span.system_instructions and isinstance(instructions, str) and instructions:
        span.system_instructions = [{"type": "text", "content": instructions}]
    if not span.output_messages:
        said = _own(view, "response.text")
        parts = text_message("assistant", said)["parts"] if isinstance(said, str) and said else []
        calls = _own(view, "response.function_calls")
        if isinstance(calls, list):
            parts += fold_tool_calls([{"id": each.get("call_id"), **each} for each in calls if isinstance(each, dict)])
        span.output_messages = [{"role": "assistant", "parts": parts}] if parts else []
    names = names_of(view.get("lk.function_tools"))
    if names and not span.tool_definitions:
        span.tool_definitions = [{"type": "function", "name": name} for name in names]


def _items(items: Any) -> list[Message]:
    """Return the items of a chat context: messages, function calls and their outputs."""
    messages: list[Message] = []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        kind = item.get("type")
        if kind == "function_call":
            call = tool_call_part(item.get("call_id"), item.get("name"), item.get("arguments"))
            messages.append({"role": "assistant", "parts": [call]})
        elif kind == "function_call_output":
            messages.append({"role": "tool", "parts": [tool_response_part(item.get("call_id"), item.get("output"))]})
        elif kind == "message" or "role" in item:
            messages += fold_messages([{"role": name_of(item.get("role")), "content": item.get("content")}], "user")
    return messages


DIALECT = Dialect("livekit", matches, read)
