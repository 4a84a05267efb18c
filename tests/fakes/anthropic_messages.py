"""Anthropic's Messages on the wire.

``input_tokens`` excludes what was read from or written to the cache, as in the real API. A block
marked with ``cache_control`` writes everything up to it to the cache the first time a prefix is
seen, and reads it from there afterwards (``CacheMemory``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answers import REASONING_TEXT, Answer, Ask, Tool, ToolCall, Turn, chop, count_tokens, pieces
from tests.fakes.knobs import REASONING_TOKENS, Knobs

SIGNATURE = "ZmFrZS1zaWduYXR1cmU="

Json = dict[str, Any]


@dataclass(slots=True)
class CacheMemory:
    """The prompt prefixes this provider has cached."""

    seen: set[str] = field(default_factory=set)

    def use(self, body: Json) -> tuple[int, int]:
        """Return the tokens (read, written) for a request and remember its marked prefix."""
        prefix, tokens = _marked_prefix(body)
        if not tokens:
            return 0, 0
        if prefix in self.seen:
            return tokens, 0
        self.seen.add(prefix)
        return 0, tokens


def _marked_prefix(body: Json) -> tuple[str, int]:
    texts: list[str] = []
    marked = 0
    system = body.get("system")
    blocks = list(system) if isinstance(system, list) else []
    for message in body["messages"]:
        blocks += message["content"] if isinstance(message["content"], list) else []
    for block in blocks:
        if block.get("type") == "text":
            texts.append(block["text"])
        if block.get("cache_control"):
            marked = len(texts)
    prefix = " ".join(texts[:marked])
    return prefix, count_tokens(prefix)


def read_ask(body: Json) -> Ask:
    """Read a Messages request."""
    turns = []
    system = body.get("system")
    if system:
        text = system if isinstance(system, str) else " ".join(block.get("text", "") for block in system)
        turns.append(Turn("system", text))
    for message in body["messages"]:
        turns += _turns(message)
    choice = body.get("tool_choice") or {"type": "auto"}
    named = {"any": "required", "tool": choice.get("name", "")}
    return Ask(
        turns=turns,
        tools=[Tool(tool["name"], tool.get("input_schema") or {}) for tool in body.get("tools") or []],
        tool_choice=named.get(choice["type"], choice["type"]),
        parallel=not choice.get("disable_parallel_tool_use"),
        max_tokens=body.get("max_tokens"),
    )


def _turns(message: Json) -> list[Turn]:
    """Return the turns of a message: each tool result is a turn of its own, before the user's text."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results = [Turn("tool", _result_text(block)) for block in blocks if block["type"] == "tool_result"]
    calls = [
        ToolCall(block["id"], block["name"], json.dumps(block["input"]))
        for block in blocks
        if block["type"] == "tool_use"
    ]
    text = " ".join(block["text"] for block in blocks if block["type"] == "text").strip()
    images = sum(1 for block in blocks if block["type"] == "image")
    files = sum(1 for block in blocks if block["type"] == "document")
    own = [Turn(message["role"], text, calls, images, files=files)] if text or calls or images or not results else []
    return results + own


def _result_text(block: Json) -> str:
    content = block.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def thinks(body: Json, knobs: Knobs) -> int:
    """Return the thinking tokens of the answer: those asked for, or the usual when thinking is on."""
    if knobs.reasoning_tokens:
        return knobs.reasoning_tokens
    return REASONING_TOKENS if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive") else 0


def usage(ask: Ask, reply: Answer, knobs: Knobs, thinking_tokens: int, cache: tuple[int, int]) -> Json:
    """Return the usage object, whose ``input_tokens`` excludes the cache buckets."""
    read = knobs.cached(ask.tokens) or cache[0]
    written = cache[1] if knobs.cache_write_tokens is None else min(knobs.cache_write_tokens, ask.tokens - read)
    return {
        "input_tokens": ask.tokens - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.tokens + thinking_tokens,
        "service_tier": "standard",
    }


def stop_reason(reply: Answer) -> str:
    """Return ``tool_use``, ``max_tokens`` or ``end_turn``."""
    if reply.tool_calls:
        return "tool_use"
    return "max_tokens" if reply.cut else "end_turn"


def message(response_id: str, reply: Answer, knobs: Knobs, used: Json, thinking_tokens: int) -> Json:
    """Return the whole answer of a call that does not stream."""
    content: list[Json] = []
    if thinking_tokens:
        content.append({"type": "thinking", "thinking": REASONING_TEXT, "signature": SIGNATURE})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in reply.tool_calls
    ]
    return {
        "id": response_id,
        "type": "message",
        "role": "assistant",
        "model": knobs.served_model,
        "content": content,
        "stop_reason": stop_reason(reply),
        "stop_sequence": None,
        "usage": used,
    }


def stream(response_id: str, reply: Answer, knobs: Knobs, used: Json, thinking_tokens: int) -> Iterator[bytes]:
    """Yield the named server-sent events of a streamed answer; usage in the delta is cumulative."""
    opening = message(response_id, Answer("", []), knobs, {**used, "output_tokens": 1}, 0)
    yield sse("message_start", {"message": {**opening, "stop_reason": None}})
    yield sse("ping", {})
    index = 0
    if thinking_tokens:
        yield _start(index, {"type": "thinking", "thinking": "", "signature": ""})
        for piece in pieces(REASONING_TEXT):
            yield _delta(index, {"type": "thinking_delta", "thinking": piece})
        yield _delta(index, {"type": "signature_delta", "signature": SIGNATURE})
        yield sse("content_block_stop", {"index": index})
        index += 1
    if reply.text:
        yield _start(index, {"type": "text", "text": ""})
        for piece in pieces(reply.text):
            yield _delta(index, {"type": "text_delta", "text": piece})
        yield sse("content_block_stop", {"index": index})
        index += 1
    for call in reply.tool_calls:
        yield _start(index, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
        yield _delta(index, {"type": "input_json_delta", "partial_json": ""})
        for part in chop(call.arguments):
            yield _delta(index, {"type": "input_json_delta", "partial_json": part})
        yield sse("content_block_stop", {"index": index})
        index += 1
    cumulative = {key: used[key] for key in used if key.endswith("tokens")}
    yield sse(
        "message_delta",
        {"delta": {"stop_reason": stop_reason(reply), "stop_sequence": None}, "usage": cumulative},
    )
    yield sse("message_stop", {})


def _start(index: int, block: Json) -> bytes:
    return sse("content_block_start", {"index": index, "content_block": block})


def _delta(index: int, delta: Json) -> bytes:
    return sse("content_block_delta", {"index": index, "delta": delta})


def sse(name: str, event: Json) -> bytes:
    """Return one named server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **event}, separators=(',', ':'))}\n\n".encode()
