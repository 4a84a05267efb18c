"""Fold one piece of message content, of any provider's shape, into an OpenTelemetry message part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spanhouse_server.model.span import Part
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.media_parts import (
    fold_drawn,
    fold_file,
    fold_inline,
    fold_media,
    fold_told_call,
    media_part,
    modality_of,
    part_from_url,
)

MAX_PARTS = 10_000


def text_part(text: str) -> Part:
    """Return a text part."""
    return {"type": "text", "content": text}


def tool_call_part(call_id: Any, name: Any, arguments: Any) -> Part:
    """Return a tool call; arguments in JSON text, or as Python shows them, become the object they spell."""
    part: Part = {"type": "tool_call"}
    if call_id:
        part["id"] = call_id
    part["name"] = name if isinstance(name, str) else ""
    part["arguments"] = opened(arguments)
    if type(part["arguments"]) is str and part["arguments"][:1] == "{":
        found, cut = jsontext.parse_python(part["arguments"])
        part["arguments"] = part["arguments"] if cut else found
    return part


def tool_response_part(call_id: Any, response: Any) -> Part:
    """Return a tool's answer; JSON objects and arrays in text are opened, other text stays text."""
    part: Part = {"type": "tool_call_response"}
    if call_id:
        part["id"] = call_id
    part["response"] = opened(response)
    return part


def opened(value: Any) -> Any:
    """Return what JSON text spells, or the value itself; a cut text stays as it came."""
    if not isinstance(value, str):
        return value
    found, cut = jsontext.parse(value)
    return value if cut else found


def fold_parts(value: Any) -> list[Part]:
    """Return the parts of a message's content: text, one block, a list of either, or nothing."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [text_part(value)]
    if isinstance(value, dict):
        return [fold_part(value)]
    if isinstance(value, list):
        return [
            item
            if type(item) is dict and item.get("type") == "text" and type(item.get("content")) is str
            else fold_part(item)
            for item in (value if len(value) <= MAX_PARTS else value[:MAX_PARTS])
            if type(item) is dict or (item is not None and item != "")
        ]
    return [text_part(jsontext.dump(value))]


def fold_part(item: Any) -> Part:
    """Return one part. Known shapes of other vocabularies are translated, unknown ones kept."""
    if not isinstance(item, dict):
        return text_part(item if isinstance(item, str) else jsontext.dump(item))
    kind = item.get("type")
    if kind == "text" and type(item.get("content")) is str:
        return item
    folder = _FOLDERS.get(kind) if isinstance(kind, str) else None
    if folder is None and kind is None:
        folder = next((fold for key, fold in _UNTYPED.items() if item.get(key) is not None), None)
    part = folder(item) if folder is not None else None
    if part is not None:
        return part
    return item if isinstance(kind, str) and kind else {"type": "unknown", "content": item}


def _text(item: Part) -> Part | None:
    for key in ("content", "text", "input_text", "output_text", "refusal"):
        value = item.get(key)
        if isinstance(value, str):
            return {"type": "text", "content": value}
        if isinstance(value, dict) and isinstance(value.get("value"), str):
            return {"type": "text", "content": value["value"]}
    return None


def _reasoning(item: Part) -> Part | None:
    for key in ("content", "thinking", "reasoning", "text"):
        value = item.get(key)
        if isinstance(value, str):
            return (
                item
                if key == "content" and item.get("type") == "reasoning"
                else {"type": "reasoning", "content": value}
            )
    summary = item.get("summary") or item.get("content")
    if isinstance(summary, list):
        texts = [block["text"] for block in summary if isinstance(block, dict) and isinstance(block.get("text"), str)]
        return {"type": "reasoning", "content": "\n".join(texts)}
    return None


def _tool_call(item: Part) -> Part | None:
    function = item.get("function") if isinstance(item.get("function"), dict) else item.get("functionCall")
    if item.get("type") == "tool_call" and not isinstance(item.get("arguments"), str) and function is None:
        return item if "arguments" in item else tool_call_part(item.get("id"), item.get("name"), item.get("args"))
    source = function if isinstance(function, dict) else item
    arguments = next((source[key] for key in ("arguments", "args", "input") if source.get(key) is not None), None)
    return tool_call_part(item.get("call_id") or item.get("id"), source.get("name"), arguments)


def _tool_response(item: Part) -> Part | None:
    keys = ("response", "result", "output", "content")
    response = next((item[key] for key in keys if item.get(key) is not None), None)
    call_id = item.get("id") or item.get("tool_use_id") or item.get("tool_call_id") or item.get("call_id")
    if item.get("type") in ("function_call_output", "custom_tool_call_output"):
        call_id = item.get("call_id") or call_id
    if isinstance(response, list):
        response = plain_text(response) or response
    return tool_response_part(call_id, response)


def plain_text(blocks: list[Any]) -> str | None:
    """Return the joined text of blocks that are all text, else ``None``."""
    texts = []
    for block in blocks:
        part = fold_part(block)
        if part.get("type") != "text" or not isinstance(part.get("content"), str):
            return None
        texts.append(part["content"])
    return "\n".join(texts)


def _hosted_call(item: Part) -> Part | None:
    """Fold what OpenAI's Responses API tells of a tool that it runs itself, call and result in one."""
    kind = str(item.get("type"))
    rest = {key: value for key, value in item.items() if key != "id"}
    return {
        "type": "server_tool_call",
        "id": item.get("id"),
        "name": item.get("name") or kind.removesuffix("_call"),
        "server_tool_call": rest,
    }


