"""Fold one piece of message content, of any provider's shape, into an OpenTelemetry message part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spanhouse_server.model.blob import BLOB_SCHEME, Reference, read_reference
from spanhouse_server.model.span import Part
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.attachments import ATTACHED, read_attachment
from spanhouse_server.normalise.langfuse_media import TOKEN_START, read_token

MAX_PARTS = 10_000
_MODALITIES = ("image", "audio", "video")
_DOCUMENTS = ("application/pdf", "application/vnd.", "application/json", "text/")
#: What stands in the place of media that lie elsewhere in the store.
_STORED = (BLOB_SCHEME, TOKEN_START)
#: What OpenInference writes in the place of what it leaves out.
_REDACTED = "__REDACTED__"


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


def _from_url(modality: str, url: Any) -> Part | None:
    if isinstance(url, dict):
        url = url.get("url") or url.get("image") or url.get("data")  # the last in Node's buffers
        if isinstance(url, dict):
            url = url.get("url")
    if not isinstance(url, str):
        return None
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        if comma:
            mime_type = head.partition(";")[0]
            return media_part(_modality_of(mime_type, modality), mime_type or None, data)
    if url.startswith((*_STORED, ATTACHED)) or _is_left_out(url):
        return media_part(modality, None, url)
    return {"type": "uri", "modality": modality, "uri": url}


def _media(item: Part) -> Part | None:
    """Fold an image, a sound, a video or a document, wherever its vocabulary keeps the data."""
    kind = str(item.get("type", ""))
    modality = next((known for known in _MODALITIES if known in kind), "document")
    inner = item.get("file") or item.get("audio")
    if isinstance(inner, dict):  # OpenAI's files and spoken answers
        item = {**item, **inner}
    source = item.get("source")
    if isinstance(source, dict):
        if source.get("type") == "base64" or "data" in source:
            return media_part(modality, source.get("media_type"), source.get("data"))
        if source.get("type") == "text":
            return {"type": "text", "content": str(source.get("data", ""))}
        if source.get("url"):
            return _from_url(modality, source["url"])
        if source.get("file_id"):
            return {"type": "file", "modality": modality, "file_id": source["file_id"]}
    audio = item.get("input_audio")
    if isinstance(audio, dict):
        mime_type = f"audio/{audio['format']}" if isinstance(audio.get("format"), str) else None
        return media_part("audio", mime_type, audio.get("data"))
    mime_type = next((item[key] for key in _MIME_KEYS if isinstance(item.get(key), str)), None)
    if mime_type is not None:
        modality = _modality_of(mime_type, modality)
    for key in _DATA_KEYS:
        data = item.get(key)
        data = data.get("data") if isinstance(data, dict) else data
        if isinstance(data, str) and data:
            is_address = data.startswith("data:") or "://" in data[:16]
            return _from_url(modality, data) if is_address else media_part(modality, mime_type, data)
    if item.get("file_id"):
        return {"type": "file", "modality": modality, "file_id": item["file_id"]}
    for key in _URL_KEYS:
        if item.get(key):
            return _from_url(modality, item[key])
    return {"type": "file", "modality": modality, "file_id": item["id"]} if item.get("id") else None


#: Where vocabularies keep the type of media, their data in base64, an address.
_MIME_KEYS = ("mime_type", "media_type", "mimeType", "mediaType")
_DATA_KEYS = ("data", "base64", "file_data")
_URL_KEYS = ("image_url", "video_url", "audio_url", "image", "url", "file_url", "file_uri", "fileUri")


def _modality_of(mime_type: str, otherwise: str) -> str:
    return next((known for known in _MODALITIES if mime_type.startswith(known)), otherwise)


def _is_left_out(content: Any) -> bool:
    """Tell whether an emitter's own word stands in the place of data: ``[base64_data truncated: 9KB]`` …"""
    return type(content) is str and (content[:1] in ("[", "<") or content == _REDACTED)


