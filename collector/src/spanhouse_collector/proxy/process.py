"""Runs the recorder beside the relay: starts it, writes to it, starts it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.proxy import frames

log = logging.getLogger("spanhouse.proxy")

#: How long to wait before the recorder is started again, by how often it died in a row.
RESTART_S = (0.1, 1.0, 5.0, 15.0)
#: A recorder that ran this long had a good start.
GOOD_RUN_S = 30.0
STOP_S = 5.0

#: Keeps spans of a project (project, spans, OTLP body); raises ``Undeliverable``.
Deliver = Callable[[str, int, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecorderSetup:
    """What the recorder needs to know. Without ``endpoint`` it delivers through ``deliver``."""

    queue_path: Path
    queue_max_bytes: int
    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    deliver: Deliver | None = None


class RecorderProcess(asyncio.Protocol):
    """The recorder as the relay sees it. Used on one event loop only; nothing in it waits or raises."""

    def __init__(self, setup: RecorderSetup) -> None:
        self._setup = setup
        self._transport: asyncio.WriteTransport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._cut = frames.Frames()
        self._deliveries: set[asyncio.Task[None]] = set()
        self.generation = 0
        self.restarts = 0
        self.stats: dict[str, int] = {}
        self.on_report: Callable[[int, Mapping[str, Any]], None] = lambda number, summary: None

    async def start(self) -> None:
        """Start the recorder and keep it running."""
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let the recorder keep what it has been given, and end it."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        for delivery in list(self._deliveries):
            delivery.cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)

    # The tee's side -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Hand over frames; what is written while no recorder runs is lost (and counted by the tee)."""
        if self._transport is not None:
            self._transport.write(data)

    def backlog_bytes(self) -> int:
        """Return how much waits for the recorder; without one, more than any bound."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 1 << 62

    # asyncio.Protocol -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take reports and deliveries."""
        for kind, number, _, payload in self._cut.feed(data):
            value = frames.unpack(payload)
            if kind == frames.STATS:
                self.stats = value
            elif kind == frames.REPORT:
                self.on_report(number, value)
            elif kind == frames.DELIVER:
                task = asyncio.create_task(self._deliver(number, *value))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that the recorder is gone."""
        self._transport = None
        self.generation += 1
        self._lost.set()

    # ----------------------------------------------------------------------------------------------

    async def _deliver(self, sequence: int, project: str, spans: int, body: bytes) -> None:
        answer = (True, False, "")
        try:
            if self._setup.deliver is None:
                raise Undeliverable("nobody takes spans here", retry=True)
            await self._setup.deliver(project, spans, body)
        except Undeliverable as error:
            answer = (False, error.retry, error.message)
        except Exception as error:
            log.error("spans cannot be handed to the server: %s", type(error).__name__)
            answer = (False, True, type(error).__name__)
        self.write(frames.pack(frames.DELIVERED, sequence, 0, answer))

    async def _launch(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.to_thread(_spawn, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process = process
        self._cut = frames.Frames()
        self._lost.clear()
        ours.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
        setup = self._setup
        value = {
            "queue_path": str(setup.queue_path),
            "queue_max_bytes": setup.queue_max_bytes,
            "endpoint": setup.endpoint,
            "headers": dict(setup.headers),
            "resource": dict(setup.resource),
        }
        transport.write(frames.pack(frames.SETUP, 0, 0, value))
        self._transport = transport

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        deaths = 0
        while True:
            begun_s = loop.time()
            await self._lost.wait()
            if self._process is not None:
                status = await asyncio.to_thread(_end, self._process)
                log.error("the recorder ended (status %s); calls go on, those under way are not recorded", status)
            deaths = 1 if loop.time() - begun_s > GOOD_RUN_S else deaths + 1
            while True:
                await asyncio.sleep(RESTART_S[min(deaths, len(RESTART_S)) - 1])
                try:
                    await self._launch()
                except OSError as error:
                    deaths += 1
                    log.error("the recorder cannot be started: %s", error)
                else:
                    self.restarts += 1
                    break


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    sources = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([sources, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "spanhouse_collector.proxy.recorder", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path},
    )


def _end(process: subprocess.Popen[bytes]) -> int:
    """Wait for a recorder that was told to end; kill it when it does not."""
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
