"""OpenAI's Responses on the wire."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from tests.fakes import media
from tests.fakes.answers import Answer, Ask, Tool, ToolCall, Turn, chop, pieces
from tests.fakes.knobs import Knobs
from tests.fakes.openai_chat import CREATED

Json = dict[str, Any]


def read_ask(body: Json, earlier: list[Turn]) -> Ask:
    """Read a Responses request; ``earlier`` are the turns of ``previous_response_id``."""
    turns = [Turn("system", body["instructions"])] if body.get("instructions") else []
    turns += [turn for turn in earlier if turn.role != "system"]
    given = body.get("input", "")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    turns += [turn for turn in map(_turn, items) if turn is not None]
    choice = body.get("tool_choice", "auto")
    formatted = (body.get("text") or {}).get("format") or {}
    return Ask(
        turns=turns,
        tools=[
            Tool(tool["name"], tool.get("parameters") or {})
            for tool in body.get("tools") or []
            if tool.get("type") == "function"
        ],
        tool_choice=choice.get("name", "auto") if isinstance(choice, dict) else choice,
        parallel=body.get("parallel_tool_calls") is not False,
        max_tokens=body.get("max_output_tokens"),
        json_schema=formatted.get("schema"),
    )


def _turn(item: Json) -> Turn | None:
    kind = item.get("type", "message")
    if kind == "function_call":
        return Turn("assistant", tool_calls=[ToolCall(item["call_id"], item["name"], item["arguments"])])
    if kind == "function_call_output":
        output = item["output"]
        return Turn("tool", output if isinstance(output, str) else json.dumps(output))
    if kind != "message":
        return None
    content = item["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return Turn(
        files=sum(1 for part in parts if part.get("type") == "input_file"),
        role="system" if item["role"] == "developer" else item["role"],
        text=" ".join(part.get("text", "") for part in parts).strip(),
        images=sum(1 for part in parts if part.get("type") == "input_image"),
    )


def draws(body: Json) -> bool:
    """Tell whether a picture is to be drawn: the tool for it is offered and the text asks so."""
    offered = any(tool.get("type") == "image_generation" for tool in body.get("tools") or [])
    return offered and "draw" in json.dumps(body.get("input", ""))[:1000].lower()


def usage(ask: Ask, reply: Answer, knobs: Knobs) -> Json:
    """Return the usage object: cached is part of input, reasoning part of output."""
    output = reply.tokens + knobs.reasoning_tokens
    return {
        "input_tokens": ask.tokens,
        "input_tokens_details": {"cached_tokens": knobs.cached(ask.tokens)},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": knobs.reasoning_tokens},
        "total_tokens": ask.tokens + output,
    }


def output_items(response_id: str, reply: Answer, knobs: Knobs, drawn: bool = False) -> list[Json]:
    """Return the output items: reasoning (when there is any), a picture, then the message or the calls."""
    tail = response_id.removeprefix("resp_")
    items: list[Json] = []
    if drawn:
        picture = {"type": "image_generation_call", "status": "completed", "output_format": "png"}
        items.append({"id": f"ig_{tail}", "result": b64encode(media.file("drawn.png")).decode(), **picture})
    if knobs.reasoning_tokens:
        items.append({"id": f"rs_{tail}", "type": "reasoning", "summary": []})
    if reply.text:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        status = "incomplete" if reply.cut else "completed"
        items.append({"id": f"msg_{tail}", "type": "message", "status": status, "role": "assistant", "content": [part]})
    for position, call in enumerate(reply.tool_calls):
        items.append(
            {
                "id": f"fc_{tail}_{position}",
                "type": "function_call",
                "status": "completed",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
            }
        )
    return items


def response(response_id: str, body: Json, reply: Answer, knobs: Knobs, used: Json) -> Json:
    """Return the whole response object as it is at the end."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if reply.cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": knobs.served_model,
        "output": output_items(response_id, reply, knobs, draws(body)),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": used,
        "user": body.get("user"),
    }


def stream(response_id: str, body: Json, reply: Answer, knobs: Knobs, used: Json) -> Iterator[bytes]:
    """Yield the named, numbered events; the last is ``response.completed`` or ``.incomplete``."""
    final = response(response_id, body, reply, knobs, used)
    opening = {**final, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    sequence = 0

    def event(name: str, /, **fields: Any) -> bytes:
        nonlocal sequence
        payload = {"type": name, "sequence_number": sequence, **fields}
        sequence += 1
        return f"event: {name}\ndata: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()

    yield event("response.created", response=opening)
    yield event("response.in_progress", response=opening)
    for index, item in enumerate(final["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            part = item["content"][0]
            where = {**place, "content_index": 0}
            yield event(
                "response.output_item.added",
                output_index=index,
                item={**item, "status": "in_progress", "content": []},
            )
            yield event("response.content_part.added", **where, part={**part, "text": ""})
            for piece in pieces(part["text"]):
                yield event("response.output_text.delta", **where, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, part=part)
        elif item["type"] == "function_call":
            yield event(
                "response.output_item.added",
                output_index=index,
                item={**item, "status": "in_progress", "arguments": ""},
            )
            for part in chop(item["arguments"]):
                yield event("response.function_call_arguments.delta", **place, delta=part)
            yield event(
                "response.function_call_arguments.done", **place, name=item["name"], arguments=item["arguments"]
            )
        elif item["type"] == "image_generation_call":
            yield event(
                "response.output_item.added",
                output_index=index,
                item={"id": item["id"], "type": item["type"], "status": "in_progress", "result": None},
            )
            for step in ("in_progress", "generating"):
                yield event(f"response.image_generation_call.{step}", **place)
            drawn = {"partial_image_index": 0, "partial_image_b64": item["result"]}
            yield event("response.image_generation_call.partial_image", **place, **drawn)
            yield event("response.image_generation_call.completed", **place)
        else:
            yield event("response.output_item.added", output_index=index, item=item)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(f"response.{final['status']}", response=final)
