"""Calls as they pass the relay: what was asked, what was answered, and what a reader must find in it."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spanhouse_collector.parse.contract import CallContext, CallEnd, CallRecord, CallStart, Limits
from spanhouse_collector.parse.reader import CallReader

START_NS = 1_900_000_000_000_000_000
MS = 1_000_000

Json = dict[str, Any]
Split = Callable[[bytes], Sequence[bytes]]


@dataclass(frozen=True)
class Call:
    """One recorded call. ``usage`` is (input, output, cache read, cache write, reasoning) as served."""

    name: str
    provider: str
    path: str
    request: Json
    body: bytes
    content_type: str = "text/event-stream"
    query: str = ""
    status: int = 200
    usage: tuple[int | None, ...] = (None, None, None, None, None)
    text: str = ""
    model: str = ""
    finish: tuple[str, ...] = ()
    tools: tuple[tuple[str, Any], ...] = ()
    reasoning: str = ""
    error: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    request_headers: tuple[tuple[str, str], ...] = field(default=(("content-type", "application/json"),))


def whole(body: bytes) -> Sequence[bytes]:
    """Leave a body in one piece."""
    return [body]


def bytewise(body: bytes) -> Sequence[bytes]:
    """Cut a body into single bytes."""
    return [body[place : place + 1] for place in range(len(body))]


def start_of(call: Call, **more: Any) -> CallStart:
    """Return the start of a call."""
    url = f"https://upstream.example/{call.provider}{call.path}"
    return CallStart(
        call_id=more.pop("call_id", f"call-{call.name}"),
        provider=call.provider,
        upstream_url=more.pop("upstream_url", url),
        method="POST",
        path=call.path,
        query=call.query,
        request_headers=[*call.request_headers, *more.pop("request_headers", ())],
        started_ns=START_NS,
        traceparent=more.pop("traceparent", ""),
        context=more.pop("context", CallContext()),
    )


def read(
    call: Call, split: Split = whole, limits: Limits | None = None, end: Json | None = None, **more: Any
) -> CallRecord:
    """Read a call with its answer cut up; every piece arrives a millisecond after the one before."""
    reader = CallReader(start_of(call, **more), limits)
    for piece in split(json.dumps(call.request).encode()):
        reader.request_chunk(piece)
    reader.request_end()
    reader.response_start(call.status, [("content-type", call.content_type), *call.headers], START_NS + MS)
    for piece in split(call.body):
        reader.response_chunk(piece, START_NS + 5 * MS)
    return reader.end(CallEnd(**{"outcome": "complete", "at_ns": START_NS + 900 * MS, **(end or {})}))


def found_in(record: CallRecord) -> Json:
    """Return what a reader found, in the words of ``Call``."""
    reading = record.reading
    parts = [part for said in reading.output_messages for part in said["parts"]]
    used = reading.usage
    return {
        "usage": (
            used.input_tokens,
            used.output_tokens,
            used.cache_read_tokens,
            used.cache_write_tokens,
            used.reasoning_tokens,
        ),
        "text": "".join(part["content"] for part in parts if part["type"] == "text"),
        "reasoning": "".join(part["content"] for part in parts if part["type"] == "reasoning"),
        "tools": tuple((part["name"], part["arguments"]) for part in parts if part["type"] == "tool_call"),
        "model": reading.response_model,
        "finish": tuple(reading.finish_reasons),
        "error": reading.error_type,
    }


def expected(call: Call) -> Json:
    """Return what a reader must find."""
    keys = ("usage", "text", "reasoning", "tools", "model", "finish", "error")
    return {key: getattr(call, key) for key in keys}


def sse(*events: Any, end: str = "\n", space: str = " ") -> bytes:
    """Return unnamed server-sent events; texts go in as they are."""
    lines = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    return "".join(f"data:{space}{line}{end}{end}" for line in lines).encode()


def named(*events: tuple[str, Json]) -> bytes:
    """Return named server-sent events."""
    return "".join(f"event: {name}\ndata: {json.dumps({'type': name, **body})}\n\n" for name, body in events).encode()


def frame(event_type: str, payload: Json, message_type: str = "event") -> bytes:
    """Return one AWS event-stream frame."""
    key = ":event-type" if message_type == "event" else ":exception-type"
    headers = b""
    for name, value in ((key, event_type), (":content-type", "application/json"), (":message-type", message_type)):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    rest = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return rest + struct.pack(">I", zlib.crc32(rest))


def invoked(event: Json) -> bytes:
    """Return a model's own event as Bedrock's invoke API wraps it."""
    return frame("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abcdef"})
