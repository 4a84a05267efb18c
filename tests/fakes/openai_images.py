"""OpenAI's images on the wire: drawn from words (``generations``) and from other images (``edits``).

GPT's image models answer in base64 and tell their tokens; DALL·E's answer with addresses and tell none. No answer
names its model or has an id.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from tests.fakes import media
from tests.fakes.answers import DRAWN_TOKENS, IMAGE_TOKENS, count_tokens
from tests.fakes.openai_chat import CREATED, sse

Json = dict[str, Any]

_LOOKS = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}


def usage(body: Json) -> Json | None:
    """Return the usage object: words and images of the request, ``DRAWN_TOKENS`` for each image drawn.

    A stream does not tell whose the output tokens are: all are those of images.
    """
    if body["model"].startswith("dall-e"):
        return None
    given = body.get("image") or []
    said, seen = count_tokens(body["prompt"]), IMAGE_TOKENS * (1 if isinstance(given, str) else len(given))
    drawn = DRAWN_TOKENS * int(body.get("n") or 1)
    details = {} if body.get("stream") else {"output_tokens_details": {"text_tokens": 0, "image_tokens": drawn}}
    return {
        "input_tokens": said + seen,
        "input_tokens_details": {"text_tokens": said, "image_tokens": seen},
        "output_tokens": drawn,
        **details,
        "total_tokens": said + seen + drawn,
    }


def images(body: Json, used: Json | None) -> Json:
    """Return the whole answer of a call that does not stream."""
    count = int(body.get("n") or 1)
    if used is None:
        picture = {"url": "https://images.invalid/drawn.png", "revised_prompt": f"A drawing: {body['prompt']}"}
        return {"created": CREATED, "data": [picture] * count}
    return {"created": CREATED, **_LOOKS, "data": [{"b64_json": _drawn()}] * count, "usage": used}


def stream(body: Json, used: Json | None) -> Iterator[bytes]:
    """Yield the named events: an image that is not finished, then the one that is, with usage."""
    kind = "image_edit" if body.get("image") else "image_generation"
    frame = {"created_at": CREATED, **_LOOKS, "b64_json": _drawn()}
    for name, more in (("partial_image", {"partial_image_index": 0}), ("completed", {"usage": used})):
        yield f"event: {kind}.{name}\n".encode() + sse({"type": f"{kind}.{name}", **frame, **more})


def _drawn() -> str:
    return b64encode(media.file("drawn.png")).decode()
