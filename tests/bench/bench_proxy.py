"""What the logging proxy adds to a call, with logging on.

    python tests/bench/bench_proxy.py [--seconds 10]

An instant upstream in a process of its own; direct and proxied calls take turns over kept connections,
so that whatever else the machine does hits both. The proxy is the one inside `spanhouse serve`, storing
every call; then the one alone whose endpoint is away. With ``SPANHOUSE_BENCH_LITELLM`` set to a
`litellm` command (of a venv of its own), LiteLLM's proxy takes the same load in the same run.

Each figure is printed beside its target; the exit status says only whether everything worked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.server import Server  # noqa: E402
from tests.unit.collector.proxy.wire import ProxyProcess  # noqa: E402

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":300}}' % (b"word " * 100)
)
EVENT = b'data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
LAST = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":200,"completion_tokens":100,"total_tokens":300}}\n\ndata: [DONE]\n\n'
EVENTS = 100
SLOW_STREAMS = 1000
PROMPT = b"Summarise: " + b"lorem ipsum " * 80
START_TIMEOUT_S = 120


def chunk(data: bytes) -> bytes:
    """Return a chunk of HTTP's chunked coding."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class InstantUpstream(asyncio.Protocol):
    """Answers at once: JSON, a stream in one go, or (path ``/slow``) a stream with an event per second."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, rest = self.buffer.split(b"\r\n\r\n", 1)
            lower = head.lower()
            size = int(lower.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in lower else 0
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            self.answer(head, rest[:size])

    def answer(self, head: bytes, body: bytes) -> None:
        if b'"stream":true' not in body.replace(b" ", b""):
            start = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(start % len(ANSWER) + ANSWER)
            return
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if b"/slow" in head.split(b"\r\n")[0]:
            asyncio.get_running_loop().create_task(self.drip())
            return
        self.transport.write(chunk(EVENT) * EVENTS + chunk(LAST) + b"0\r\n\r\n")

    async def drip(self) -> None:
        while not self.transport.is_closing():
            self.transport.write(chunk(EVENT))
            await asyncio.sleep(1)


async def upstream(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(InstantUpstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass
class Target:
    """Where calls go."""

    name: str
    port: int
    path: str
    model: str = "gpt-4o-mini"

    def request(self, *, stream: bool = False, slow: bool = False) -> bytes:
        """Return the bytes of one call."""
        flags = b'"stream":true,"stream_options":{"include_usage":true},' if stream else b""
        body = b'{"model":"%s",%s"messages":[{"role":"user","content":"%s"}]}' % (self.model.encode(), flags, PROMPT)
        path = self.path.replace("/v1", "/slow/v1") if slow else self.path
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: */*\r\n"
            f"Authorization: Bearer sk-bench\r\nUser-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


@dataclass
class Times:
    """Seconds per call, and to the first event of streams."""

    calls: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)


def percentile(values: list[float], q: float) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))] * 1000


class Line:
    """One kept connection."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.raw = target.request()
        self.raw_stream = target.request(stream=True)

    async def open(self) -> Line:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.target.port, limit=1 << 20)
        return self

    async def call(self, times: Times, *, stream: bool = False) -> None:
        """Make one call; raises for anything but 200."""
        begun_s = time.perf_counter()
        self.writer.write(self.raw_stream if stream else self.raw)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"{self.target.name}: {head[:200]!r}")
        if b"content-length:" in head:
            await self.reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        else:
            first = True
            while size := int(await self.reader.readline(), 16):
                await self.reader.readexactly(size + 2)
                if first:
                    times.firsts.append(time.perf_counter() - begun_s)
                    first = False
            await self.reader.readexactly(2)
        times.calls.append(time.perf_counter() - begun_s)


async def take_turns(direct: Target, proxied: Target, seconds: float, *, stream: bool) -> tuple[Times, Times]:
    """Call both in turn, one at a time."""
    lines = [await Line(direct).open(), await Line(proxied).open()]
    times = (Times(), Times())
    for line, kept in zip(lines, (Times(), Times()), strict=True):
        for _ in range(20):
            await line.call(kept, stream=stream)
    deadline_s = time.perf_counter() + seconds
    while time.perf_counter() < deadline_s:
        for line, kept in zip(lines, times, strict=True):
            await line.call(kept, stream=stream)
    return times


async def open_loop(targets: tuple[Target, Target], seconds: float, rate: float) -> tuple[Times, Times]:
    """Start calls at a steady rate, each target by turns, whether or not earlier ones are done."""
    times = (Times(), Times())
    idle: tuple[list[Line], list[Line]] = ([], [])

    async def one(which: int, due_s: float) -> None:
        line = idle[which].pop() if idle[which] else await Line(targets[which]).open()
        kept = Times()
        await line.call(kept)
        times[which].calls.append(time.perf_counter() - due_s)
        idle[which].append(line)

    begun_s = time.perf_counter()
    tasks = []
    for number in range(int(seconds * rate * 2)):
        due_s = begun_s + number / (rate * 2)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number % 2, time.perf_counter())))
    await asyncio.gather(*tasks)
    return times


async def closed_loop(target: Target, seconds: float, connections: int) -> tuple[float, Times]:
    """Call as fast as answers come; return calls per second and times."""
    times = Times()
    deadline_s = time.perf_counter() + seconds

    async def client() -> None:
        line = await Line(target).open()
        while time.perf_counter() < deadline_s:
            await line.call(times)

    begun_s = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return len(times.calls) / (time.perf_counter() - begun_s), times


