"""When the end of a call is told, and how it is told again when the client's connection did not take the answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.proxy import frames, serving
from spanhouse_collector.proxy.alone import KeyGate
from spanhouse_collector.proxy.app import Proxy, ProxyOptions
from spanhouse_collector.proxy.book import Book
from spanhouse_collector.proxy.passage import TAKEN_AT_ONCE_BYTES
from spanhouse_collector.proxy.process import RecorderSetup
from spanhouse_collector.proxy.serving import RelayProtocol
from tests.unit.collector.proxy.wire import RawUpstream

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Copies:
    """Takes copies as a recorder would, and reads them."""

    generation = 0

    def __init__(self) -> None:
        self._cut, self._book = frames.Frames(), Book()
        self.ends: list[int] = []
        self.records: list[CallRecord] = []

    def write(self, data: bytes) -> None:
        for kind, number, at_ns, payload in self._cut.feed(data):
            if kind in (frames.END, frames.ENDING):
                self.ends.append(kind)
            done = self._book.feed(kind, number, at_ns, payload)
            self.records += [done[1]] if done is not None else []

    def backlog_bytes(self) -> int:
        return 0

    def relay_dies(self) -> None:
        self.records += [record for _, record in self._book.end_all(1)]


async def relayed(copies: Copies, folder: Path, unsent_bytes: int, taken: Callable[[], Awaitable[bool]]) -> list[Any]:
    """Pass one call; return what the server beneath was given to send."""
    upstream = RawUpstream()
    upstream.default = [ANSWER]
    setup = RecorderSetup(folder / "queue.db", 1 << 20, "http://127.0.0.1:9", lazy=True)
    proxy = Proxy(ProxyOptions({"openai": f"http://127.0.0.1:{upstream.port}"}), setup, KeyGate(""))
    proxy.tee.recorder = copies
    sent: list[Any] = []
    told_before: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        told_before.append(len(copies.ends))
        sent.append(message["type"])

    scope = {
        "type": "http", "method": "GET", "path": "/openai/v1/x", "raw_path": b"/openai/v1/x", "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "extensions": {"spanhouse.unsent": {"bytes": lambda: unsent_bytes, "taken": taken}},
    }  # fmt: skip
    try:
        await proxy(scope, receive, send)
    finally:
        await proxy.pool.close()
        upstream.close()
    assert told_before[-1] == 1, "the last bytes were sent before the end was told"
    return sent


@pytest.mark.parametrize(("took", "outcome"), [(True, "complete"), (False, "client_disconnected")])
async def test_an_end_that_is_not_sure_is_told_again(tmp_path: Path, took: bool, outcome: str) -> None:
    copies = Copies()

    async def taken() -> bool:
        assert copies.ends == [frames.ENDING]
        assert not copies.records
        return took

    await relayed(copies, tmp_path, TAKEN_AT_ONCE_BYTES, taken)
    assert copies.ends == [frames.ENDING, frames.END]
    assert [(record.end.outcome, record.response_bytes) for record in copies.records] == [(outcome, 2)]


async def test_an_end_that_is_not_sure_holds_when_the_relay_dies(tmp_path: Path) -> None:
    copies = Copies()

    async def taken() -> bool:
        copies.relay_dies()
        return True

    await relayed(copies, tmp_path, TAKEN_AT_ONCE_BYTES, taken)
    assert [record.end.outcome for record in copies.records] == ["complete"]


async def test_a_small_answer_is_told_once(tmp_path: Path) -> None:
    copies = Copies()

    async def taken() -> bool:
        raise AssertionError("nothing to wait for")

    sent = await relayed(copies, tmp_path, 0, taken)
    assert copies.ends == [frames.END]
    assert sent == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize("loop_is", ["uvloop", "asyncio"])
@pytest.mark.parametrize("goes_on", [b"keep-alive", b"close"])
@pytest.mark.parametrize("reads", [True, False])
def test_the_server_tells_whether_a_client_took_all(reads: bool, goes_on: bytes, loop_is: str) -> None:
    factory = uvloop.new_event_loop if loop_is == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(took_all(reads=reads, goes_on=goes_on))


async def took_all(*, reads: bool, goes_on: bytes) -> None:
    """Serve a client that reads its answer or resets its connection; check what the server says of it."""
    size_bytes = 32 * 1024 * 1024  # more than the buffers of both sockets hold
    answered: asyncio.Future[tuple[int, bool]] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        head = [(b"content-length", str(size_bytes).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": bytes(size_bytes)})
        unsent = scope["extensions"]["spanhouse.unsent"]
        waiting_bytes = unsent["bytes"]()
        answered.set_result((waiting_bytes, await unsent["taken"]()))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=RelayProtocol, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n" % goes_on)
        await reader.readuntil(b"\r\n\r\n")
        if reads:
            await reader.readexactly(size_bytes)
            assert await asyncio.wait_for(answered, 20)
        else:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        waiting_bytes, took = await asyncio.wait_for(answered, 20)
        writer.close()
        server.should_exit = True
        await serving
    assert waiting_bytes > TAKEN_AT_ONCE_BYTES
    assert took is reads


async def test_a_client_has_so_long_for_the_head_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nothing was asked")

    monkeypatch.setattr(serving, "HEAD_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=RelayProtocol, lifespan="off", log_config=None, timeout_keep_alive=1)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        address = listener.getsockname()
        (slow, writer), (idle, other) = await asyncio.open_connection(*address), await asyncio.open_connection(*address)
        for piece in (b"GET / HTTP/1.1\r\nHost", b": local", b"host\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(slow.read(), 10)).startswith(b"HTTP/1.1 408 ")
        assert await asyncio.wait_for(idle.read(), 10) == b""
        writer.close()
        other.close()
        server.should_exit = True
        await running
