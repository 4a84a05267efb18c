"""OpenAI's Chat Completions and Embeddings on the wire."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.fakes import media
from tests.fakes.answers import (
    AUDIO_TOKENS,
    SPOKEN_TOKENS,
    Answer,
    Ask,
    Tool,
    ToolCall,
    Turn,
    chop,
    count_tokens,
    pieces,
)
from tests.fakes.knobs import Knobs

CREATED = 1_760_000_000
FINGERPRINT = "fp_fake000001"
EMBEDDING_SIZE = 8
SOUND_PIECE_BYTES = 6000

Json = dict[str, Any]


def read_ask(body: Json) -> Ask:
    """Read a chat request."""
    formatted = body.get("response_format") or {}
    schema = (formatted.get("json_schema") or {}).get("schema")
    if schema is None and formatted.get("type") == "json_object":
        schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    choice = body.get("tool_choice", "auto")
    return Ask(
        turns=[_turn(message) for message in body["messages"]],
        tools=[
            Tool(tool["function"]["name"], tool["function"].get("parameters") or {})
            for tool in body.get("tools") or []
            if tool.get("type") == "function"
        ],
        tool_choice=choice["function"]["name"] if isinstance(choice, dict) else choice,
        parallel=body.get("parallel_tool_calls") is not False,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        json_schema=schema,
    )


def _turn(message: Json) -> Turn:
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    calls = [
        ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    return Turn(
        role="system" if message["role"] == "developer" else message["role"],
        text=" ".join(part.get("text") or part.get("refusal") or "" for part in parts).strip(),
        tool_calls=calls,
        images=sum(1 for part in parts if part.get("type") == "image_url"),
        sounds=sum(1 for part in parts if part.get("type") == "input_audio"),
        files=sum(1 for part in parts if part.get("type") == "file"),
    )


def speaks(body: Json) -> bool:
    """Tell whether the answer is to be spoken."""
    return "audio" in (body.get("modalities") or ())


def usage(ask: Ask, reply: Answer, knobs: Knobs, choices: int = 1, spoken: bool = False) -> Json:
    """Return the usage object: cached and audio are part of input, reasoning and audio part of output."""
    prompt = ask.tokens + knobs.audio_tokens
    heard = knobs.audio_tokens + AUDIO_TOKENS * sum(turn.sounds for turn in ask.turns)
    said = SPOKEN_TOKENS * choices if spoken else 0
    completion = reply.tokens * choices + knobs.reasoning_tokens + said
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": knobs.cached(prompt), "audio_tokens": heard},
        "completion_tokens_details": {
            "reasoning_tokens": knobs.reasoning_tokens,
            "audio_tokens": said,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish_reason(reply: Answer) -> str:
    """Return ``tool_calls``, ``length`` or ``stop``."""
    if reply.tool_calls:
        return "tool_calls"
    return "length" if reply.cut else "stop"


def completion(
    response_id: str, reply: Answer, knobs: Knobs, used: Json, choices: int = 1, spoken: bool = False
) -> Json:
    """Return the whole answer of a call that does not stream; what is ``spoken`` stands there as sound and transcript."""
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
    if spoken:
        sound = base64.b64encode(media.file("spoken.wav")).decode()
        tail = response_id.removeprefix("chatcmpl-")
        message["audio"] = {"id": f"audio_{tail}", "data": sound, "expires_at": CREATED, "transcript": reply.text}
        message["content"] = None
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.tool_calls
        ]
    return {
        "id": response_id,
        "object": "chat.completion",
        "created": CREATED,
        "model": knobs.served_model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason(reply)}
            for index in range(choices)
        ],
        "usage": used,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def stream(
    response_id: str,
    reply: Answer,
    knobs: Knobs,
    used: Json,
    *,
    include_usage: bool,
    choices: int = 1,
    spoken: bool = False,
) -> Iterator[bytes]:
    """Yield the server-sent events of a streamed answer, ``[DONE]`` included.

    What is ``spoken`` comes as transcript and as pieces of sound (``pcm16``, the only format the API streams).
    """
    frame: Json = {
        "id": response_id,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": knobs.served_model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }

    def chunk(index: int, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**frame, "choices": [choice], **({"usage": None} if include_usage else {})})

    for index in range(choices):
        first: Json = {"role": "assistant", "content": None if reply.tool_calls else "", "refusal": None}
        yield chunk(index, first)
        if spoken:
            tail = response_id.removeprefix("chatcmpl-")
            yield chunk(index, {"audio": {"id": f"audio_{tail}", "transcript": ""}})
        for piece in pieces(reply.text):
            yield chunk(index, {"audio": {"transcript": piece}} if spoken else {"content": piece})
        if spoken:
            sound = media.file("spoken.pcm")
            for start in range(0, len(sound), SOUND_PIECE_BYTES):
                piece = base64.b64encode(sound[start : start + SOUND_PIECE_BYTES]).decode()
                yield chunk(index, {"audio": {"data": piece}})
            yield chunk(index, {"audio": {"expires_at": CREATED}})
        for position, call in enumerate(reply.tool_calls):
            head = {"index": position, "id": call.id, "type": "function"}
            yield chunk(index, {"tool_calls": [{**head, "function": {"name": call.name, "arguments": ""}}]})
            for part in chop(call.arguments):
                yield chunk(index, {"tool_calls": [{"index": position, "function": {"arguments": part}}]})
        yield chunk(index, {}, finish_reason(reply))
    if include_usage:
        yield sse({**frame, "choices": [], "usage": used})
    yield b"data: [DONE]\n\n"


def sse(event: Json) -> bytes:
    """Return one unnamed server-sent event."""
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def embedding_inputs(body: Json) -> list[Any]:
    """Return the inputs of an embeddings request: texts, or lists of token ids."""
    given = body["input"]
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        return [given]
    return list(given)


def embedding_tokens(inputs: list[Any]) -> int:
    """Return the tokens of the inputs: words of a text, or the number of token ids."""
    return sum(count_tokens(item) if isinstance(item, str) else len(item) for item in inputs)


def embeddings(body: Json, knobs: Knobs, used: Json) -> Json:
    """Return unit-length vectors made from a hash of each input, as floats or base64 float32."""
    size = body.get("dimensions") or EMBEDDING_SIZE
    as_base64 = body.get("encoding_format") == "base64"
    data = []
    for index, item in enumerate(embedding_inputs(body)):
        vector = unit_vector(json.dumps(item), size)
        packed: Any = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() if as_base64 else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    return {"object": "list", "data": data, "model": knobs.served_model, "usage": used}


def unit_vector(text: str, size: int) -> list[float]:
    """Return a vector of length one that follows from the text."""
    digest = hashlib.shake_256(text.encode()).digest(size)
    raw = [byte - 127.5 for byte in digest]
    length = sum(value * value for value in raw) ** 0.5
    return [value / length for value in raw]
