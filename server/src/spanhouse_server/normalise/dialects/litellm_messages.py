"""LiteLLM's messages: OpenAI's fields beside OpenTelemetry's parts, and the provider's own request."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects.images_api import drawn_messages, is_drawn
from spanhouse_server.normalise.dialects.provider_json import answer_messages
from spanhouse_server.normalise.messages import fold_messages, fold_tool_calls
from spanhouse_server.normalise.parts import fold_parts, plain_text, tool_call_part, tool_response_part
from spanhouse_server.normalise.values import name_of
from spanhouse_server.normalise.view import View, indexed, subtree

_BESIDE = frozenset({"tool_calls", "tool_call_id"})
_REQUEST_KEYS = ("messages", "input", "contents", "prompt")


def read_messages(view: View, span: Span) -> None:
    """Read again the messages that keep tool calls and their answers beside their parts."""
    raw = view.get("gen_ai.input.messages")
    given = None if isinstance(raw, str) and "tool_call" not in raw else view.opened(raw)
    if isinstance(given, list) and any(isinstance(item, dict) and _BESIDE & item.keys() for item in given):
        span.input_messages = [
            message for item in given if isinstance(item, dict) for message in fold_messages([_joined(item)], "user")
        ]
    if "gen_ai.system_instructions" in view.attributes:
        told = view.json("gen_ai.system_instructions")
        if isinstance(told, list) and any(isinstance(item, dict) and "parts" in item for item in told):
            messages = fold_messages(told, "system")  # whole messages instead of parts
            span.system_instructions = [part for message in messages for part in message["parts"]]
        # Of Anthropic's blocks v1 tells that there are some.
        span.system_instructions = _told(span.system_instructions)
    for message in span.input_messages + span.output_messages:
        message["parts"] = _told(message["parts"])


def _told(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts without those that are empty text."""
    return [part for part in parts if part.get("content") != "" or part["type"] != "text"]


def _joined(item: dict[str, Any]) -> dict[str, Any]:
    """Return a message with what stands beside its parts among them."""
    parts = item.get("parts")
    if not isinstance(parts, list):
        return item
    folded = fold_parts(parts)
    if item.get("tool_call_id"):
        text = plain_text(folded)
        folded = [tool_response_part(item["tool_call_id"], folded if text is None else text)]
    folded += fold_tool_calls(item.get("tool_calls"), [part.get("id") for part in folded])
    return {key: value for key, value in item.items() if key not in _BESIDE} | {"parts": folded}


def add_calls(view: View, span: Span) -> None:
    """Add the tool calls that v1 keeps as ``gen_ai.completion.N.function_call``, where no message has any."""
    if not view.family("gen_ai.completion."):
        return
    if any(part.get("type") == "tool_call" for message in span.output_messages for part in message["parts"]):
        return
    calls = []
    for fields in indexed(view.groups("gen_ai").get("completion", {})):
        call = subtree(fields, "function_call.")
        if name_of(call.get("name")):
            calls.append(tool_call_part(None, call["name"], call.get("arguments")))
    if not calls:
        return
    if not span.output_messages:
        span.output_messages = [{"role": "assistant", "parts": []}]
    span.output_messages[0]["parts"] += calls


def read_raw(view: View, span: Span) -> None:
    """Read the provider's own request and answer, kept as ``llm.<provider>.<field>``.

    What LiteLLM answers from its own cache is there as one text.
    """
    fields: dict[str, Any] = {}
    for group in view.groups("llm").values():
        fields.update(group)
    whole = view.opened_python(fields.get("stringified_raw_response"))
    if isinstance(whole, dict):
        fields = {**whole, **fields}
    key = next((key for key in _REQUEST_KEYS if key in fields), "")
    if key:
        span.input_messages = fold_messages(view.opened_python(fields[key]), "user")
    span.system_instructions = fold_parts(view.opened_python(fields.get("system")))
    if "data" in fields:  # images, or vectors
        drawn = {**fields, "data": view.opened_python(fields["data"])}
        span.output_messages = drawn_messages(drawn) if is_drawn(drawn) else []
        return
    answer: dict[str, Any] = {
        name: view.opened_python(fields[name])
        for name in ("choices", "content", "output", "role", "type")
        if name in fields
    }
    span.output_messages = _said(answer) or fold_messages(whole, "assistant")
    span.response_model = name_of(fields.get("model"))
    span.response_id = name_of(fields.get("id"))


def _said(answer: dict[str, Any]) -> list[Message]:
    return [message for message in answer_messages(answer) if message["parts"]]
