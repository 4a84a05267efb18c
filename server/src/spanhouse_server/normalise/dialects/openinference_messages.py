"""OpenInference's flattened messages: ``llm.input_messages.0.message.tool_calls.1.tool_call.id`` …"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Part
from spanhouse_server.normalise.messages import fold_messages, fold_tool_definition, legacy_call
from spanhouse_server.normalise.names import fold_role
from spanhouse_server.normalise.parts import fold_part, fold_parts, plain_text, tool_call_part, tool_response_part
from spanhouse_server.normalise.values import name_of, text_of
from spanhouse_server.normalise.view import View, indexed

_CONTENTS = "message.contents."
_TOOL_CALLS = "message.tool_calls."
_MEDIA = ("image", "audio", "video", "document")


def fold_flat_messages(view: View, flat: dict[str, Any], role: str) -> list[Message]:
    """Return the messages of a flattened list, or of the list an emitter left whole."""
    if "" in flat:
        return fold_messages(view.opened(flat[""]), role)
    messages = [_fold_flat_message(view, fields, role) for fields in indexed(flat)]
    # Chains of some frameworks leave only a role here, and the words in ``input.value``.
    return messages if any(message["parts"] for message in messages) else []


def _fold_flat_message(view: View, fields: dict[str, Any], role: str) -> Message:
    role = fold_role(name_of(fields.get("message.role")), role)
    content = fields.get("message.content")
    if len(fields) == 2 and type(content) is str and content and role != "tool" and "message.role" in fields:
        return {"role": role, "parts": [{"type": "text", "content": content}]}  # most messages are only this
    message: Message = {"role": role, "parts": []}
    contents: dict[str, Any] = {}
    calls: dict[str, Any] = {}
    for key, value in fields.items():
        if key.startswith(_TOOL_CALLS):
            calls[key[len(_TOOL_CALLS) :]] = value
        elif key.startswith(_CONTENTS):
            contents[key[len(_CONTENTS) :]] = value
    name = fields.get("message.name")
    if isinstance(name, str) and name:
        message["name"] = name
    reason = fields.get("message.finish_reason")
    if isinstance(reason, str) and reason:
        message["finish_reason"] = reason

    parts = [_fold_content(view, block) for block in indexed(contents)] if contents else fold_parts(content)
    if contents and isinstance(content, str) and content and not any(part.get("content") == content for part in parts):
        parts = [*fold_parts(content), *parts]
    call_id = fields.get("message.tool_call_id")
    if (call_id or (role == "tool" and parts)) and not calls:
        message["role"] = "tool"  # older instrumentations hand results over in the user's name
        response = plain_text(parts)
        parts = [tool_response_part(call_id, parts if response is None else response)]
    known = [part.get("id") for part in parts if part.get("type") == "tool_call"]
    for fields_of_call in indexed(calls) if calls else ():
        call = _fold_call(view, fields_of_call)
        if not call.get("id") or call["id"] not in known:
            parts.append(call)
    legacy = fields.get("message.function_call_name")
    if isinstance(legacy, str) and legacy:
        parts += legacy_call(parts, legacy, view.opened(fields.get("message.function_call_arguments_json")))
    message["parts"] = parts
    return message


def _fold_call(view: View, fields: dict[str, Any]) -> Part:
    name = fields.get("tool_call.function.name")
    arguments = view.opened(fields.get("tool_call.function.arguments"))
    return tool_call_part(fields.get("tool_call.id"), name, arguments)


def _fold_content(view: View, fields: dict[str, Any]) -> Part:
    kind = fields.get("message_content.type")
    text = fields.get("message_content.text")
    if kind in ("reasoning", "thinking", "redacted_thinking") and isinstance(text, str):
        return {"type": "reasoning", "content": text}
    if kind == "tool_use":
        # Some instrumentations leave the whole block here, beside the tool call itself.
        return _fold_call(view, {key.removeprefix("message_content."): value for key, value in fields.items()})
    for modality in _MEDIA:
        url = fields.get(f"message_content.{modality}.{modality}.url")
        if isinstance(url, str):
            part = fold_part({"type": modality, "url": url})
            return {**part, "modality": modality}
    if isinstance(text, str):
        return {"type": "text", "content": text}
    rest = {key.removeprefix("message_content."): value for key, value in fields.items()}
    return {**rest, "type": name_of(rest.get("type")) or "unknown"}


def fold_flat_texts(view: View, flat: dict[str, Any], leaf: str) -> list[str]:
    """Return the texts of a flattened list of ``leaf``s, or of the list an emitter left whole."""
    if "" in flat:
        value = view.opened(flat[""])
        return [text_of(item) for item in (value if isinstance(value, list) else [value])]
    return [text for fields in indexed(flat) if (text := text_of(fields.get(leaf, fields.get(""))))]


def fold_flat_tools(view: View, flat: dict[str, Any]) -> list[Any]:
    """Return the tools offered, from their JSON schemas or their names."""
    tools: list[Any] = []
    for fields in indexed(flat):
        schema = view.opened(fields.get("tool.json_schema"))
        if schema is not None:
            tools.append(fold_tool_definition(schema))
        else:
            tools.append(fold_tool_definition({key.removeprefix("tool."): value for key, value in fields.items()}))
    return tools
