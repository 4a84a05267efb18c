"""Calls that their clients drop are charged to limits, by what is known of them."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from spanhouse_collector.parse.contract import CallEnd, CallStart
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.proxy.charges import summary_of
from tests.fakes.upstream import Reply, Upstream
from tests.unit.collector.policy.running import JSON, SSE, running, until

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
        await until(lambda: meter.estimated)
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
