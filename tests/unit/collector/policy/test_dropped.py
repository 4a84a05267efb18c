"""Calls that their clients drop are charged to limits, by what is known of them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import orjson

from spanhouse_collector.parse.contract import CallEnd, CallStart
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.proxy.charges import summary_of
from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import JSON, SSE, running
from tests.waiting import reached

WEBSOCKET_UPGRADE = (
    b"GET /openai/v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ASKED = "x" * 400
SAID = "y" * 200


def event(text: str) -> bytes:
    chunk = {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def request() -> bytes:
    return orjson.dumps({"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": ASKED}]})


async def test_a_client_that_hangs_up_is_charged_for_what_passed(tmp_path) -> None:
    policy = {"limits": [{"limit": "1000;w=3600;u=tokens"}, {"limit": "100;w=3600;u=cents"}]}
    policy["prices"] = {"gpt-4o": {"input": 1, "output": 2}}
    endless = Reply(headers=SSE, chunks=[event(SAID), *[b": still here\n\n"] * 500])
    async with (
        Upstream(endless) as upstream,
        running(tmp_path, {"openai": upstream.url}, policy, recorded=True) as proxy,
    ):
        async with proxy.client.post(f"{proxy.url}/openai/v1/chat/completions", data=request(), headers=JSON) as answer:
            await answer.content.readuntil(b"\n\n")
            answer.close()
        meter = proxy.engine.meter
        await reached(lambda: meter.estimated)
        used = {key[1]: window.used for key, window in meter._windows.items()}
        assert used["tokens"] == (len(ASKED) + len(SAID)) // 4
        assert used["cents"] == (len(ASKED) // 4 * 1 + len(SAID) // 4 * 2) * 1000  # nano-dollars
        assert "spanhouse_proxy_estimated_charges_total 1.0" in proxy.metrics()
        await asyncio.sleep(0.05)
        assert meter.estimated == 1


def charged(outcome: Any, status: int | None, *events: bytes) -> dict[str, Any]:
    reader = CallReader(CallStart("c", "openai", "https://x/v1", "POST", "/v1/chat/completions", "", [], 0))
    reader.request_chunk(request())
    reader.request_end()
    if status is not None:
        reader.response_start(status, [("content-type", "text/event-stream")], 1)
    for each in events:
        reader.response_chunk(each, 2)
    summary = summary_of(reader.end(CallEnd(outcome, 3)))
    return {name: summary[name] for name in ("input_tokens", "output_tokens", "estimated")}


USED = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":60}}\n\n'


def test_what_was_served_counts_before_any_estimate() -> None:
    unknown = {"input_tokens": None, "output_tokens": None, "estimated": False}
    assert charged("complete", 200, event(SAID), USED) == {"input_tokens": 7, "output_tokens": 60, "estimated": False}
    assert charged("client_disconnected", 200, event(SAID), USED) == {
        "input_tokens": 7,
        "output_tokens": 60,
        "estimated": False,
    }
    assert charged("upstream_error", 200, event(SAID)) == {"input_tokens": 100, "output_tokens": 50, "estimated": True}
    # A whole answer without usage stays unknown, and what was never answered may never have been worked on.
    assert charged("complete", 200, event(SAID)) == unknown
    assert charged("client_disconnected", None) == unknown
    assert charged("upstream_error", 500) == unknown


# WebSockets ---------------------------------------------------------------------------------------


def frame(body: Any, *, mask: bool = False) -> bytes:
    """Return a WebSocket text frame."""
    data = orjson.dumps(body)
    size = (
        struct.pack(">BH", 126 | (128 if mask else 0), len(data))
        if len(data) > 125
        else bytes([len(data) | 128 * mask])
    )
    return b"\x81" + size + (b"\0\0\0\0" if mask else b"") + data


CREATE = {"type": "response.create", "model": "gpt-4o", "input": [{"role": "user", "content": ASKED}]}
BEGUN = [
    {"type": "response.created", "response": {"id": "r", "model": "gpt-4o"}},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"id": "i", "type": "message", "role": "assistant"},
    },
    {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": SAID},
]
DONE = {
    "type": "response.completed",
    "response": {"id": "r", "model": "gpt-4o", "usage": {"input_tokens": 7, "output_tokens": 60}},
}


async def test_answers_over_a_websocket_are_charged_as_they_end_and_the_last_by_what_passed(tmp_path) -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ACCEPTED)
        await asked.wait()
        for event in (*BEGUN, DONE, *BEGUN):
            writer.write(frame(event))
        await writer.drain()
        await reader.read()
        writer.close()

    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    policy = {"limits": [{"limit": "1000;w=3600;u=tokens"}]}
    async with upstream, running(tmp_path, {"openai": url}, policy, recorded=True) as proxy:
        meter = proxy.engine.meter
        reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
        writer.write(WEBSOCKET_UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(CREATE, mask=True) * 2)
        await writer.drain()
        asked.set()

        def used() -> int:
            return sum(window.used for window in meter._windows.values())

        await reached(lambda: used() == 67)  # the connection is still open
        assert meter.estimated == 0
        writer.close()
        await reached(lambda: meter.estimated)
        assert used() == 67 + (len(ASKED) + len(SAID)) // 4
        assert (meter.estimated, meter.uncharged) == (1, 0)


def spoken(*events: dict[str, Any]) -> dict[str, Any]:
    reader = CallReader(CallStart("c", "openai", "wss://x/v1", "GET", "/v1/realtime", "model=gpt-realtime", [], 0))
    reader.response_start(101, [], 1)
    reader.websocket_message("client", orjson.dumps({"type": "response.create"}), 2)
    for event in events:
        reader.websocket_message("server", orjson.dumps(event), 3)
    told = reader.take_turns()
    summary = summary_of(reader.end(CallEnd("complete", 4)))
    assert not (told and summary)
    return summary


def test_what_was_spoken_before_a_connection_broke_counts() -> None:
    item = {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]}
    asked = [
        {"type": "conversation.item.created", "item": item},
        {"type": "response.created", "response": {"id": "r"}},
    ]
    said = [
        {"type": "response.output_audio_transcript.delta", "response_id": "r", "delta": SAID},
        {"type": "response.output_audio.delta", "response_id": "r", "delta": "AAAA" * 1000},
    ]
    usage = {"input_tokens": 7, "output_tokens": 60}
    cut = spoken(*asked, *said)
    assert (cut["input_tokens"], cut["output_tokens"], cut["estimated"]) == (100, 50, True)
    assert spoken(*asked, *said, {"type": "response.done", "response": {"id": "r", "usage": usage}}) == {}
    assert spoken()["input_tokens"] is None, "nothing was begun"
