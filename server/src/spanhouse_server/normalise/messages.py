"""Fold chat messages of any provider's shape into OpenTelemetry message JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.model.span import Message, Part
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.names import KNOWN_ROLES, ROLES, fold_role
from spanhouse_server.normalise.parts import (
    HOSTED_CALLS,
    fold_part,
    fold_parts,
    plain_text,
    text_part,
    tool_call_part,
    tool_response_part,
)

MAX_MESSAGES = 10_000
#: Roles whose text is only text; a tool's is the answer to a call.
_PLAIN_ROLES = ("user", "assistant", "system")
_CHAT_KEYS = frozenset({"content", "parts", "tool_calls", "message", "kwargs", "data"})
#: Items of OpenAI's Responses API that stand beside messages, and who speaks them.
_ITEM_ROLES = {
    **dict.fromkeys((*HOSTED_CALLS, "image_generation_call", "custom_tool_call"), "assistant"),
    "custom_tool_call_output": "tool",
    "function_call": "assistant",
    "function_call_output": "tool",
    "reasoning": "assistant",
}


def text_message(role: str, text: str) -> Message:
    """Return a message with one text part."""
    return {"role": role, "parts": [text_part(text)]}


def fold_messages(value: Any, role: str) -> list[Message]:
    """Return messages from a list of them, a single one, or text; ``role`` where none is named."""
    if isinstance(value, str):
        return [text_message(role, value)] if value else []
    if isinstance(value, dict):
        inner = value.get("messages")
        if isinstance(inner, list):
            return fold_messages(inner, role)
        return [fold_message(value, role)]
    if not isinstance(value, list):
        return []
    if len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return [
        fold_message(item, role) if isinstance(item, dict) else text_message(role, _as_text(item))
        for item in value[:MAX_MESSAGES]
        if type(item) is dict or (item is not None and item != "")
    ]


def looks_like_messages(value: Any) -> bool:
    """Tell whether decoded JSON is a chat rather than other data."""
    if isinstance(value, dict):
        inner = value.get("messages")
        return looks_like_messages(inner) if isinstance(inner, list) else _is_message(value)
    if isinstance(value, list) and value:
        inner = value[0] if len(value) == 1 and isinstance(value[0], list) else value
        return bool(inner) and all(_is_message(item) for item in inner)
    return False


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict) or not (_CHAT_KEYS & item.keys()):
        return False
    return isinstance(item.get("role"), str) or _is_serialised(item) or _speaker(item.get("type")) != ""


def _is_serialised(item: dict[str, Any]) -> bool:
    """Tell whether this is a message as LangChain serialises its objects: with a path, or with its data."""
    return isinstance(item.get("kwargs"), dict) if "lc" in item else isinstance(item.get("data"), dict)


def _speaker(kind: Any) -> str:
    """Return the role a LangChain message type stands for, empty for other types."""
    if not isinstance(kind, str):
        return ""
    return kind if kind in KNOWN_ROLES else ROLES.get(kind.lower(), "")


def fold_message(item: dict[str, Any], role: str = "user") -> Message:
    """Return one message; ``role`` is used where the item names none."""
    given, named = item.get("parts"), item.get("role")
    if type(given) is list and type(named) is str and named in KNOWN_ROLES and "name" not in item:
        parts = fold_parts(given)  # as today's conventions say
        if named == "user" and parts and _is_response(parts[0]) and all(map(_is_response, parts)):
            named = "tool"
        plain: Message = {"role": named, "parts": parts}
        if type(item.get("finish_reason")) is str and item["finish_reason"]:
            plain["finish_reason"] = item["finish_reason"]
        return plain
    if len(item) == 2 and named in _PLAIN_ROLES:  # as most chats are
        content = item.get("content")
        if type(content) is str and content and content[0] != "[":
            return {"role": named, "parts": [text_part(content)]}
    kind = item.get("type")
    if "lc" in item and _is_serialised(item):
        path = item.get("id")
        role = fold_role(str(path[-1]), role) if isinstance(path, list) and path else role
        item = item["kwargs"]
        kind = item.get("type")
    elif kind is not None and _speaker(kind) and _is_serialised(item):
        item = {"type": kind, **item["data"]}
        kind = item["type"]
    inner, given = item.get("message"), item.get("parts")
    content = item.get("content")
    if given is None and type(content) is dict and type(content.get("parts")) is list:  # as Gemini nests them
        item = {**item, **content}
        given, kind = content["parts"], item.get("type")
    if isinstance(inner, dict) and "parts" not in item and "content" not in item:
        message = fold_message(inner, role)
        if isinstance(item.get("finish_reason"), str):
            message["finish_reason"] = item["finish_reason"]
        return message

    is_item = type(kind) is str and kind in _ITEM_ROLES  # of the Responses API, and no message
    role = _role_of(item, role)
    message = {"role": role, "parts": []}
    if not is_item:
        for key in ("name", "finish_reason"):
            value = item.get(key)
            if isinstance(value, str) and value:
                message[key] = value
    if isinstance(given, list):
        parts = fold_parts(given)
    else:
        parts = [fold_part(item)] if is_item else _parts_of_chat(item, role)
    message["parts"] = parts
    if role == "user" and parts and all(map(_is_response, parts)):
        message["role"] = "tool"  # Anthropic's API hands tool results over in the user's name
    return message


def _is_response(part: Part) -> bool:
    return part.get("type") == "tool_call_response"


def _role_of(item: dict[str, Any], otherwise: str) -> str:
    role = item.get("role")
    if isinstance(role, str):
        return fold_role(role, otherwise)
    kind = item.get("type")
    if isinstance(kind, str):
        return (
            _ITEM_ROLES.get(kind)
            or ROLES.get(kind.lower())
            or (kind if kind in ("system", "user", "tool") else otherwise)
        )
    return otherwise


def _parts_of_chat(item: dict[str, Any], role: str) -> list[Part]:
    content = content_of(item.get("content"))
    call_id = item.get("tool_call_id") or (item.get("id") if role == "tool" else None)
    if role == "tool" and (call_id or isinstance(content, str)):
        response = (plain_text(content) or content) if isinstance(content, list) else content
        if not (isinstance(response, list) and _answers_itself(response)):
            return [tool_response_part(call_id, response)]
    parts: list[Part] = []
    for key in ("reasoning_content", "reasoning"):
        thought = item.get(key)
        if isinstance(thought, str) and thought:
            parts.append({"type": "reasoning", "content": thought})
            break
    parts += fold_parts(content)
    refusal = item.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append({"type": "refusal", "content": refusal})
    if isinstance(item.get("audio"), dict):  # OpenAI's spoken answer, with what it says
        transcript = item["audio"].get("transcript")
        parts += [] if parts else fold_parts(transcript if isinstance(transcript, str) else None)
        parts.append(fold_part({"type": "output_audio", "audio": item["audio"]}))
    calls = item.get("tool_calls")
    if calls is not None:
        parts += fold_tool_calls(calls, [part.get("id") for part in parts if part.get("type") == "tool_call"])
    legacy = item.get("function_call")
    if isinstance(legacy, dict):
        parts += legacy_call(parts, legacy.get("name"), legacy.get("arguments"))
    return parts


def legacy_call(parts: Sequence[Part], name: Any, arguments: Any) -> list[Part]:
    """Return the call of ``function_call``, from before there were tools, unless ``tool_calls`` tell of it too.

    Engines that serve both generations of clients (llama-cpp-python) answer with both.
    """
    call = tool_call_part(None, name, arguments)
    told = ((part.get("name"), part.get("arguments")) for part in parts if part.get("type") == "tool_call")
    return [] if (call.get("name"), call.get("arguments")) in told else [call]


def _answers_itself(blocks: list[Any]) -> bool:
    return any(fold_part(block).get("type") == "tool_call_response" for block in blocks)


def fold_tool_calls(value: Any, known_ids: Sequence[Any] = ()) -> list[Part]:
    """Return tool call parts from an assistant message's ``tool_calls``, without those already seen."""
    if isinstance(value, str):
        value = jsontext.load(value)
    if not isinstance(value, list):
        return []
    calls = [
        fold_part({"type": "function", **call} if "function" in call else {**call, "type": "tool_call"})
        for call in value[:MAX_MESSAGES]
        if isinstance(call, dict)
    ]
    return [call for call in calls if not (call.get("id") and call["id"] in known_ids)]


