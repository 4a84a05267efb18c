"""Bare sockets on both sides of a real proxy process: what is on the wire, byte by byte."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.server import _die_with_parent

CLOSE = "close"
RESET = "reset"
#: What a scripted answer is made of: bytes to send, seconds or an event to wait for, an end.
Step = bytes | float | threading.Event | str


@dataclass
class Message:
    """One HTTP message, taken apart. Names of headers are lower case; chunked bodies are joined."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: bool = True

    def header(self, name: bytes) -> bytes:
        return next((value for given, value in self.headers if given == name), b"")


class Reader:
    """Reads messages from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""

    def more(self) -> bool:
        try:
            data = self.connection.recv(1 << 20)
        except OSError:
            data = b""
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self.more():
                raise EOFError
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def exactly(self, size: int) -> bytes:
        parts, have = [self.buffer[:size]], min(size, len(self.buffer))
        self.buffer = self.buffer[size:]
        while have < size:
            data = self.connection.recv(min(1 << 20, size - have))
            if not data:
                raise EOFError
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def head(self) -> Message:
        line, *lines = self.until(b"\r\n\r\n").split(b"\r\n")
        return Message(line, _headers(lines))

    def message(self, *, to_head: bool = False, on_continue: bytes = b"") -> Message:
        """Return the next message; an answer that breaks off is not ``whole``."""
        message = self.head()
        while message.line.startswith((b"HTTP/1.1 100", b"HTTP/1.1 103")):
            message = self.head()
        if on_continue:
            self.connection.sendall(on_continue)
        is_answer = message.line.startswith(b"HTTP/")
        try:
            if to_head or (is_answer and message.line.split()[1] in (b"204", b"304")):
                return message
            if b"chunked" in message.header(b"transfer-encoding"):
                self._chunks(message)
            elif message.header(b"content-length"):
                message.body = self.exactly(int(message.header(b"content-length")))
            elif is_answer:
                while self.more():
                    pass
                message.body, self.buffer = self.buffer, b""
        except EOFError:
            message.whole = False
        return message

    def _chunks(self, message: Message) -> None:
        parts = []
        try:
            while size := int(self.until(b"\r\n").split(b";")[0], 16):
                parts.append(self.exactly(size))
                self.exactly(2)
        finally:
            message.body = b"".join(parts)
        while line := self.until(b"\r\n"):
            message.trailers += _headers([line])


def _headers(lines: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    split = (line.partition(b":") for line in lines)
    return [(name.lower(), value.strip()) for name, _, value in split]


class RawUpstream:
    """Answers each request with the steps that ``script`` has for its path, else with ``default``."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.requests: list[Message] = []
        self.script: dict[bytes, list[Step]] = {}
        self.default: list[Step] = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]
        self.gone = threading.Event()
        self.continues = True
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        with connection, contextlib.suppress(EOFError, OSError):
            while True:
                request = self._request(reader)
                self.requests.append(request)
                path = request.line.split()[1].split(b"?")[0]
                for step in self.script.get(path, self.default):
                    if not self._do(connection, step):
                        return

    def _request(self, reader: Reader) -> Message:
        while b"\r\n\r\n" not in reader.buffer:
            if not reader.more():
                raise EOFError
        expects = b"expect: 100-continue" in reader.buffer.split(b"\r\n\r\n")[0].lower()
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n" if expects and self.continues else b""
        return reader.message(on_continue=go_on)

    def _do(self, connection: socket.socket, step: Step) -> bool:
        if isinstance(step, float):
            # Someone who goes away while we are silent is noticed at once.
            connection.settimeout(step)
            with contextlib.suppress(TimeoutError):
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    self.gone.set()
                    return False
            connection.settimeout(None)
        elif isinstance(step, threading.Event):
            return step.wait(60)
        elif step == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        elif isinstance(step, bytes):
            connection.sendall(step)
        else:
            return False
        return True

    def close(self) -> None:
        self._listener.close()


class Sink:
    """An OTLP endpoint. ``status`` may be changed to have it refuse; ``port`` may be reserved before."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[bytes] = []
        self.refused = 0
        self.status = 200
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if sink.status == 200:
                    sink.bodies.append(body)
                else:
                    sink.refused += 1
                self.send_response(sink.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def spans(self) -> list[dict[str, object]]:
        found = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for span in resource.scope_spans[0].spans:
                    values = {each.key: each.value for each in span.attributes}
                    flat = {
                        key: getattr(value, value.WhichOneof("value") or "string_value")
                        for key, value in values.items()
                    }
                    ids = {
                        "span": span.span_id.hex(),
                        "trace": span.trace_id.hex(),
                        "parent": span.parent_span_id.hex(),
                    }
                    found.append({"name": span.name, "status": span.status.code, **ids, **flat})
        return found

    def wait(self, count: int, timeout_s: float = 60) -> list[dict[str, object]]:
        deadline_s = time.monotonic() + timeout_s
        while len(spans := self.spans()) < count:
            assert time.monotonic() < deadline_s, f"{len(spans)} of {count} spans came"
            time.sleep(0.02)
        return spans

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class ProxyProcess:
    """``spanhouse-collector proxy`` in a process group of its own."""

    def __init__(self, data_dir: Path, endpoint: str, *flags: str, env: dict[str, str] | None = None) -> None:
        self.command = [sys.executable, "-m", "spanhouse_collector.cli", "proxy", "--port", "0", *flags]
        self.command += ["--data-dir", str(data_dir), "--endpoint", endpoint]
        self.env = env or {}
        self.output: list[str] = []
        self.port = 0

    def start(self) -> ProxyProcess:
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self.env,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        assert ready.wait(60), "".join(self.output)
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line)
            if found := re.search(r"ready at http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                ready.set()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.kill()


@contextlib.contextmanager
def standing(
    data_dir: Path, *flags: str, env: dict[str, str] | None = None
) -> Iterator[tuple[ProxyProcess, RawUpstream, Sink]]:
    """Run a proxy whose upstream ``openai`` is a raw one, and which sends to a sink."""
    upstream, sink = RawUpstream(), Sink()
    proxy = ProxyProcess(data_dir, sink.url, "--upstream", f"openai=http://127.0.0.1:{upstream.port}", *flags, env=env)
    try:
        yield proxy.start(), upstream, sink
    finally:
        proxy.kill()
        upstream.close()
        sink.close()


@contextlib.contextmanager
def connected(port: int) -> Iterator[Reader]:
    """Connect to a port of this machine."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield Reader(connection)


def ask(port: int, raw: bytes, *, to_head: bool = False) -> Message:
    """Send bytes on a connection of their own and return the answer."""
    with connected(port) as reader:
        reader.connection.sendall(raw)
        return reader.message(to_head=to_head)
