"""Relays that are killed at chosen moments, and what their recorder would have of the calls then.

    python -m tests.integration.proxy_deaths <port of the upstream> <mode> <rounds>

Each round forks a relay that serves for real, is called, and dies with ``kill -9``: in mode ``seen`` by the client, as
soon as it has the last byte it can want; in ``write`` by itself, right after its n-th write to the client, for every
n (on asyncio's own loop, which writes at once); in ``full`` like ``seen``, after calls for which the socket to the
recorder has no room. The recorder's ends of the line stay here and are read when the relay is dead, as the recorder
would read them. Prints what went wrong as JSON: a list of texts.
"""

from __future__ import annotations

import array
import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.proxy import frames, process
from spanhouse_collector.proxy.alone import KeyGate
from spanhouse_collector.proxy.app import Proxy, ProxyOptions
from spanhouse_collector.proxy.book import Book
from spanhouse_collector.proxy.line import Line
from spanhouse_collector.proxy.process import RecorderSetup
from spanhouse_collector.proxy.serving import RelayProtocol
from tests.unit.collector.proxy.wire import Message, Reader

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
#: What is asked for: (method, path) of answers whose end is told in every way there is.
CALLS = {
    "plain": (b"POST", b"/plain"),
    "two pieces": (b"POST", b"/pieces"),
    "stream": (b"POST", b"/stream"),
    "trailers": (b"POST", b"/trailers"),
    "until close": (b"POST", b"/close"),
    "nothing": (b"POST", b"/nothing"),
    "no content": (b"POST", b"/no-content"),
    "head": (b"HEAD", b"/head"),
}
MAX_WRITES = 12
#: Calls in a round for which the socket is too small, and its size.
FULL_CALLS, FULL_BYTES = 12, 4096
PAD = b"x" * 5000


class Dying(RelayProtocol):
    """Dies right after a write to the client."""

    die_after = 0
    writes = 0

    def connection_made(self, transport: Any) -> None:
        write = transport.write

        def write_and_die(data: bytes) -> None:
            write(data)
            Dying.writes += 1
            if Dying.writes == Dying.die_after:
                os.kill(os.getpid(), signal.SIGKILL)

        transport.write = write_and_die
        super().connection_made(transport)


class Handed:
    """What stands for the recorder's process in the relay: its ends of the line are handed to the parent."""

    def __init__(self, control: socket.socket, theirs: socket.socket, overflow: Any = None) -> None:
        descriptors = [theirs.fileno(), *(overflow.descriptors if overflow is not None else ())]
        control.sendmsg([b"r"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])

    def wait(self, timeout_s: float) -> int:
        return 0


def serve(listener: socket.socket, control: socket.socket, upstream: int, folder: str, *, dying: bool) -> None:
    """Be a relay until killed."""
    process._spawn = lambda *ends: Handed(control, *ends)  # type: ignore[assignment,return-value]
    setup = RecorderSetup(Path(folder) / "queue.db", 1 << 20, "http://127.0.0.1:9", lazy=True)
    proxy = Proxy(ProxyOptions({"openai": f"http://127.0.0.1:{upstream}"}), setup, KeyGate(""))
    config = uvicorn.Config(
        proxy, http=Dying if dying else RelayProtocol, log_config=None, access_log=False, server_header=False,
        date_header=False, lifespan="off",
    )  # fmt: skip

    async def run() -> None:
        await proxy.start()
        await uvicorn.Server(config).serve(sockets=[listener])

    with asyncio.Runner(loop_factory=asyncio.new_event_loop if dying else uvloop.new_event_loop) as runner:
        runner.run(run())


