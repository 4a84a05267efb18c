"""Traces that the browser tests look at, sent over OTLP as any application would."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests import otlp
from tests.samples_media import b64, pdf, png, wav
from tests.server import Server

BIG_COUNT = 10_000
PAGING_COUNT = 250
_MS = 1_000_000
#: A drawing with a script in it, which must never be opened as a page of ours.
_DRAWING = b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.pwned=1</script></svg>" + b" " * 2000


def send(
    server: Server, *spans: dict[str, Any], service: str = "e2e", events: dict[int, list[Any]] | None = None
) -> None:
    """Send spans; ``events`` holds (name, attributes) by the span's place."""
    body = otlp.request(*spans, resource={"service.name": service})
    if events:
        message = ExportTraceServiceRequest.FromString(body)
        for place, items in events.items():
            span = message.resource_spans[0].scope_spans[0].spans[place]
            for name, attributes in items:
                span.events.add(
                    name=name, time_unix_nano=span.start_time_unix_nano, attributes=otlp.attributes(attributes)
                )
        body = message.SerializeToString()
    status, answer = server.request("/v1/traces", body, {"content-type": "application/x-protobuf"})
    assert status == 200, answer


def seed(server: Server) -> dict[str, Any]:
    """Send everything; return the ids by what they are."""
    ids = {
        "trip": _trip(server),
        "trip_chat": _span_id("trip-chat-2"),
        "failing": _failing(server),
        "orphans": _orphans(server),
        "hostile": _hostile(server),
        "hostile_chat": _span_id("hostile"),
        "heavy": _heavy(server),
        "media": _media(server),
        "wide": _big(server, "wide"),
        "deep": _big(server, "deep"),
        "big_count": BIG_COUNT,
        "late": {shape: _big_span_ids(shape)[BIG_COUNT * 2 // 3] for shape in ("wide", "deep")},
    }
    _everyday(server)
    _paging(server)
    server.wait_stored()
    return ids


def _trace_id(name: str) -> str:
    return f"{zlib.crc32(name.encode()):08x}" * 4


def _span_id(name: str) -> str:
    return f"{zlib.crc32(name.encode()):08x}" * 2


def _messages(*messages: tuple[str, list[Any]]) -> str:
    return json.dumps([{"role": role, "parts": parts} for role, parts in messages])


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def _chat(model: str = "gpt-4o-mini", **more: Any) -> dict[str, Any]:
    named = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": model}
    return named | {f"gen_ai.{key.replace('__', '.')}": value for key, value in more.items()}


def _trip(server: Server) -> str:
    """An agent that asks the weather: two model calls, a tool call between them, a session and a user."""
    trace, root, now = _trace_id("trip"), _span_id("trip-root"), time.time_ns() - 60_000 * _MS
    call = {"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}
    result = {"type": "tool_call_response", "id": "call_1", "response": {"temperature": 3}}
    question = ("user", [_text("What is the weather in Oslo? **now**")])
    asked = _chat(
        system_instructions=json.dumps([_text("You plan trips.")]),
        input__messages=_messages(question),
        output__messages=_messages(("assistant", [call])),
        usage__input_tokens=80,
        usage__output_tokens=20,
    )
    answered = _chat(
        system_instructions=json.dumps([_text("You plan trips.")]),
        input__messages=_messages(question, ("assistant", [call]), ("tool", [result])),
        output__messages=_messages(("assistant", [_text("It is **3 degrees** in Oslo.")])),
        usage__input_tokens=100,
        usage__output_tokens=12,
        usage__cache_read__input_tokens=40,
        response__time_to_first_chunk=0.2,
    )
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "gen_ai.tool.call.arguments": json.dumps({"city": "Oslo"}),
        "gen_ai.tool.call.result": json.dumps({"temperature": 3}),
    }
    hotel = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "book_hotel",
        "gen_ai.tool.call.result": "breakfast with marmalade",
    }
    context = {"session.id": "session-7", "user.id": "ada", "gen_ai.conversation.id": "session-7"}

    def child(name: str, key: str, start_ms: int, length_ms: int, attributes: dict[str, Any]) -> dict[str, Any]:
        return otlp.span(trace, _span_id(key), root, name, now + start_ms * _MS, length_ms * _MS, attributes=attributes)

    send(
        server,
        otlp.span(trace, root, "", "plan a trip", now, 3000 * _MS, attributes=context),
        child("chat gpt-4o-mini", "trip-chat-1", 10, 900, asked),
        child("execute_tool get_weather", "trip-tool", 950, 150, tool),
        child("chat gpt-4o-mini", "trip-chat-2", 1150, 1200, answered),
        child("book hotel", "trip-hotel", 2400, 500, hotel),
    )
    return trace


def _failing(server: Server) -> str:
    trace, root, now = _trace_id("failing"), _span_id("failing-root"), time.time_ns() - 50_000 * _MS
    charge = otlp.span(trace, _span_id("charge"), root, "charge card", now + 5 * _MS, 40 * _MS, status=2)
    charge["attributes"] = {"error.type": "CardDeclined"}
    body = otlp.request(otlp.span(trace, root, "", "checkout", now, 90 * _MS, status=2), charge)
    message = ExportTraceServiceRequest.FromString(body)
    message.resource_spans[0].scope_spans[0].spans[1].status.message = "the card was declined"
    status, answer = server.request(
        "/v1/traces", message.SerializeToString(), {"content-type": "application/x-protobuf"}
    )
    assert status == 200, answer
    return trace


def _orphans(server: Server) -> str:
    trace, now = _trace_id("orphans"), time.time_ns() - 40_000 * _MS
    lost, child = _span_id("lost"), _span_id("lost-child")
    send(
        server,
        otlp.span(trace, lost, _span_id("never sent"), "late worker", now, 50 * _MS),
        otlp.span(trace, child, lost, "its child", now + _MS, 20 * _MS),
    )
    return trace


_PWN = "window.pwned=true"
_HOSTILE = (
    f"<script>{_PWN}</script><img src=x onerror={_PWN}><svg onload={_PWN}>"
    f'<iframe srcdoc="<script>parent.{_PWN}</script>"></iframe><a href="javascript:{_PWN}">x</a>'
)
_HOSTILE_MARKDOWN = (
    f"# Title\n\n[click](javascript:{_PWN}) ![pixel](https://tracker.example/p.png) {_HOSTILE}\n\n"
    f'<form action="https://evil.example"><input></form>\n\n[ok](https://example.org)\n\n```html\n{_HOSTILE}\n```\n'
)
_PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f"
    b"\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
).decode()


