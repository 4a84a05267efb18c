"""A real server process for tests: started, talked to, killed."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 60


class Server:
    """``spanhouse serve`` in a process group of its own."""

    def __init__(self, data_dir: Path, *flags: str, env: dict[str, str] | None = None, prefix: list[str] | None = None):
        self.data_dir = data_dir
        self.flags = flags
        self.env = env or {}
        self.prefix = prefix or []
        self.url = ""
        self.grpc_port = 0
        self.output: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Server:
        """Start and wait until it says it is ready."""
        command = [
            *self.prefix,
            *[sys.executable, "-m", "spanhouse_server.cli", "serve"],
            *["--data-dir", str(self.data_dir), "--http-port", "0", "--grpc-port", "0"],
            *self.flags,
        ]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | self.env,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        ready = threading.Event()
        threading.Thread(target=self._read, args=(self.process, ready), daemon=True).start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready.wait(0.02):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start:\n" + "".join(self.output))
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line)
            if found := re.search(r"Spanhouse is ready at (http://\S+)", line):
                self.url = found[1]
            if found := re.search(r"OTLP over gRPC on port (\d+)", line):
                self.grpc_port = int(found[1])
            if self.url and "data in" in line:
                ready.set()

    def kill(self) -> None:
        """Kill -9 the server and its helpers at once, as a crash of the machine would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """Ask it to stop; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def call(self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "") -> Any:
        """Return the JSON of an API call; raises ``urllib.error.HTTPError``."""
        status, answer = self.request(path, body, headers, method)
        if status >= 400:
            raise AssertionError(f"{path}: {status} {answer!r}")
        return answer

    def request(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = ""
    ) -> tuple[int, Any]:
        """Return status and JSON (or bytes) of a call."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | (headers or {})
        request = urllib.request.Request(self.url + path, data, sent, method=method or ("POST" if data else "GET"))
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, _read_body(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _read_body(error.read())

    def wait_stored(self, timeout_s: float = 60) -> dict[str, Any]:
        """Wait until the spool is empty; return what the ingest counters say."""
        deadline = time.monotonic() + timeout_s
        while True:
            ingest = self.call("/api/v1/ingest")
            if ingest["spool"]["requests"] == 0:
                return ingest
            if time.monotonic() > deadline:
                raise AssertionError(f"not stored in time: {ingest}\n" + "".join(self.output[-30:]))
            time.sleep(0.05)


def _die_with_parent() -> None:
    """End the server when the tests end without their clean-up (a time-out, a crash). Linux only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _read_body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@contextlib.contextmanager
def running(data_dir: Path, *flags: str, **options: Any) -> Iterator[Server]:
    """Run a server for a block; it is killed at the end whatever happens."""
    server = Server(data_dir, *flags, **options)
    try:
        yield server.start()
    finally:
        server.kill()
