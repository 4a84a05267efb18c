"""Fold media in a message, wherever a vocabulary keeps their data, type or address, into OpenTelemetry message parts."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.blob import BLOB_SCHEME, Reference, read_reference
from spanhouse_server.model.span import Part
from spanhouse_server.normalise.attachments import ATTACHED, read_attachment
from spanhouse_server.normalise.langfuse_media import TOKEN_START, read_token

_MODALITIES = ("image", "audio", "video")
_DOCUMENTS = ("application/pdf", "application/vnd.", "application/json", "text/")
#: What stands in the place of media that lie elsewhere in the store.
_STORED = (BLOB_SCHEME, TOKEN_START)
#: What OpenInference writes in the place of what it leaves out.
_REDACTED = "__REDACTED__"


def part_from_url(modality: str, url: Any) -> Part | None:
    """Return a part for media at an address, in a data URL or elsewhere in the store; nothing where there is none."""
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
            return media_part(modality_of(mime_type, modality), mime_type or None, data)
    if url.startswith((*_STORED, ATTACHED)) or _is_left_out(url):
        return media_part(modality, None, url)
    return {"type": "uri", "modality": modality, "uri": url}


def fold_media(item: Part) -> Part | None:
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
            return part_from_url(modality, source["url"])
        if source.get("file_id"):
            return {"type": "file", "modality": modality, "file_id": source["file_id"]}
    audio = item.get("input_audio")
    if isinstance(audio, dict):
        mime_type = f"audio/{audio['format']}" if isinstance(audio.get("format"), str) else None
        return media_part("audio", mime_type, audio.get("data"))
    mime_type = next((item[key] for key in _MIME_KEYS if isinstance(item.get(key), str)), None)
    if mime_type is not None:
        modality = modality_of(mime_type, modality)
    for key in _DATA_KEYS:
        data = item.get(key)
        data = data.get("data") if isinstance(data, dict) else data
        if isinstance(data, str) and data:
            is_address = data.startswith("data:") or "://" in data[:16]
            return part_from_url(modality, data) if is_address else media_part(modality, mime_type, data)
    if item.get("file_id"):
        return {"type": "file", "modality": modality, "file_id": item["file_id"]}
    for key in _URL_KEYS:
        if item.get(key):
            return part_from_url(modality, item[key])
    return {"type": "file", "modality": modality, "file_id": item["id"]} if item.get("id") else None


#: Where vocabularies keep the type of media, their data in base64, an address.
_MIME_KEYS = ("mime_type", "media_type", "mimeType", "mediaType")
_DATA_KEYS = ("data", "base64", "file_data")
_URL_KEYS = ("image_url", "video_url", "audio_url", "image", "url", "file_url", "file_uri", "fileUri")


def modality_of(mime_type: str, otherwise: str) -> str:
    """Return the modality of a media type, or ``otherwise``."""
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
    part: Part = {"type": "uri", "modality": modality_of(kind, modality), "uri": stored.uri}
    if kind:
        part["mime_type"] = kind
    if stored.size_bytes is not None:
        part["size_bytes"] = stored.size_bytes
    if stored.truncated:
        part["truncated"] = True
    return part


def fold_inline(item: Part) -> Part | None:
    """Fold OpenTelemetry's own part for media; one that holds its content stays."""
    content, modality = item.get("content", item.get("data")), item.get("modality")  # the latter in Google's kit
    if type(content) is not str or not (content.startswith((*_STORED, "data:")) or _is_left_out(content)):
        return None
    modality = modality if isinstance(modality, str) else modality_of(str(item.get("mime_type")), "document")
    if content.startswith("data:"):
        return part_from_url(modality, content)
    return media_part(modality, item.get("mime_type"), content)


def fold_file(item: Part) -> Part | None:
    """Fold a file that holds its data or address; one told by its id in OpenTelemetry's words stays."""
    return None if "file_id" in item and "modality" in item else fold_media(item)


def fold_drawn(item: Part) -> Part | None:
    """Fold a picture that OpenAI's Responses API made by a tool of its own."""
    data = item.get("result")
    return media_part("image", f"image/{item.get('output_format') or 'png'}", data) if isinstance(data, str) else None


def fold_told_call(item: Part) -> Part | None:
    """Fold a picture that OpenTelemetry tells of as a tool of the provider; other such tools stay."""
    call = item.get("server_tool_call")
    drawn = isinstance(call, dict) and str(call.get("type")).startswith("image_generation")
    return fold_drawn(call) if isinstance(call, dict) and drawn else None
