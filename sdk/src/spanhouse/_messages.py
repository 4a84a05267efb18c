"""Chat messages of the usual client libraries, as dicts or objects, to OpenTelemetry's message JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spanhouse._serialize import plain

MAX_MESSAGES = 500
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "developer": "system", "function": "tool"}

Message = dict[str, Any]
Part = dict[str, Any]


def field(source: Any, name: str, default: Any = None) -> Any:
    """Return a key of a mapping or an attribute of an object, ``default`` where it is missing or None."""
    value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
    return default if value is None else value


def to_messages(value: Any, default_role: str = "user") -> list[Message] | None:
    """Return messages for a text, one message or a sequence of them; ``None`` for anything else."""
    if isinstance(value, str):
        return [text_message(default_role, value)]
    if _is_message(value):
        return [message(value, default_role)]
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        if not value or not all(isinstance(item, str) or _is_message(item) for item in value):
            return None
        shown = list(value) if len(value) <= MAX_MESSAGES else [*value[:1], *value[-MAX_MESSAGES + 1 :]]
        return [text_message(default_role, m) if isinstance(m, str) else message(m, default_role) for m in shown]
    return None


def text_message(role: str, text: str) -> Message:
    """Return a message of one text part."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def message(source: Any, default_role: str = "user") -> Message:
    """Return one message of any of the known shapes."""
    role = field(source, "role") or field(source, "type") or default_role
    role = _ROLES.get(str(role), str(role))
    if isinstance(field(source, "parts"), list) and all(field(part, "type") for part in field(source, "parts")):
        result: Message = {"role": role, "parts": plain(field(source, "parts"))}
    elif role == "tool":
        call_id = field(source, "tool_call_id") or field(source, "id")
        result = {"role": role, "parts": [_tool_response(call_id, field(source, "content"))]}
    else:
        result = {"role": role, "parts": [*_reasoning(source), *parts(field(source, "content")), *_tool_calls(source)]}
        refusal = field(source, "refusal")
        if isinstance(refusal, str):
            result["parts"].append({"type": "text", "content": refusal})
    name = field(source, "name")
    if isinstance(name, str):
        result["name"] = name
    return result


def parts(content: Any) -> list[Part]:
    """Return the parts of a message's content: a text, or a list of typed blocks."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return [_part(block) for block in content]
    return [_part(content)]


def _part(block: Any) -> Part:
    if isinstance(block, str):
        return {"type": "text", "content": block}
    kind = field(block, "type", "")
    if kind in ("text", "input_text", "output_text") or (not kind and isinstance(field(block, "text"), str)):
        return {"type": "text", "content": field(block, "text") or field(block, "content") or ""}
    if kind in ("thinking", "reasoning"):
        return {
            "type": "reasoning",
            "content": field(block, "thinking") or field(block, "content") or field(block, "text") or "",
        }
    if kind in ("tool_use", "function_call"):
        arguments = field(block, "input", field(block, "arguments"))
        return _tool_call(field(block, "call_id") or field(block, "id"), field(block, "name"), arguments)
    if kind == "tool_result":
        return _tool_response(field(block, "tool_use_id"), field(block, "content"))
    if kind in ("image_url", "input_image"):
        url = field(block, "image_url") or ""
        return _media("image", url if isinstance(url, str) else field(url, "url", ""))
    if kind in ("image", "document") and field(field(block, "source"), "type") == "base64":
        source = field(block, "source")
        return _blob(kind, field(source, "media_type"), field(source, "data", ""))
    if kind == "input_audio":
        audio = field(block, "input_audio")
        return _blob("audio", f"audio/{field(audio, 'format', 'wav')}", field(audio, "data", ""))
    dumped = plain(block)
    return dumped if isinstance(dumped, dict) and dumped.get("type") else {"type": "text", "content": str(dumped)}


def _media(modality: str, url: str) -> Part:
    if url.startswith("data:"):
        header, _, data = url[5:].partition(",")
        return _blob(modality, header.partition(";")[0], data)
    return {"type": "uri", "modality": modality, "uri": url}


def _blob(modality: str, mime_type: str | None, data: str) -> Part:
    return {"type": "blob", "modality": modality, "mime_type": mime_type, "content": data}


def _tool_calls(source: Any) -> list[Part]:
    found = []
    for call in field(source, "tool_calls", ()):
        function = field(call, "function")
        name = field(function, "name") if function is not None else field(call, "name")
        arguments = (
            field(function, "arguments") if function is not None else field(call, "args", field(call, "arguments"))
        )
        found.append(_tool_call(field(call, "id"), name, arguments))
    return found


def _tool_call(call_id: Any, name: Any, arguments: Any) -> Part:
    if isinstance(arguments, str):
        # A model may produce broken JSON, and that is worth seeing as it was.
        with contextlib.suppress(ValueError):
            arguments = json.loads(arguments)
    part: Part = {"type": "tool_call", "name": str(name or ""), "arguments": plain(arguments)}
    if call_id:
        part["id"] = str(call_id)
    return part


def _tool_response(call_id: Any, content: Any) -> Part:
    part: Part = {"type": "tool_call_response", "response": content if isinstance(content, str) else plain(content)}
    if call_id:
        part["id"] = str(call_id)
    return part


def _reasoning(source: Any) -> list[Part]:
    text = field(source, "reasoning_content") or field(source, "reasoning")
    return [{"type": "reasoning", "content": text}] if isinstance(text, str) else []


def _is_message(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "role" in value and ("content" in value or "parts" in value or "tool_calls" in value)
    has_role = isinstance(getattr(value, "role", None), str) or getattr(value, "type", None) in (
        "human",
        "ai",
        "system",
        "tool",
    )
    return has_role and (hasattr(value, "content") or hasattr(value, "parts"))