def _server_call(item: Part) -> Part | None:
    """Fold the call of a tool that the provider runs itself (Anthropic)."""
    name = item.get("name")
    call = {"type": name, "input": opened(item.get("input"))}
    return {"type": "server_tool_call", "id": item.get("id"), "name": name, "server_tool_call": call}


def _server_response(item: Part) -> Part | None:
    """Fold what such a tool gave."""
    response = {"type": item.get("type"), "content": item.get("content")}
    return {"type": "server_tool_call_response", "id": item.get("tool_use_id"), "server_tool_call_response": response}


def _binary(item: Part) -> Part | None:
    """Fold media that names its type beside its data (pydantic-ai)."""
    mime_type, content = item.get("media_type"), item.get("content")
    if not isinstance(mime_type, str) or not isinstance(content, str):
        return None
    return media_part(modality_of(mime_type, "document"), mime_type, content)


def _uri(item: Part) -> Part | None:
    """Fold the data of a ``data:`` address into a blob; other addresses stay."""
    uri = item.get("uri")
    if not isinstance(uri, str) or not uri.startswith("data:"):
        return None
    modality = item.get("modality")
    return part_from_url(modality if isinstance(modality, str) else "document", uri)


def _inline_data(item: Part) -> Part | None:
    data = item.get("inlineData") or item.get("inline_data")
    if not isinstance(data, dict):
        return None
    mime_type = data.get("mimeType") or data.get("mime_type") or ""
    return media_part(modality_of(str(mime_type), "document"), mime_type, data.get("data"))


def _wrapped(key: str, fold: Callable[[Part], Part | None]) -> Callable[[Part], Part | None]:
    def unwrap(item: Part) -> Part | None:
        inner = item.get(key)
        return fold(inner) if isinstance(inner, dict) else None

    return unwrap


def _bedrock_call(item: Part) -> Part | None:
    return tool_call_part(item.get("toolUseId"), item.get("name"), item.get("input"))


def _bedrock_response(item: Part) -> Part | None:
    content = item.get("content")
    response = (plain_text(content) or content) if isinstance(content, list) else content
    return tool_response_part(item.get("toolUseId"), response)


def _gemini_response(item: Part) -> Part | None:
    return tool_response_part(item.get("id") or item.get("name"), item.get("response"))


#: Tools that OpenAI's Responses API runs itself.
HOSTED_CALLS = ("web_search_call", "file_search_call", "code_interpreter_call", "mcp_call", "local_shell_call")
_FOLDERS: dict[str, Callable[[Part], Part | None]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "tool_call": _tool_call,
    "tool_use": _tool_call,
    "function": _tool_call,
    "function_call": _tool_call,
    "tool_call_response": _tool_response,
    "tool_result": _tool_response,
    "function_call_output": _tool_response,
    "image": fold_media,
    "image_url": fold_media,
    "input_image": fold_media,
    "input_audio": fold_media,
    "input_file": fold_media,
    "output_audio": fold_media,
    "audio": fold_media,
    "video": fold_media,
    "video_url": fold_media,
    "audio_url": fold_media,
    "media": fold_media,
    "file": fold_file,
    "image_generation_call": fold_drawn,
    "custom_tool_call": _tool_call,
    "custom_tool_call_output": _tool_response,
    **dict.fromkeys(HOSTED_CALLS, _hosted_call),
    "server_tool_use": _server_call,
    "server_tool_call": fold_told_call,
    "web_search_tool_result": _server_response,
    "web_fetch_tool_result": _server_response,
    "code_execution_tool_result": _server_response,
    "document": fold_media,
    "binary": _binary,
    "image-url": fold_media,
    "audio-url": fold_media,
    "video-url": fold_media,
    "document-url": fold_media,
    "uri": _uri,
    "blob": fold_inline,
}
#: Bedrock and Gemini name the kind of a block by its only key.
_UNTYPED: dict[str, Callable[[Part], Part | None]] = {
    "text": _text,
    "toolUse": _wrapped("toolUse", _bedrock_call),
    "toolResult": _wrapped("toolResult", _bedrock_response),
    "functionCall": _tool_call,
    "function_call": _wrapped("function_call", _tool_call),
    "functionResponse": _wrapped("functionResponse", _gemini_response),
    "function_response": _wrapped("function_response", _gemini_response),
    "inlineData": _inline_data,
    "inline_data": _inline_data,
    "fileData": _wrapped("fileData", fold_media),
    "file_data": _wrapped("file_data", fold_media),
    "reasoningContent": _wrapped("reasoningContent", lambda item: _reasoning(item.get("reasoningText") or item)),
    "content": _text,
}