@contextmanager
def relay(listener: socket.socket, upstream: int, folder: str, die_after: int = 0) -> Iterator[tuple[int, Callable]]:
    """Fork a relay; yields its pid and what returns the recorder's ends of the line."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        Dying.die_after = die_after
        try:
            serve(listener, theirs, upstream, folder, dying=die_after > 0)
        finally:
            os._exit(1)
    theirs.close()
    try:
        yield pid, lambda: socket.recv_fds(ours, 1, 3)[1]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        ours.close()


def ask(reader: Reader, name: str) -> Message | None:
    """Call; return the answer, none if it is not whole."""
    method, path = CALLS[name]
    head = b"%s /openai/v1/chat/completions%s HTTP/1.1\r\nHost: localhost\r\nX-Pad: %s\r\n"
    head %= method, path, PAD if name == "plain" else b""
    body = BODY if method == b"POST" else b""
    reader.connection.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    try:
        answer = reader.message(to_head=method == b"HEAD")
    except (EOFError, OSError):
        return None
    return answer if answer.whole else None


def recorded(descriptors: list[int]) -> list[CallRecord]:
    """Read the line to its end as the recorder does; return the calls in the order in which they began.

    Without a line there was nothing to record yet when the relay died.
    """
    if not descriptors:
        return []
    line = Line(socket.socket(fileno=descriptors[0]), descriptors[1:])
    cut, book = frames.Frames(), Book()
    records: dict[int, CallRecord] = {}
    last_ns = 0
    while data := line.receive(5.0):
        for kind, number, at_ns, payload in cut.feed(data):
            if kind == frames.SETUP:
                line.received_bytes -= frames.HEAD_BYTES + len(payload)
                continue
            last_ns = max(last_ns, at_ns)
            done = book.feed(kind, number, at_ns, payload)
            if done is not None:
                records[number] = done[1]
    for number, done in zip(list(book.calls), book.end_all(last_ns), strict=True):
        records[number] = done[1]
    for descriptor in descriptors:
        os.close(descriptor)
    return [records[number] for number in sorted(records)]


def faults_of(name: str, seen: list[Message | None], records: list[CallRecord]) -> list[str]:
    """Return what is wrong with the records of calls whose answers are known."""
    faults = []
    for index, answer in enumerate(seen):
        if answer is None:
            continue
        record = records[index] if index < len(records) else None
        if record is None:
            faults.append(f"{name}: not recorded")
        elif record.end.outcome != "complete" or record.response_bytes != len(answer.body):
            faults.append(f"{name}: {record.end.outcome} {record.end.error_type} {record.response_bytes} bytes")
    return faults


def once(
    listener: socket.socket, upstream: int, folder: str, name: str, mode: str, die_after: int
) -> tuple[bool, list[str]]:
    """Do one round; return whether the client saw everything, and the faults."""
    port = listener.getsockname()[1]
    with relay(listener, upstream, folder, die_after) as (pid, ends):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            reader = Reader(connection)
            seen = [ask(reader, name) for _ in range(FULL_CALLS if mode == "full" else 1)]
            os.kill(pid, signal.SIGKILL)
        descriptors = list(ends())
    return seen[-1] is not None, faults_of(name, seen, recorded(descriptors))


def main(upstream: int, mode: str, rounds: int) -> None:
    """Do all rounds."""
    faults: list[str] = []
    done = 0
    process.SOCKET_BYTES = FULL_BYTES if mode == "full" else process.SOCKET_BYTES
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
        if mode == "write":
            for name in CALLS:
                for die_after in itertools.count(1):
                    whole, found = once(listener, upstream, folder, name, mode, die_after)
                    faults += [f"after write {die_after}: {fault}" for fault in found]
                    done += 1
                    if whole:
                        break
                    assert die_after < MAX_WRITES, f"{name} never came whole"
        else:
            names = ["plain"] if mode == "full" else list(CALLS)
            for name in itertools.islice(itertools.cycle(names), rounds):
                whole, found = once(listener, upstream, folder, name, mode, 0)
                faults += found if whole else [f"{name}: not whole"]
                done += 1
    print(json.dumps({"rounds": done, "faults": faults}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