def _hostile(server: Server) -> str:
    trace = _trace_id("hostile")
    parts = [
        _text(_HOSTILE),
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": _PIXEL},
        {"type": "uri", "modality": "image", "uri": "https://tracker.example/image.png"},
        {"type": f"<b onmouseover={_PWN}>", "content": _HOSTILE},
    ]
    attributes = _chat(
        model=_HOSTILE,
        input__messages=_messages(("user", parts)),
        output__messages=_messages(("assistant", [_text(_HOSTILE_MARKDOWN)])),
    )
    attributes |= {_HOSTILE: _HOSTILE, "user.id": _HOSTILE, "session.id": '"><script>window.pwned=1</script>'}
    span = otlp.span(trace, _span_id("hostile"), "", _HOSTILE, time.time_ns() - 30_000 * _MS, attributes=attributes)
    send(server, span, service="hostile", events={0: [(_HOSTILE, {_HOSTILE: _HOSTILE})]})
    return trace


def _media(server: Server) -> str:
    """A call that was shown media of every kind, with one that is not stored; its tool answered with an image."""
    trace = _trace_id("media")
    inline = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": _PIXEL}
    given = [
        _text("What is all this?"),
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": b64(png(120, 80))},
        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": b64(wav())},
        {"type": "blob", "modality": "document", "mime_type": "application/pdf", "content": b64(pdf())},
        {"type": "blob", "modality": "image", "mime_type": "image/svg+xml", "content": b64(_DRAWING)},
        {"type": "uri", "modality": "image", "mime_type": "image/png", "uri": f"spanhouse-blob:sha256/{'e' * 64}"},
        inline,
    ]
    drawn = {"content": [{"type": "image", "data": b64(png(60, 60, seed=2)), "mimeType": "image/png"}]}
    chat = _chat(
        input__messages=_messages(("user", given)), output__messages=_messages(("assistant", [_text("Much.")]))
    )
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "draw",
        "gen_ai.tool.call.result": json.dumps(drawn),
    }
    root = _span_id("media-chat")
    begun_ns = time.time_ns() - 40_000 * _MS
    send(
        server,
        otlp.span(trace, root, "", "chat about media", begun_ns, 2_000 * _MS, attributes=chat),
        otlp.span(trace, _span_id("media-tool"), root, "execute_tool draw", begun_ns + _MS, attributes=tool),
        service="media",
    )
    return trace


def _heavy(server: Server) -> str:
    trace = _trace_id("heavy")
    attributes = _chat(
        input__messages=_messages(("user", [_text("say a lot")])),
        output__messages=_messages(("assistant", [_text("words and words\n" * 600_000)])),
    )
    send(server, otlp.span(trace, _span_id("heavy"), "", "heavy", time.time_ns(), attributes=attributes))
    return trace


def _big_span_ids(shape: str) -> list[str]:
    return [f"{zlib.crc32(shape.encode()) + 1:08x}{index + 1:08x}" for index in range(BIG_COUNT)]


def _big(server: Server, shape: str) -> str:
    """Ten thousand spans: all below the root, or each below the one before."""
    trace, now = _trace_id(shape), time.time_ns() - 20_000 * _MS
    ids = _big_span_ids(shape)
    spans = []
    for index, span_id in enumerate(ids):
        parent = "" if index == 0 else ids[index - 1] if shape == "deep" else ids[0]
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"step {index % 7}"}
        length = (BIG_COUNT - index) * _MS if shape == "deep" or index == 0 else 3 * _MS
        spans.append(
            otlp.span(trace, span_id, parent, f"step {index}", now + index * _MS, length, attributes=attributes)
        )
    for start in range(0, BIG_COUNT, 2500):
        send(server, *spans[start : start + 2500], service="big")
    return trace


def _everyday(server: Server) -> None:
    """Calls of two models by three users, some failing, over the last two hours."""
    now = time.time_ns()
    for index in range(40):
        failed = index % 5 == 0
        attributes = _chat(
            model="claude-sonnet-4-5" if index % 3 == 0 else "gpt-4o-mini",
            input__messages=_messages(("user", [_text(f"Question number {index}?")])),
            output__messages=_messages(("assistant", [_text(f"Answer number {index}.")])),
            usage__input_tokens=100 + index * 7,
            usage__output_tokens=20 + index,
        ) | {"user.id": ("ada", "grace", "alan")[index % 3], "session.id": f"session-{index % 6}"}
        start, length = now - index * 180_000 * _MS, (200 + index * 37) * _MS
        span = otlp.span(_trace_id(f"e{index}"), _span_id(f"e{index}"), "", "answer", start, length, 2 if failed else 0)
        send(server, span | {"attributes": attributes}, service="everyday")


def _paging(server: Server) -> None:
    now = time.time_ns() - 3 * 3_600_000 * _MS
    spans = [otlp.span(name=f"page {index}", start_ns=now + index * _MS) for index in range(PAGING_COUNT)]
    send(server, *spans, service="paging")