def content_of(value: Any) -> Any:
    """Return content with blocks in JSON text, or as Python shows them, opened; any other text stays text."""
    if not isinstance(value, str) or value[:1] != "[":
        return value
    blocks = jsontext.load_python(value) if value[:3] == "[{'" else jsontext.load(value)
    if isinstance(blocks, list) and blocks and all(_is_block(block) for block in blocks):
        return blocks
    return value


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    if isinstance(block.get("type"), str):
        return fold_part(block) is not block or block["type"] == "text"
    return len(block) == 1 and fold_part(block).get("type") != "unknown"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else jsontext.dump(value)


def fold_tool_definition(value: Any) -> Any:
    """Return a tool as OpenTelemetry lists it, from OpenAI's or Anthropic's shape; others stay."""
    if isinstance(value, str):
        value = jsontext.load(value)
    if not isinstance(value, dict):
        return value
    source = value.get("function") if isinstance(value.get("function"), dict) else value
    if not isinstance(source, dict) or not isinstance(source.get("name"), str):
        return value
    tool: dict[str, Any] = {"type": value.get("type") if isinstance(value.get("type"), str) else "function"}
    if tool["type"] in ("custom", "tool"):
        tool["type"] = "function"
    tool["name"] = source["name"]
    if source.get("description"):
        tool["description"] = source["description"]
    parameters = source.get("parameters") or source.get("input_schema") or source.get("inputSchema")
    if isinstance(parameters, str):
        parameters = jsontext.load(parameters)
    if parameters is not None:
        tool["parameters"] = parameters
    return tool


def fold_tool_definitions(value: Any) -> list[Any]:
    """Return the tools offered from a list of them, or the only one."""
    if isinstance(value, dict):
        value = [value]
    return [fold_tool_definition(item) for item in value[:MAX_MESSAGES]] if isinstance(value, list) else []
