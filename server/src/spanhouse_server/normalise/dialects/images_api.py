"""OpenAI's images API: words and images in, images out, and tokens where the model is not DALL·E.

No answer names its model, has an id or an end. A streamed one is told as its last event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanhouse_server.model.span import Message, Part, Span
from spanhouse_server.normalise.media_parts import media_part
from spanhouse_server.normalise.parts import fold_part

#: The types of the last events of streams.
_COMPLETED = ("image_generation.completed", "image_edit.completed")


def is_drawn(value: Any) -> bool:
    """Tell whether decoded JSON is an answer of the images API."""
    if not isinstance(value, dict):
        return False
    return _all_images(value["data"]) if "data" in value and "created" in value else _holds_image(value)


def _all_images(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and all(isinstance(item, dict) and _is_image(item) for item in data)


def _is_image(item: dict[str, Any]) -> bool:
    return "embedding" not in item and (_is_text(item.get("b64_json")) or _is_text(item.get("url")))


def _holds_image(event: Mapping[str, Any]) -> bool:
    return event.get("type") in _COMPLETED and _is_text(event.get("b64_json"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def drawn_messages(answer: Mapping[str, Any]) -> list[Message]:
    """Return the images of an answer, each behind the words that DALL·E made of the prompt."""
    kind = answer.get("output_format")
    mime_type = f"image/{kind if isinstance(kind, str) and kind else 'png'}"
    parts: list[Part] = []
    for item in [answer] if _holds_image(answer) else answer["data"]:
        if _is_text(item.get("revised_prompt")):
            parts.append({"type": "text", "content": item["revised_prompt"]})
        data = item.get("b64_json")
        if _is_text(data):
            parts.append(media_part("image", mime_type, data))
        else:
            parts.append(fold_part({"type": "image", "url": item["url"]}))
    return [{"role": "assistant", "parts": parts}]


def settle_drawn(span: Span) -> None:
    """Call the span what it is, and its output tokens: where nothing tells them apart they are those of images."""
    span.category, span.operation = "llm", "generate_content"
    span.parameters.setdefault("output_type", "image")
    if span.usage.image_output_tokens is None:
        span.usage.image_output_tokens = span.usage.output_tokens