def media_part(modality: str, mime_type: Any, content: Any) -> Part:
    """Return a part for media in base64, or for the blob they were moved to (``normalise.media``)."""
    stored = None
    if type(content) is str and content.startswith(_STORED):
        stored = read_reference(content) or read_token(content)
    elif type(content) is str and content.startswith(ATTACHED):
        told = read_attachment(content)
        stored = Reference(content, told.size_bytes, told.media_type, False)
    if stored is None and _is_left_out(content):
        return {"type": "blob", "modality": modality, **({"mime_type": mime_type} if mime_type else {})}
    if stored is None:
        return {"type": "blob", "modality": modality, "mime_type": mime_type, "content": content}
    kind = mime_type if isinstance(mime_type, str) and mime_type else stored.media_type
    if kind.startswith(_DOCUMENTS):
        modality = "document"  # some emitters call everything an image
    part: Part = {"type": "uri", "modality": _modality_of(kind, modality), "uri": stored.uri}
    if kind:
        part["mime_type"] = kind
    if stored.size_bytes is not None:
        part["size_bytes"] = stored.size_bytes
    if stored.truncated:
        part["truncated"] = True
    return part


def _inline(item: Part) -> Part | None:
    """Fold OpenTelemetry's own part for media; one that holds its content stays."""
    content, modality = item.get("content", item.get("data")), item.get("modality")  # the latter in Google's kit
    if type(content) is not str or not (content.startswith((*_STORED, "data:")) or _is_left_out(content)):
        return None
    modality = modality if isinstance(modality, str) else _modality_of(str(item.get("mime_type")), "document")
    if content.startswith("data:"):
        return _from_url(modality, content)
    return media_part(modality, item.get("mime_type"), content)


def _file(item: Part) -> Part | None:
    """Fold a file that holds its data or address; one told by its id in OpenTelemetry's words stays."""
    return None if "file_id" in item and "modality" in item else _media(item)


def _drawn(item: Part) -> Part | None:
    """Fold a picture that OpenAI's Responses API made by a tool of its own."""
    data = item.get("result")
    return media_part("image", f"image/{item.get('output_format') or 'png'}", data) if isinstance(data, str) else None


def _told_call(item: Part) -> Part | None:
    """Fold a picture that OpenTelemetry tells of as a tool of the provider; other such tools stay."""
    call = item.get("server_tool_call")
    drawn = isinstance(call, dict) and str(call.get("type")).startswith("image_generation")
    return _drawn(call) if isinstance(call, dict) and drawn else None


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
    return media_part(_modality_of(mime_type, "document"), mime_type, content)


def _uri(item: Part) -> Part | None:
    """Fold the data of a ``data:`` address into a blob; other addresses stay."""
    uri = item.get("uri")
    if not isinstance(uri, str) or not uri.startswith("data:"):
        return None
    modality = item.get("modality")
    return _from_url(modality if isinstance(modality, str) else "document", uri)


def _inline_data(item: Part) -> Part | None:
    data = item.get("inlineData") or item.get("inline_data")
    if not isinstance(data, dict):
        return None
    mime_type = data.get("mimeType") or data.get("mime_type") or ""
    return media_part(_modality_of(str(mime_type), "document"), mime_type, data.get("data"))


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
    "image": _media,
    "image_url": _media,
    "input_image": _media,
    "input_audio": _media,
    "input_file": _media,
    "output_audio": _media,
    "audio": _media,
    "video": _media,
    "video_url": _media,
    "audio_url": _media,
    "media": _media,
    "file": _file,
    "image_generation_call": _drawn,
    "custom_tool_call": _tool_call,
    "custom_tool_call_output": _tool_response,
    **dict.fromkeys(HOSTED_CALLS, _hosted_call),
    "server_tool_use": _server_call,
    "server_tool_call": _told_call,
    "web_search_tool_result": _server_response,
    "web_fetch_tool_result": _server_response,
    "code_execution_tool_result": _server_response,
    "document": _media,
    "binary": _binary,
    "image-url": _media,
    "audio-url": _media,
    "video-url": _media,
    "document-url": _media,
    "uri": _uri,
    "blob": _inline,
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
    "fileData": _wrapped("fileData", _media),
    "file_data": _wrapped("file_data", _media),
    "reasoningContent": _wrapped("reasoningContent", lambda item: _reasoning(item.get("reasoningText") or item)),
    "content": _text,
}
