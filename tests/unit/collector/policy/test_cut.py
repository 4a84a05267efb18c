"""A WebSocket within which a limit or a budget is used up is closed, between two frames and with the reason."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from decimal import Decimal

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.parse.contract import CallContext
from spanhouse_collector.policy.budgets import UsedBudget
from spanhouse_collector.proxy.wsframes import Edges, MessageReader, close_frame
from tests.unit.collector.policy.running import Running, attributes_of, running
from tests.unit.collector.policy.test_dropped import ACCEPTED, BEGUN, CREATE, DONE, frame
from tests.waiting import reached

TOKENS = 67
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """Accepts WebSockets and does with each what a test says."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.gone = asyncio.Event()

    async def __aenter__(self) -> Upstream:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ACCEPTED)
        await self._serve(reader, writer)
        await reader.read()
        self.gone.set()
        writer.close()


async def opened(proxy: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    writer.write(
        b"GET /openai/v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write(frame(CREATE, mask=True))
    return reader, writer


async def test_a_limit_that_is_used_up_closes_the_connection(tmp_path) -> None:
    events = [frame(each) for each in (*BEGUN, DONE)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(events))
        await asyncio.sleep(0)

    policy = {"limits": [{"limit": f"{TOKENS};w=3600;u=tokens"}]}
    async with Upstream(serve) as upstream, running(tmp_path, {"openai": upstream.url}, policy, recorded=True) as proxy:
        reader, writer = await opened(proxy)
        data = await asyncio.wait_for(reader.read(), 30)  # to the end: the proxy closes
        assert data == b"".join(events) + close_frame(1008, "rate_limited: the limit of 67 tokens in 3600 s is used up")
        await asyncio.wait_for(upstream.gone.wait(), 10)
        writer.close()
        refused = await proxy.ask()
        assert refused.status == 429
        await reached(lambda: any("spanhouse.proxy.websocket" in each for each in attributes_of(proxy.delivered)))
        [told] = [each for each in attributes_of(proxy.delivered) if "spanhouse.proxy.websocket" in each]
        assert (told["error.type"], told["spanhouse.proxy.outcome"]) == ("rate_limited", "refused")


async def test_a_frame_that_has_begun_comes_whole_before_the_close(tmp_path) -> None:
    rest = asyncio.Event()
    events = [frame(each) for each in (*BEGUN, DONE)]
    last = frame({"type": "response.created", "response": {"id": "r2", "model": "gpt-4o", "note": "x" * 300}})

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(events) + last[:100])
        await rest.wait()
        writer.write(last[100:] + frame({"type": "never passed"}))
        await writer.drain()

    policy = {"limits": [{"limit": f"{TOKENS};w=3600;u=tokens"}]}
    async with Upstream(serve) as upstream, running(tmp_path, {"openai": upstream.url}, policy, recorded=True) as proxy:
        reader, writer = await opened(proxy)
        begun = await reader.readexactly(len(b"".join(events)) + 100)
        await reached(lambda: proxy.engine.meter.refused)
        rest.set()
        data = begun + await asyncio.wait_for(reader.read(), 30)
        assert data.startswith(b"".join(events) + last + b"\x88")
        assert b"never passed" not in data
        writer.close()


class Spent:
    """A server's budgets, of which one is used up from some moment on."""

    def __init__(self) -> None:
        self.over = False

    def watches(self, project: str) -> bool:
        return self.over

    def used_up(self, project: str, context: CallContext, key_id: str) -> UsedBudget | None:
        return UsedBudget("month", "", Decimal(1), Decimal("1.5"), None) if self.over else None


async def test_a_budget_that_is_used_up_meanwhile_closes_the_connection(tmp_path) -> None:
    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(frame(CREATE, mask=True)))
        heard.set()

    async with Upstream(serve) as upstream, running(tmp_path, {"openai": upstream.url}) as proxy:
        spent = proxy.engine._budgets = Spent()
        reader, writer = await opened(proxy)
        await heard.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 1.2)  # it was looked at, and may go on
        spent.over = True
        data = await asyncio.wait_for(reader.read(), 10)
        assert data[:4] == b"\x88" + bytes([len(data) - 2]) + struct.pack(">H", 1008)
        assert data[4:].startswith(b"budget_exceeded: The budget 'month' is used up: 1.50 of 1 USD are spent.")
        assert len(data) <= 127
        await asyncio.wait_for(upstream.gone.wait(), 10)
        writer.close()


async def test_a_client_library_is_told_code_and_reason(tmp_path) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with running(tmp_path, {"openai": url}) as proxy:
            spent = proxy.engine._budgets = Spent()
            async with proxy.client.ws_connect(proxy.url + "/openai/v1/realtime", compress=15) as socket:
                await socket.send_str("hello")
                assert (await socket.receive()).data == "hello"
                spent.over = True
                message = await socket.receive(timeout=10)
                assert message.type is aiohttp.WSMsgType.CLOSE
                assert (message.data, message.extra[:16]) == (1008, "budget_exceeded:")
    finally:
        await runner.cleanup()


def made(head: int, payload: bytes, mask: bool) -> bytes:
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        length = bytes((size | bit,))
    elif size < 1 << 16:
        length = struct.pack(">BH", 126 | bit, size)
    else:
        length = struct.pack(">BQ", 127 | bit, size)
    return bytes((head,)) + length + (b"mask" if mask else b"") + payload


FRAME = st.builds(
    made,
    st.sampled_from([0x01, 0x81, 0x82, 0xC1, 0x00, 0x89]),
    st.binary(max_size=300) | st.just(b"x" * 66_000),
    st.booleans(),
)


@given(st.lists(FRAME, max_size=5), st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_edges_are_where_frames_end(sent: list[bytes], cuts: list[float], last: float) -> None:
    whole = b"".join(sent)
    ends = {sum(map(len, sent[:count])) for count in range(len(sent) + 1)}
    positions = [0, *sorted(int(cut * len(whole)) for cut in cuts), len(whole)]
    edges = Edges()
    for begins, ends_at in zip(positions, positions[1:], strict=False):
        assert edges.feed(whole[begins:ends_at]) == ends_at - begins
        assert edges.at_edge == (ends_at in ends)
    cut = int(last * len(whole))
    edges = Edges()
    edges.feed(whole[:cut])
    assert cut + edges.feed(whole[cut:], to_edge=True) == min(end for end in ends if end >= cut)


def test_a_long_reason_is_cut_between_characters() -> None:
    data = close_frame(1008, "ü" * 100)
    assert data[1] == len(data) - 2 <= 125
    assert data[4:].decode() == "ü" * 61
    assert list(MessageReader([], from_client=False).feed(data + frame({"type": "x"}))) == ['{"type":"x"}']
