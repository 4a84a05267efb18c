"""Runs the recorder beside the relay: starts it, writes to it, starts it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.overflow import Overflow
from spanhouse_collector.proxy.queue import peek

log = logging.getLogger("spanhouse.proxy")

#: How long to wait before the recorder is started again, by how often it died in a row.
RESTART_S = (0.1, 1.0, 5.0, 15.0)
#: A recorder that ran this long had a good start.
GOOD_RUN_S = 30.0
STOP_S = 5.0
#: How long the proxy waits for it before it takes calls.
START_S = 5.0
#: What the socket between the two may hold, as far as the system grants it; what is beyond waits in the overflow.
SOCKET_BYTES = 4 * 1024 * 1024
READ_BYTES = 1024 * 1024
#: How often the queue of an earlier recorder is looked for: soon after the start, since one that outlived its
#: proxy is about to put there what it still read, then seldom.
LEFTOVERS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

#: Keeps spans of a project (project, spans, OTLP body); raises ``Undeliverable``.
Deliver = Callable[[str, int, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RecorderSetup:
    """What the recorder needs to know. Without ``endpoint`` it delivers through ``deliver``.

    A ``lazy`` recorder is a process only once there is something to record, or was in an earlier run.
    """

    queue_path: Path
    queue_max_bytes: int
    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    deliver: Deliver | None = None
    lazy: bool = False


class RecorderProcess:
    """The recorder as the relay sees it. Used on one event loop only; nothing in it waits or raises.

    ``write`` puts frames into the socket at once, or where they do not fit into memory that the recorder shares
    (``overflow``), so that they outlive the relay. A recorder that is still starting, or starting again, gets what was
    written meanwhile.
    """

    def __init__(self, setup: RecorderSetup) -> None:
        self._setup = setup
        self._relay_id = uuid.uuid4().hex
        self._socket: socket.socket | None = None
        self._writing = False
        self._overflow: Overflow | None = None
        self._sent_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._tried = asyncio.Event()
        self._lost = asyncio.Event()
        self._cut = frames.Frames()
        self._deliveries: set[asyncio.Task[None]] = set()
        self.generation = 0
        self.restarts = 0
        self._stats: dict[str, int] | None = None
        self.on_report: Callable[[int, Mapping[str, Any]], None] = lambda number, summary: None

    async def start(self) -> None:
        """Start the recorder and keep it running; a lazy one is started beside, when there is something for it.

        Returns when it reads, or did not come up: calls are passed on all the same.
        """
        self._keeper = asyncio.create_task(self._keep())
        if not self._setup.lazy:
            self._asked.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._tried.wait(), START_S)

    async def stop(self) -> None:
        """Let the recorder keep what it has been given and send what it can, and end it."""
        if self._keeper is not None:
            deadline_s = time.monotonic() + STOP_S
            while self.backlog_bytes() and self._socket is None and time.monotonic() < deadline_s:
                await asyncio.sleep(0.02)  # it is still starting, and the only one who can keep this
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._process is not None:
            self.write(frames.pack(frames.CLOSING, 0, 0, b""))
            await asyncio.to_thread(_end, self._process)
        for delivery in list(self._deliveries):
            delivery.cancel()
        self._close()

    # The tee's side -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Hand over frames; never waits, but the first call of a lazy recorder for its process (milliseconds).

        Else a relay killed before there is a process would take calls with it that clients saw whole.
        """
        if not self._asked.is_set():
            self._asked.set()
            if self._setup.lazy and self._socket is None and self._process is None:
                with contextlib.suppress(OSError):  # it is tried again, and said
                    self._launch()
        if self._socket is None or self.backlog_bytes():
            self._wait(data)
            return
        sent = self._send(data)
        if sent < len(data) and self._socket is not None:
            self._wait(memoryview(data)[sent:])

    def backlog_bytes(self) -> int:
        """Return how much waits for the recorder."""
        return self._overflow.size if self._overflow is not None else 0

    def stats(self) -> dict[str, int]:
        """Return what the recorder last told; before it told anything, what its queue holds."""
        return peek(self._setup.queue_path) if self._stats is None else self._stats

    # The socket -----------------------------------------------------------------------------------

    def _send(self, data: bytes | memoryview) -> int:
        """Put what fits into the socket; return how much that was."""
        assert self._socket is not None  # noqa: S101 - tells the type checker
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._lose()
            return 0
        self._sent_bytes += sent
        return sent

    def _wait(self, data: bytes | memoryview) -> None:
        """Keep what the socket does not take now."""
        try:
            if self._overflow is None:
                self._overflow = Overflow()
            self._overflow.add(data, self._sent_bytes)
        except OSError as error:
            log.error("there is no memory for what the recorder has to read: %s", error)
            self._lose()
            return
        self._watch_room()

    def _watch_room(self) -> None:
        """Go on writing when the recorder has taken something."""
        if not self._writing and self._socket is not None:
            self._writing = True
            asyncio.get_running_loop().add_writer(self._socket.fileno(), self._write_on)

    def _write_on(self) -> None:
        overflow = self._overflow
        while overflow is not None and overflow.size and self._socket is not None:
            sent = self._send(overflow.first())
            if self._socket is None:
                return
            if not sent:
                self._watch_room()
                return
            overflow.took(sent)
        if self._writing and self._socket is not None:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _read_on(self) -> None:
        """Take reports and deliveries."""
        assert self._socket is not None  # noqa: S101 - tells the type checker
        try:
            data = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        for kind, number, _, payload in self._cut.feed(data):
            value = frames.unpack(payload)
            if kind == frames.STATS:
                self._stats = value
                self._tried.set()
            elif kind == frames.REPORT:
                self.on_report(number, value)
            elif kind == frames.DELIVER:
                task = asyncio.create_task(self._deliver(self.generation, number, *value))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    def _lose(self) -> None:
        """Note that the recorder is gone, and with it what was on its way to it."""
        self._close()
        self.generation += 1
        self._lost.set()

    def _close(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            if self._writing:
                loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._socket, self._writing = None, False
        self._sent_bytes = 0
        if self._overflow is not None:
            # The next recorder gets another one: this one may still be reading it.
            self._overflow.close()
            self._overflow = None

    # ----------------------------------------------------------------------------------------------

    async def _deliver(self, generation: int, number: int, project: str, spans: int, body: bytes) -> None:
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
        # The next recorder must not take it for the answer to something of its own.
        if self._socket is not None and self.generation == generation:
            self.write(frames.pack(frames.DELIVERED, number, 0, answer))

    def _launch(self) -> None:
        """Start a process and give it what waits: from here on it has one end of the socket, and outlives the relay."""
        with self._ends() as (ours, theirs, overflow):
            self._take_up(ours, _spawn(theirs, overflow), overflow)

    async def _launch_again(self) -> None:
        """Do the same beside the calls: a fork of a large process takes milliseconds."""
        with self._ends() as (ours, theirs, overflow):
            spawning = asyncio.create_task(asyncio.to_thread(_spawn, theirs, overflow))
            try:
                process = await asyncio.shield(spawning)
            finally:
                await asyncio.wait([spawning])  # the ends stay open until they are handed on
            self._take_up(ours, process, overflow)

    @contextlib.contextmanager
    def _ends(self) -> Iterator[tuple[socket.socket, socket.socket, Overflow]]:
        """Make both ends of the line; the recorder's is closed here, ours too if there is no recorder."""
        if self._overflow is None:
            self._overflow = Overflow()
        ours, theirs = socket.socketpair()
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
            yield ours, theirs, self._overflow
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()

    def _take_up(self, ours: socket.socket, process: subprocess.Popen[bytes], overflow: Overflow) -> None:
        if overflow is not self._overflow:
            raise OSError("what was to be read was given up meanwhile")  # the process ends with its socket
        self._process, self._stats = process, None
        self._cut = frames.Frames()
        self._lost.clear()
        setup = self._setup
        value = {
            "queue_path": str(setup.queue_path),
            "queue_max_bytes": setup.queue_max_bytes,
            "endpoint": setup.endpoint,
            "headers": dict(setup.headers),
            "resource": dict(setup.resource),
            "relay_id": self._relay_id,
        }
        ours.sendall(frames.pack(frames.SETUP, 0, 0, value))  # as yet there is room
        ours.setblocking(False)
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read_on)
        self._write_on()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        await self._until_needed()
        deaths = 0
        while True:
            try:
                if self._socket is None and self._process is None:
                    # The first one is there before a call is passed on.
                    self._launch()
                elif self._socket is None:
                    await self._launch_again()
            except OSError as error:
                deaths += 1
                self._tried.set()
                log.error("the recorder cannot be started, calls are not recorded: %s", error)
            else:
                begun_s = loop.time()
                await self._lost.wait()
                if self._process is not None:
                    status = await asyncio.to_thread(_end, self._process)
                    log.error("the recorder ended (status %s); calls go on, those under way are not recorded", status)
                deaths = 1 if loop.time() - begun_s > GOOD_RUN_S else deaths + 1
                self.restarts += 1
            await asyncio.sleep(RESTART_S[min(deaths, len(RESTART_S)) - 1])

    async def _until_needed(self) -> None:
        """Wait for the first frame, or for the queue of an earlier recorder.

        It may have left something in there, and where the proxy was used it will be again: better that the recorder
        reads already then. Looked for again and again, as one that outlived its proxy may begin the queue only now.
        """
        pauses_s = itertools.chain(LEFTOVERS_S, itertools.repeat(LEFTOVERS_S[-1]))
        while not (self._asked.is_set() or await asyncio.to_thread(self._setup.queue_path.exists)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), next(pauses_s))


def _spawn(theirs: socket.socket, overflow: Overflow) -> subprocess.Popen[bytes]:
    sources = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([sources, *filter(None, [os.environ.get("PYTHONPATH")])])
    descriptors = [theirs.fileno(), *overflow.descriptors]
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "spanhouse_collector.proxy.recorder", *map(str, descriptors)],
        pass_fds=descriptors,
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
