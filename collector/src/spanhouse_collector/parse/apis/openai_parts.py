"""OpenAI's content blocks, messages and tools as parts and messages of the conventions."""

from __future__ import annotations

from typing import Any

from spanhouse_collector.parse.content import (
    as_dict,
    as_list,
    blob_part,
    dicts,
    file_part,
    message,
    name_of,
    reasoning_part,
    text_part,
    tool_call_part,
    tool_response_part,
    url_part,
)
from spanhouse_collector.parse.contract import Message, Part

SYSTEM_ROLES = frozenset({"system", "developer"})
_REASONING_KEYS = ("reasoning_content", "reasoning")


def parts_of(content: Any) -> list[Part]:
    """Return the parts of a message's content: text, or a list of blocks."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, dict):
        content = [content]
    found = []
    for block in as_list(content):
        if isinstance(block, str):
            found.append(text_part(block))
        elif isinstance(block, dict):
            found.append(part_of(block))
    return found


def part_of(block: dict[str, Any]) -> Part:
    """Return one content block as a part; unknown kinds stay as they are."""
    kind = name_of(block.get("type"))
    text = block.get("text", block.get("refusal"))
    if kind in ("text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", ""):
        return text_part(text) if isinstance(text, str) else {"type": kind or "unknown", **block}
    if kind == "thinking":  # Mistral: a list of text blocks
        inner = block.get("thinking")
        return reasoning_part(inner if isinstance(inner, str) else joined(inner))
    if kind in ("image_url", "input_image", "image"):
        link = block.get("image_url")
        link = link.get("url") if isinstance(link, dict) else link
        return file_part("image", block["file_id"]) if not link and block.get("file_id") else url_part("image", link)
    if kind in ("video_url", "audio_url"):
        return url_part(kind[:5], as_dict(block.get(kind)).get("url"))
    if kind in ("input_audio", "audio", "output_audio"):
        audio = as_dict(block.get("input_audio")) or block
        return _audio(audio)
    if kind in ("file", "input_file"):
        file = as_dict(block.get("file")) or block
        if file.get("file_id"):
            return file_part("document", file["file_id"])
        if file.get("file_url"):
            return url_part("document", file["file_url"])
        return {**url_part("document", file.get("file_data") or "data:,"), "filename": name_of(file.get("filename"))}
    return dict(block)


def _audio(audio: dict[str, Any]) -> Part:
    media = f"audio/{audio['format']}" if isinstance(audio.get("format"), str) else ""
    part = blob_part("audio", media, audio.get("data") or audio.get("audio"))
    if isinstance(audio.get("transcript"), str):
        part["transcript"] = audio["transcript"]
    return part


def joined(blocks: Any) -> str:
    """Return the texts of a list of blocks as one."""
    return "\n".join(block["text"] for block in dicts(blocks) if isinstance(block.get("text"), str))


def chat_message(item: dict[str, Any]) -> Message:
    """Return one message of a chat request or of an answer."""
    role = name_of(item.get("role")) or "user"
    if role in SYSTEM_ROLES:
        role = "system"
    if role in ("tool", "function"):
        content = item.get("content")
        response = content if isinstance(content, str) else _tool_answer(parts_of(content))
        return message("tool", [tool_response_part(item.get("tool_call_id") or item.get("name"), response)])
    parts = reasoning_of(item) + parts_of(item.get("content"))
    if isinstance(item.get("refusal"), str) and item["refusal"]:
        parts.append(text_part(item["refusal"]))
    if isinstance(item.get("audio"), dict) and (item["audio"].get("data") or item["audio"].get("transcript")):
        parts.append(_audio(item["audio"]))
    for image in dicts(item.get("images")):  # OpenRouter's generated images
        parts.append(part_of(image))
    parts += tool_calls(item)
    made = message(role, parts)
    if isinstance(item.get("name"), str):
        made["name"] = name_of(item["name"])
    return made


def _tool_answer(parts: list[Part]) -> Any:
    if all(part.get("type") == "text" for part in parts):
        return "\n".join(str(part.get("content", "")) for part in parts)
    return parts


def reasoning_of(item: dict[str, Any]) -> list[Part]:
    """Return what an engine calls ``reasoning_content`` or ``reasoning``."""
    for key in _REASONING_KEYS:
        if isinstance(item.get(key), str) and item[key]:
            return [reasoning_part(item[key])]
    return []


def tool_calls(item: dict[str, Any]) -> list[Part]:
    """Return the calls of an assistant message, also the single one of old."""
    calls = []
    for call in dicts(item.get("tool_calls")):
        source = as_dict(call.get("function")) or as_dict(call.get("custom")) or call
        calls.append(tool_call_part(call.get("id"), source.get("name"), source.get("arguments", source.get("input"))))
    legacy = as_dict(item.get("function_call"))
    if legacy:
        calls.append(tool_call_part(None, legacy.get("name"), legacy.get("arguments")))
    return calls


def tool_definitions(tools: Any) -> list[Any]:
    """Return the tools offered, from OpenAI's, Anthropic's and Bedrock's shapes."""
    return [_tool(tool) for tool in dicts(tools)]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    source = as_dict(tool.get("function")) or as_dict(tool.get("custom")) or as_dict(tool.get("toolSpec")) or tool
    kind = name_of(tool.get("type")) or "function"
    name = name_of(source.get("name"))
    made: dict[str, Any] = {"type": "function" if kind == "custom" else kind, "name": name or kind}
    if isinstance(source.get("description"), str):
        made["description"] = source["description"]
    schema = source.get("parameters") or source.get("input_schema") or source.get("inputSchema")
    if isinstance(schema, dict):
        made["parameters"] = schema.get("json", schema) if "inputSchema" in source else schema
    return made


def output_type(response_format: Any) -> str:
    """Return the conventions' output type for a response format."""
    kind = name_of(as_dict(response_format).get("type"))
    return {"json_object": "json", "json_schema": "json", "text": "text"}.get(kind, "")