async def slow_streams(target: Target, pids: list[int]) -> float:
    """Hold many slow streams open; return by how many MB the processes grew."""

    def memory_mb() -> float:
        return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 1e6

    before_mb = memory_mb()
    raw = target.request(stream=True, slow=True)
    lines = []
    for _ in range(SLOW_STREAMS):
        line = await Line(target).open()
        line.writer.write(raw)
        lines.append(line)
    for line in lines:
        await line.reader.readuntil(b"data: ")
    await asyncio.sleep(5)
    grown_mb = memory_mb() - before_mb
    for line in lines:
        line.writer.close()
    return grown_mb


def figure(name: str, value: float, unit: str, target: str = "") -> None:
    """Print one figure."""
    print(f"{name:<58} {value:>9,.2f} {unit:<6} {target}".rstrip(), flush=True)


def compare(name: str, direct: list[float], proxied: list[float], targets: dict[int, str]) -> None:
    """Print what was added at each percentile."""
    for q, target in targets.items():
        figure(f"{name}: added p{q}", percentile(proxied, q) - percentile(direct, q), "ms", target)


async def measure(
    name: str, direct: Target, proxied: Target, seconds: float, settle: Callable[[], object] = lambda: None
) -> float:
    """Print every figure of a proxy; return its calls per second at concurrency 10.

    ``settle`` waits until what the last figure left to store is stored, so that the next one is not
    about that.
    """
    first, second = await take_turns(direct, proxied, seconds, stream=False)
    figure(f"{name}, 1 at a time: direct p50", percentile(first.calls, 50), "ms")
    compare(f"{name}, 1 at a time", first.calls, second.calls, {50: "(at most 2)", 99: "(at most 6)"})
    first, second = await take_turns(direct, proxied, seconds / 2, stream=True)
    compare(f"{name}, 1 at a time, first event", first.firsts, second.firsts, {50: "(at most 3)"})
    settle()
    first, second = await open_loop((direct, proxied), seconds, rate=100)
    compare(f"{name}, 100/s open loop", first.calls, second.calls, {50: "(at most 3)", 99: "(at most 15)"})
    rate, times = await closed_loop(proxied, seconds, 10)
    figure(f"{name}, 10 at once", rate, "/s", "(at least 650; aim 950)")
    figure(f"{name}, 10 at once: p50", percentile(times.calls, 50), "ms")
    figure(f"{name}, 10 at once: p99", percentile(times.calls, 99), "ms")
    return rate


@contextlib.contextmanager
def litellm(command: str, upstream_port: int, folder: Path) -> Iterator[Target]:
    """Run LiteLLM's proxy."""
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: gpt-4o-mini\n    litellm_params:\n      model: openai/gpt-4o-mini\n"
        f"      api_base: http://127.0.0.1:{upstream_port}/v1\n      api_key: sk-bench\n"
        "litellm_settings:\n  num_retries: 0\n"
    )
    arguments = [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    # Without a key it checks none, which is the less work for it.
    env = os.environ | {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("LiteLLM's proxy did not start")
            time.sleep(0.2)
        yield Target("LiteLLM", port, "/v1/chat/completions")
    finally:
        process.terminate()
        process.wait(10)


def main() -> None:
    """Run the whole bench."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--upstream", type=int, default=0, help="serve as the upstream on this port")
    options = parser.parse_args()
    if options.upstream:
        uvloop.run(upstream(options.upstream))
        return
    port = free_port()
    serving = subprocess.Popen([sys.executable, __file__, "--upstream", str(port)])
    direct = Target("direct", port, "/v1/chat/completions")
    configured = f"openai=http://127.0.0.1:{port}"
    rates = {}
    try:
        time.sleep(1)
        with tempfile.TemporaryDirectory() as folder:
            server = Server(Path(folder), "--proxy-upstream", configured).start()
            try:
                assert server.process is not None
                mounted = Target("proxy", int(server.url.rsplit(":", 1)[1]), "/proxy/openai/v1/chat/completions")
                rates["mounted"] = uvloop.run(
                    measure("in the server", direct, mounted, options.seconds, server.wait_stored)
                )
                ingest = server.wait_stored(120)
                figure("in the server: calls stored", ingest["stored_spans"], "spans")
                recorder = [
                    p.pid for p in psutil.Process(server.process.pid).children() if "recorder" in str(p.cmdline())
                ]
                grown_mb = uvloop.run(slow_streams(mounted, [server.process.pid, *recorder]))
                figure(f"in the server: memory for {SLOW_STREAMS} slow streams", grown_mb, "MB")
            finally:
                server.stop()
        with tempfile.TemporaryDirectory() as folder:
            proxy = ProxyProcess(Path(folder), "http://127.0.0.1:9", "--upstream", configured).start()
            try:
                alone = Target("proxy", proxy.port, "/openai/v1/chat/completions")
                rates["alone"] = uvloop.run(measure("alone, endpoint away", direct, alone, options.seconds))
                figure(
                    "alone: memory", psutil.Process(proxy.process.pid).memory_info().rss / 1e6, "MB", "(at most 150)"
                )
            finally:
                proxy.kill()
        command = os.environ.get("SPANHOUSE_BENCH_LITELLM")
        if command:
            with tempfile.TemporaryDirectory() as folder, litellm(command, port, Path(folder)) as other:
                rate = uvloop.run(measure("LiteLLM", direct, other, options.seconds))
            for name, ours in rates.items():
                figure(f"calls/s, {name} proxy over LiteLLM's", ours / rate, "x")
        else:
            print("SPANHOUSE_BENCH_LITELLM is not set: no comparison")
    finally:
        serving.kill()
        serving.wait()


if __name__ == "__main__":
    main()
