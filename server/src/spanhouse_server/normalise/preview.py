"""What a person reads first of a span, and the text that search looks through."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from spanhouse_server.model.blob import BLOB_SCHEME, REFERENCE
from spanhouse_server.model.span import PREVIEW_CHARACTERS, Message, Part, Span
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.values import text_of

MAX_TEXT_BYTES = 64 * 1024
_MEDIA = ("blob", "file", "uri")
_REFERENCE = re.compile(rf"(?:data:[^,\s]{{0,128}},)?{REFERENCE.pattern}")
#: A preview is made from this much of a text; the rest could only be cut off.
_FIRST_CHARACTERS = PREVIEW_CHARACTERS + 20
_REPLACED_CHARACTERS = 20 * PREVIEW_CHARACTERS
_SOURCE_CHARACTERS = 2 * PREVIEW_CHARACTERS


def fill_previews(span: Span) -> None:
    """Fill in the previews and the search text from what was read."""
    if not (
        span.input_messages
        or span.output_messages
        or span.system_instructions
        or span.documents
        or span.tool_arguments is not None
        or span.tool_result is not None
    ):
        return  # as most spans around the calls of models
    span.input_preview = shorten(_input(span))
    span.output_preview = shorten(_output(span))
    span.text = bound(search_pieces(span))


def shorten(text: str) -> str:
    """Return text on one line, cut to the length of a preview."""
    if not text:
        return ""
    if text.find(BLOB_SCHEME, 0, _REPLACED_CHARACTERS) >= 0:
        text = _REFERENCE.sub(_media_word, text[:_REPLACED_CHARACTERS])
    if len(text) <= PREVIEW_CHARACTERS:
        return " ".join(text.split())
    if len(text) > _FIRST_CHARACTERS:  # mostly enough
        line = " ".join(text[:_FIRST_CHARACTERS].split())
        if len(line) > PREVIEW_CHARACTERS:
            return line[: PREVIEW_CHARACTERS - 1] + "…"
    line = " ".join(text[:_SOURCE_CHARACTERS].split())
    if len(line) < PREVIEW_CHARACTERS and len(text) > _SOURCE_CHARACTERS:
        line = " ".join(text[: 20 * PREVIEW_CHARACTERS].split())
    return line if len(line) <= PREVIEW_CHARACTERS else line[: PREVIEW_CHARACTERS - 1] + "…"


def _media_word(found: re.Match[str]) -> str:
    return f"[{found['type'] or 'media'}]"


def _input(span: Span) -> str:
    if span.category == "tool" and span.tool_arguments is not None:
        return _head(span.tool_arguments)
    last = ""
    for message in reversed(span.input_messages):
        text = message_text(message)
        if text and message["role"] == "user":
            return text
        last = last or text or _other_parts(message)
    return last


def _output(span: Span) -> str:
    if span.category == "tool" and span.tool_result is not None:
        return _head(span.tool_result)
    messages = span.output_messages
    if not messages:
        return next((str(document["content"]) for document in span.documents if document.get("content")), "")
    # Alternatives of one model: the first. Steps of an agent: where they ended.
    steps = len(messages) > 1 and any(message["role"] != "assistant" for message in messages)
    for message in reversed(messages) if steps else messages:
        if steps and message["role"] != "assistant":
            continue
        text = message_text(message)
        calls = "" if text and len(message["parts"]) == 1 else _calls(message)
        if text or calls:
            return f"{text} {calls}" if text and calls else text or calls
    return message_text(messages[-1]) or _other_parts(messages[-1])


def message_text(message: Message) -> str:
    """Return a message's text parts as one; a JSON object with a single text shows that text."""
    parts = message["parts"]
    if len(parts) == 1:
        part = parts[0]
        content = part.get("content") if part.get("type") == "text" else ""
        if type(content) is not str:
            return ""
        return _only_text(content) if content[:1] == "{" else content
    texts = [part["content"] for part in parts if part.get("type") == "text" and isinstance(part.get("content"), str)]
    return "\n".join(text for text in texts if text)


def _only_text(content: str) -> str:
    """Return the text inside ``{"question": "…"}``; other JSON stays as it is."""
    if len(content) > 65_536:
        return content
    value = jsontext.load(content)
    if isinstance(value, dict) and len(value) == 1:
        inner = next(iter(value.values()))
        if isinstance(inner, str) and inner:
            return inner
    return content


def _calls(message: Message) -> str:
    calls = [part for part in message["parts"][:16] if part.get("type") == "tool_call"]
    return ", ".join(map(_call, calls)) if calls else ""


def _call(part: Part) -> str:
    arguments = part.get("arguments")
    if isinstance(arguments, dict):
        inside = ", ".join(f"{key}={_head(value)}" for key, value in list(arguments.items())[:8])
    else:
        inside = _head(arguments)
    return f"{part.get('name') or 'tool'}({inside})"


def _other_parts(message: Message) -> str:
    for part in message["parts"]:
        kind = part.get("type")
        if kind == "tool_call_response":
            return _head(part.get("response"))
        if kind in ("reasoning", "refusal") and isinstance(part.get("content"), str):
            content: str = part["content"]
            return content
        if kind in _MEDIA:
            return f"[{part.get('modality') or kind}]"
    return _calls(message)


def _head(value: Any) -> str:
    """Return the beginning of any value as text, without writing out all of a large one."""
    return value if isinstance(value, str) else text_of(value)


def search_pieces(span: Span) -> list[str]:
    """Return the words of input and output: text, reasoning, tool calls and answers, documents."""
    pieces: list[str] = []
    _add_words(span.system_instructions, pieces)
    for message in span.input_messages:
        _add_words(message["parts"], pieces)
    if span.tool_arguments is not None:
        pieces.append(text_of(span.tool_arguments))
    for message in span.output_messages:
        _add_words(message["parts"], pieces)
    if span.tool_result is not None:
        pieces.append(text_of(span.tool_result))
    for document in span.documents:
        content = document.get("content")
        if content:
            pieces.append(content)
    return pieces


def _add_words(parts: Iterable[Part], pieces: list[str]) -> None:
    for part in parts:
        kind = part.get("type")
        if kind == "text":
            content = part.get("content")
            if type(content) is str:
                pieces.append(content)
        elif kind == "tool_call":
            pieces.append(str(part.get("name") or ""))
            pieces.append(text_of(part.get("arguments")))
        elif kind == "tool_call_response":
            pieces.append(text_of(part.get("response")))
        elif kind not in _MEDIA:
            content = part.get("content")
            if type(content) is str:
                pieces.append(content)


def bound(pieces: Iterable[str]) -> str:
    """Join texts within 64 KiB: of what is longer, the first and the last half are kept."""
    text = "\n".join(filter(None, pieces))
    if len(text) * 4 <= MAX_TEXT_BYTES or (len(text) <= MAX_TEXT_BYTES and text.isascii()):
        return text
    half = MAX_TEXT_BYTES // 2 - 4
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_TEXT_BYTES:
        return text
    return data[:half].decode("utf-8", "ignore") + "\n…\n" + data[-half:].decode("utf-8", "ignore")
