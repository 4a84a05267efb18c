"""Google's Gemini API on the wire: ``generateContent``, its stream, embeddings and token counting.

``promptTokenCount`` includes cached tokens; ``candidatesTokenCount`` leaves thoughts out, which
stand beside it in ``thoughtsTokenCount``, as in the real API. Function calls carry ids.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.fakes import media
from tests.fakes.answers import (
    AUDIO_TOKENS,
    DRAWN_TOKENS,
    IMAGE_TOKENS,
    REASONING_TEXT,
    Answer,
    Ask,
    Tool,
    ToolCall,
    Turn,
    count_tokens,
    pieces,
)
from tests.fakes.knobs import Knobs
from tests.fakes.openai_chat import EMBEDDING_SIZE, sse, unit_vector

Json = dict[str, Any]

#: What stands behind the colon of the path, and the API it is.
APIS = {
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "embedContent": "gemini_embeddings",
    "batchEmbedContents": "gemini_embeddings",
    "countTokens": "gemini_count",
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def read_ask(body: Json) -> Ask:
    """Read a ``generateContent`` request."""
    turns: list[Turn] = []
    system = body.get("systemInstruction")
    if system:
        turns.append(Turn("system", _text(system["parts"])))
    for content in body["contents"]:
        turns += _turns(content)
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    wants_json = config.get("responseMimeType") == "application/json"
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Ask(
        turns=turns,
        tools=[
            Tool(tool["name"], _lower_types(_parameters(tool)))
            for group in body.get("tools") or []
            for tool in group.get("functionDeclarations") or []
        ],
        tool_choice={"NONE": "none", "ANY": "required"}.get(calling.get("mode", ""), "auto"),
        max_tokens=config.get("maxOutputTokens"),
        json_schema=_lower_types(schema) if wants_json and schema else None,
    )


def _parameters(tool: Json) -> Json:
    """Return a function's schema; the API takes proto names as well as their JSON spelling."""
    keys = ("parametersJsonSchema", "parameters_json_schema", "parameters")
    schema: Json = next((tool[key] for key in keys if tool.get(key)), {})
    return schema


def _text(parts: list[Json]) -> str:
    return " ".join(part["text"] for part in parts if "text" in part and not part.get("thought")).strip()


def _turns(content: Json) -> list[Turn]:
    parts = content["parts"]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    if answers:
        return [Turn("tool", _said(answer.get("response"))) for answer in answers]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    return [
        Turn(
            role="assistant" if content.get("role") == "model" else "user",
            text=_text(parts),
            tool_calls=[
                ToolCall(call.get("id") or call["name"], call["name"], json.dumps(call.get("args") or {}))
                for call in calls
            ],
            images=sum(1 for part in parts if ("inlineData" in part and not _is_sound(part)) or "fileData" in part),
            sounds=sum(map(_is_sound, parts)),
        )
    ]


def _is_sound(part: Json) -> bool:
    data = part.get("inlineData") or {}
    return str(data.get("mimeType") or data.get("mime_type")).startswith("audio/")  # Google's client sends the latter


def _draws(body: Json) -> bool:
    return "IMAGE" in ((body.get("generationConfig") or {}).get("responseModalities") or ())


def _said(response: Any) -> str:
    """Return what a function answered: its only text field, else the JSON."""
    if isinstance(response, dict) and len(response) == 1 and isinstance(next(iter(response.values())), str):
        return str(next(iter(response.values())))
    return json.dumps(response)


def _lower_types(schema: Any) -> Any:
    """Return a schema with the API's upper-case types written as JSON Schema writes them."""
    if isinstance(schema, dict):
        return {
            key: value.lower() if key == "type" and isinstance(value, str) else _lower_types(value)
            for key, value in schema.items()
        }
    return [_lower_types(item) for item in schema] if isinstance(schema, list) else schema


