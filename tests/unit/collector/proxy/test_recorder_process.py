"""The recorder as a process: started when there is something for it, and living longer than its proxy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.parse.contract import CallEnd
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy import process as process_module
from spanhouse_collector.proxy.process import RecorderProcess, RecorderSetup
from spanhouse_collector.proxy.queue import Queue, peek
from spanhouse_collector.proxy.tee import Tee
from tests.unit.collector.proxy.test_recording import START
from tests.waiting import reached


class Server:
    """What the recorder delivers to; ``away`` has it refuse for now."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.spans = 0

    async def deliver(self, project: str, spans: int, body: bytes) -> None:
        if self.away:
            raise Undeliverable("away", retry=True)
        self.spans += spans


@contextlib.asynccontextmanager
async def recorder(path: Path, server: Server, **setup: Any) -> AsyncIterator[RecorderProcess]:
    process = RecorderProcess(RecorderSetup(queue_path=path, queue_max_bytes=1 << 26, deliver=server.deliver, **setup))
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


def record(process: RecorderProcess, number: int, body: bytes = b"x") -> None:
    """Hand over a whole call as the relay does: its end is handed over at once."""
    call = Tee(process, 1 << 26).start(number, 1, {**START, "call_id": f"c{number}"})
    call.part(frames.RESPONSE_CHUNK, body, 2)
    call.end(CallEnd("complete", 3))


def child_of(process: RecorderProcess) -> int:
    assert process._process is not None
    return process._process.pid


async def test_a_lazy_one_runs_from_the_first_call_on(tmp_path: Path) -> None:
    server = Server()
    async with recorder(tmp_path / "queue.db", server, lazy=True) as process:
        await asyncio.sleep(0.1)
        assert process._process is None
        record(process, 1)
        assert process.backlog_bytes() == 0  # the process has it already, running or not
        await reached(lambda: server.spans == 1)
    assert ended(child_of(process))


async def test_the_first_call_of_a_lazy_one_outlives_the_proxy(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with recorder(path, Server(away=True), lazy=True) as process:
        record(process, 1)
        child = child_of(process)
        process._close()  # what the system does for a proxy that is killed
        await reached(lambda: ended(child))
    assert peek(path)["queue_batches"] == 1


@pytest.mark.parametrize("late", [False, True])
async def test_a_lazy_one_delivers_what_an_earlier_one_left(tmp_path: Path, late: bool) -> None:
    def leave() -> None:
        left = Queue(tmp_path / "queue.db", 1000)
        left.put([("p", 3, b"")])
        left.close()

    server = Server()
    if not late:
        leave()
    async with recorder(tmp_path / "queue.db", server, lazy=True) as process:
        if late:
            assert process.stats()["queue_batches"] == 0
            leave()
            assert process.stats()["queue_batches"] == 1  # nobody runs that could tell: it is looked up
        await reached(lambda: server.spans == 3)
        await reached(lambda: process.stats() == {**process.stats(), "queue_batches": 0, "sent": 3})


async def test_a_stop_delivers_the_last_calls(tmp_path: Path) -> None:
    server = Server()
    async with recorder(tmp_path / "queue.db", server) as process:
        for number in range(50):
            record(process, number)
    assert server.spans == 50
    async with recorder(tmp_path / "queue.db", server, lazy=True) as process:
        record(process, 1)  # and a stop at once, while it is still starting
    assert server.spans == 51


async def test_what_was_handed_over_outlives_the_proxy(tmp_path: Path) -> None:
    server = Server(away=True)
    path = tmp_path / "queue.db"
    async with recorder(path, server) as process:
        for number in range(200):
            record(process, number, b"y" * 500)
        child = child_of(process)
        assert process.backlog_bytes() == 0  # all of it is in the socket
        process._close()  # what the system does for a proxy that is killed
        await reached(lambda: ended(child))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT SUM(spans) FROM batches").fetchone() == (200,)


async def test_more_than_the_socket_takes_waits_and_goes_on(tmp_path: Path) -> None:
    server = Server()
    async with recorder(tmp_path / "queue.db", server) as process:
        record(process, 1, bytes(32 * 1024 * 1024))
        assert process.backlog_bytes() > 0
        record(process, 2)
        await reached(lambda: server.spans == 2, 30)
        assert process.backlog_bytes() == 0


async def test_more_than_the_socket_takes_outlives_the_proxy(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    async with recorder(path, Server(away=True)) as process:
        for number in range(20):
            record(process, number, bytes(1024 * 1024))
        child = child_of(process)
        assert process.backlog_bytes() > 0
        process._close()  # what the system does for a proxy that is killed
        await reached(lambda: ended(child))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT SUM(spans) FROM batches").fetchone() == (20,)


async def test_the_next_one_is_started_beside_the_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spawn, begun, go_on = process_module._spawn, threading.Event(), threading.Event()

    def slowly(*ends: Any) -> Any:
        begun.set()
        assert go_on.wait(60), "nothing else ran meanwhile"
        return spawn(*ends)

    server = Server()
    async with recorder(tmp_path / "queue.db", server) as process:
        monkeypatch.setattr(process_module, "_spawn", slowly)
        os.kill(child_of(process), 9)
        await reached(begun.is_set)
        record(process, 1)
        go_on.set()
        await reached(lambda: server.spans == 1)


async def test_calls_that_begin_after_it_died_wait_for_the_next(tmp_path: Path) -> None:
    server = Server()
    async with recorder(tmp_path / "queue.db", server) as process:
        generation = process.generation
        os.kill(child_of(process), 9)
        await reached(lambda: process.generation > generation)
        record(process, 1)
        await reached(lambda: server.spans == 1)
        assert process.restarts == 1


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
