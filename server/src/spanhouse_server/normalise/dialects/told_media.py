"""Media that an emitter keeps only in the whole request or answer, beside messages that leave them out."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.blob import BLOB_SCHEME
from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects.provider_json import answer_messages, is_answer, read_request
from spanhouse_server.normalise.langfuse_media import TOKEN_START

_MEDIA = ("uri", "blob", "file")


def may_tell_media(text: Any) -> bool:
    """Tell whether an attribute's text refers to media in the store."""
    return type(text) is str and (BLOB_SCHEME in text or TOKEN_START in text)


def add_request_media(span: Span, request: Any) -> None:
    """Give the input messages what only the whole request has of images, sound and files."""
    if isinstance(request, dict):
        told = Span(span.raw)
        read_request(told, request)
        span.input_messages = _with_media(span.input_messages, told.input_messages)


def add_answer_media(span: Span, answer: Any) -> None:
    """Give the output messages what only the whole answer has."""
    if is_answer(answer):
        span.output_messages = _with_media(span.output_messages, answer_messages(answer))


def _with_media(messages: list[Message], told: list[Message]) -> list[Message]:
    """Return messages with the parts of those told that say the same words and show more."""
    if len(messages) != len(told):
        return messages
    return [
        {**message, "parts": other["parts"]}
        if _media(other) > _media(message) and _words(message) <= _words(other) and message["role"] == other["role"]
        else message
        for message, other in zip(messages, told, strict=True)
    ]


def _media(message: Message) -> int:
    return sum(part.get("type") in _MEDIA for part in message["parts"])


def _words(message: Message) -> set[str]:
    """Return a message's texts, without blocks of the provider's API that the emitter wrote as text."""
    texts = (part["content"] for part in message["parts"] if type(part.get("content")) is str)
    return {text for text in texts if not text.startswith('{"type"')}