def usage(ask: Ask, reply: Answer, knobs: Knobs, body: Json | None = None) -> Json:
    """Return ``usageMetadata``: cached is part of prompt, thoughts are not part of candidates."""
    prompt = ask.tokens
    seen = IMAGE_TOKENS * sum(turn.images for turn in ask.turns)
    heard = AUDIO_TOKENS * sum(turn.sounds for turn in ask.turns)
    drawn = DRAWN_TOKENS if body and _draws(body) else 0
    told = {"TEXT": prompt - seen - heard, "IMAGE": seen, "AUDIO": heard}
    counts: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": reply.tokens + drawn,
        "totalTokenCount": prompt + reply.tokens + drawn + knobs.reasoning_tokens,
        "promptTokensDetails": [{"modality": kind, "tokenCount": count} for kind, count in told.items() if count],
    }
    if drawn:
        counts["candidatesTokensDetails"] = [{"modality": "IMAGE", "tokenCount": drawn}]
    cached = knobs.cached(prompt)
    if cached:
        counts["cachedContentTokenCount"] = cached
        counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if knobs.reasoning_tokens:
        counts["thoughtsTokenCount"] = knobs.reasoning_tokens
    return counts


def finish_reason(reply: Answer) -> str:
    """Return ``STOP`` or ``MAX_TOKENS``; a function call ends with ``STOP`` too."""
    return "MAX_TOKENS" if reply.cut else "STOP"


def response(response_id: str, reply: Answer, knobs: Knobs, used: Json, body: Json) -> Json:
    """Return the whole answer of a call that does not stream."""
    return _frame(
        response_id, knobs, [*_thoughts(body, knobs), *_parts(reply), *_drawn(body)], finish_reason(reply), used
    )


def stream(response_id: str, reply: Answer, knobs: Knobs, used: Json, body: Json) -> Iterator[bytes]:
    """Yield the server-sent events of ``streamGenerateContent?alt=sse``; every one carries usage so far."""
    so_far = {"promptTokenCount": used["promptTokenCount"], "totalTokenCount": used["promptTokenCount"]}
    for thought in _thoughts(body, knobs):
        yield sse(_frame(response_id, knobs, [thought], None, so_far))
    for piece in pieces(reply.text)[:-1]:
        yield sse(_frame(response_id, knobs, [{"text": piece}], None, so_far))
    last = [{"text": pieces(reply.text)[-1]}] if reply.text else []
    yield sse(_frame(response_id, knobs, [*last, *_drawn(body), *_calls(reply)], finish_reason(reply), used))


def _frame(response_id: str, knobs: Knobs, parts: list[Json], finish: str | None, used: Json) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": used,
        "modelVersion": knobs.served_model,
        "responseId": response_id,
    }


def _thoughts(body: Json, knobs: Knobs) -> list[Json]:
    """Return the summary of the thoughts, where they happened and were asked for."""
    config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return (
        [{"text": REASONING_TEXT, "thought": True}] if knobs.reasoning_tokens and config.get("includeThoughts") else []
    )


def _parts(reply: Answer) -> list[Json]:
    return ([{"text": reply.text}] if reply.text else []) + _calls(reply)


def _drawn(body: Json) -> list[Json]:
    picture = {"mimeType": "image/png", "data": base64.b64encode(media.file("drawn.png")).decode()}
    return [{"inlineData": picture}] if _draws(body) else []


def _calls(reply: Answer) -> list[Json]:
    return [
        {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}
        for call in reply.tool_calls
    ]


def embedding_texts(body: Json) -> list[str]:
    """Return the texts of a single or a batch embedding request."""
    return [_text(request["content"]["parts"]) for request in body.get("requests") or [body]]


def embedding_tokens(body: Json) -> int:
    """Return the tokens of everything to embed. The real API does not report them."""
    return sum(count_tokens(text) for text in embedding_texts(body))


def embeddings(body: Json) -> Json:
    """Return one vector, or a batch of them."""
    vectors = [{"values": unit_vector(text, EMBEDDING_SIZE)} for text in embedding_texts(body)]
    return {"embeddings": vectors} if "requests" in body else {"embedding": vectors[0]}


def error_body(status: int, message: str) -> Json:
    """Return the error document."""
    return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}
