"""The proxies, the server and the store die at random under load: what a client saw whole is recorded once.

Two proxies take the calls, the one inside the server and one alone that sends to it. A relay that is killed
by itself loses nothing that a client saw whole (``test_proxy_deaths`` tries its every moment); only a kill that
takes the recorder too may lose what was on its way from one to the other: the calls of the last moments, or their
ends (``docs/proxy.md``).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.clickhouse_http import ClickHouseHttp
from tests.integration.test_proxy_faults import ANSWER, REPLY, chat
from tests.server import Server
from tests.unit.collector.proxy.wire import ProxyProcess, RawUpstream, ask

CHAOS_S = 15.0
CLIENTS = 4
#: What dies, and whether its recorder dies with it; shuffled again and again.
DECK = [
    *[("proxy", False)] * 3,
    *[("proxy", True)] * 2,
    *[("server", False)] * 2,
    ("server", True),
    *[("store", False)] * 4,
]
INPUT_TOKENS = 5
#: Far more than the moments that are documented: the recorder runs at low priority on a busy machine. It reads
#: calls in the order of their ends, give or take.
WINDOW_S = 3.0
ORDER_S = 0.5
_EVENT = b'data: {"id":"c","model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":%s}]}\n\n'
_USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\ndata: [DONE]\n\n'
STREAM = [_EVENT % b"null", _EVENT % b"null", _EVENT % b'"stop"', _USAGE]


@dataclass(eq=False)
class Door:
    """One of the two proxies, as clients see it. ``epoch`` changes when it is killed, ``up`` is after its start."""

    path: str
    port: int = 0
    epoch: int = 0
    up: bool = False
    #: When the recorder was killed as well (monotonic seconds).
    torn_s: list[float] = field(default_factory=list)
    #: Every kill (monotonic seconds, what of).
    kills: list[tuple[float, str]] = field(default_factory=list)

    def dies(self, *, torn: bool) -> None:
        self.epoch += 1
        self.up = False
        self.kills.append((time.monotonic(), "both" if torn else "relay"))
        if torn:
            self.torn_s.append(time.monotonic())

    def opens(self, port: int) -> None:
        self.port, self.up = port, True


@dataclass
class Done:
    """A call that its client saw whole."""

    door: Door
    epoch: int
    at_s: float


def call_of(door: Door, name: str, *, stream: bool = False) -> bytes:
    """Return the bytes of a call through a door."""
    to = f"{door.path}/{'streams' if stream else 'openai'}/".encode()
    return chat(f"X-Session-Id: {name}\r\n").replace(b"/openai/", to, 1)


class Clients:
    """Call through both doors until told to stop. ``done`` has what came back whole, ``faults`` what must not be."""

    def __init__(self, doors: list[Door]) -> None:
        self._doors = doors
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.done: dict[str, Done] = {}
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)
        while not self._stop.is_set():
            door = chance.choice(self._doors)
            if door.up:
                self._call(door, stream=chance.random() < 0.5)
            time.sleep(0.002)

    def _call(self, door: Door, *, stream: bool) -> None:
        name, epoch, port = f"call-{next(self._numbers)}", door.epoch, door.port
        head = call_of(door, name, stream=stream)
        wanted = b"".join(STREAM) if stream else ANSWER
        try:
            answer = ask(port, head)
            fault = "" if answer.whole and answer.body == wanted else f"{answer.line!r} {answer.body!r}"
        except (OSError, EOFError) as error:
            fault = repr(error)
        if not fault:
            self.done[name] = Done(door, epoch, time.monotonic())
        elif door.epoch == epoch:
            self.faults.append(f"{door.path or 'alone'}: {fault}")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def upstreams() -> Iterator[tuple[RawUpstream, RawUpstream]]:
    """Serve whole answers, and streams that take a while."""
    plain, streams = RawUpstream(), RawUpstream()
    plain.default = [0.005, REPLY + ANSWER]
    streams.default = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        *itertools.chain.from_iterable((b"%x\r\n%s\r\n" % (len(each), each), 0.01) for each in STREAM),
        b"0\r\n\r\n",
    ]
    try:
        yield plain, streams
    finally:
        plain.close()
        streams.close()


def lives(group: int) -> bool:
    """Tell whether a process of a group runs."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    """Return a port that the server gets again at each of its starts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class House:
    """Everything that can die, with the two doors into it."""

    def __init__(self, folder: Path, plain: RawUpstream, streams: RawUpstream) -> None:
        self.store = ClickHouseHttp(folder / "store")
        self.store.start()
        self.store_up = True
        port = free_port()
        to = [f"openai=http://127.0.0.1:{plain.port}", f"streams=http://127.0.0.1:{streams.port}"]
        flags = [word for each in to for word in ("--proxy-upstream", each)]
        self._server_flags = (folder / "house", "--store-dsn", self.store.dsn, "--http-port", str(port), *flags)
        self._proxy_flags = (folder / "alone", f"http://127.0.0.1:{port}", *flags)
        self.mounted, self.alone = Door("/proxy"), Door("")
        #: Groups of which only the leader was killed.
        self.left: list[int] = []
        self.start_server()
        self.start_proxy()

    def start_server(self) -> None:
        self.server = Server(*self._server_flags).start()
        self.mounted.opens(int(self.server.url.rpartition(":")[2]))

    def start_proxy(self) -> None:
        self.proxy = ProxyProcess(*self._proxy_flags).start()
        self.alone.opens(self.proxy.port)

    def kill_server(self, *, whole: bool) -> None:
        self.mounted.dies(torn=whole)
        if whole:
            self.server.kill()
        else:
            assert self.server.process is not None
            self._kill_alone(self.server.process)

    def kill_proxy(self, *, whole: bool) -> None:
        self.alone.dies(torn=whole)
        if whole:
            self.proxy.kill()
        else:
            self._kill_alone(self.proxy.process)

    def _kill_alone(self, process: subprocess.Popen[str]) -> None:
        """Kill the leader of a group; what it leaves has work to do still."""
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.left.append(process.pid)

    def turn_store(self) -> None:
        self.store_up = not self.store_up
        if self.store_up:
            self.store.start()
        else:
            self.store.stop()

    def settle(self) -> None:
        """Wait until everything that is kept anywhere is stored."""
        if not self.store_up:
            self.turn_store()
        # Recorders tell how they stand now and then only, but keep calls in the order of their ends: with the last
        # one of each door all before it are stored.
        for door, mark in ((self.alone, "last-alone"), (self.mounted, "last-mounted")):
            assert ask(door.port, call_of(door, mark)).whole
        deadline_s = time.monotonic() + 90
        while self._waits():
            assert time.monotonic() < deadline_s, "".join(self.server.output[-20:] + self.proxy.output[-20:])
            time.sleep(0.2)
        self.server.wait_stored()

    def _waits(self) -> bool:
        if any(map(lives, self.left)):
            return True
        status, last = self.server.request("/api/v1/spans?q=session:last-*")
        if status != 200 or len(last["items"]) < 2:
            return True
        page = ask(self.proxy.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").body
        alone = json.loads(page)
        _, text = self.server.request("/metrics")
        return bool(alone.get("queue_batches", 1) or b"spanhouse_proxy_queue_batches 0.0" not in text)

    def close(self) -> None:
        self.server.kill()
        self.proxy.kill()
        self.store.stop()


def recorded(server: Server) -> list[tuple[str, str, int | None, str]]:
    """Return every stored call: session (the client's name of it), status, input tokens, error."""
    found, cursor = [], ""
    while True:
        page = server.call(f"/api/v1/spans?limit=200&cursor={cursor}")
        found += [
            (item["session_id"], item["status_code"], item["input_tokens"], item["error_type"])
            for item in page["items"]
        ]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def told(name: str, done: Done, stored: list[tuple[str, str, int | None, str]]) -> str:
    """Return what is known of a lost call: what is recorded of it, and when its door's proxy was killed since."""
    record = next((rest for session, *rest in stored if session == name), None)
    kills = [(f"{at_s - done.at_s:.2f} s", kind) for at_s, kind in done.door.kills if at_s > done.at_s]
    return f"door {done.door.path or 'alone'!r}, epoch {done.epoch}, recorded {record}, killed after {kills[:2]}"


def test_what_a_client_saw_whole_is_recorded_once_whatever_dies(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with upstreams() as (plain, streams):
        house = House(tmp_path, plain, streams)
        clients = Clients([house.alone, house.mounted])
        happened: Counter[str] = Counter()
        try:
            end_s = time.monotonic() + CHAOS_S
            deck: list[tuple[str, bool]] = []
            while time.monotonic() < end_s:
                time.sleep(chance.uniform(0.05, 0.5))
                deck = deck or chance.sample(DECK, len(DECK))
                what, whole = deck.pop()
                happened[f"{what}{' and its recorder' if whole else ''}"] += 1
                if what == "proxy":
                    house.kill_proxy(whole=whole)
                    time.sleep(chance.uniform(0, 0.1))
                    house.start_proxy()
                elif what == "server":
                    house.kill_server(whole=whole)
                    house.start_server()
                else:
                    house.turn_store()
            clients.stop()
            house.settle()
            stored = recorded(house.server)
            ingest = house.server.call("/api/v1/ingest")
            counted = house.server.call("/api/v1/metrics?metric=spans&from=-1d")["series"][0]["total"]
        finally:
            clients.stop()
            house.close()
        asked = Counter(request.header(b"x-session-id") for request in [*plain.requests, *streams.requests])

    assert not clients.faults
    assert max(asked.values()) == 1, "a call was sent twice"
    seen = Counter(session for session, *_ in stored)
    assert max(seen.values()) == 1, "a call is shown twice"
    assert counted == len(stored), "metrics and list differ"
    assert ingest["stored_spans"] == len(stored), f"the counters say otherwise: {ingest}"
    # Of a call whose recorder was killed with its relay, the end may be lost only: such a call is lost as well.
    by_name = {session: rest for session, *rest in stored if rest[2] != "proxy_ended"}
    lost = {name: done for name, done in clients.done.items() if name not in by_name}
    print(f"{len(clients.done)} calls, {len(stored)} recorded, {len(lost)} lost; {dict(happened)}")
    for name, done in lost.items():
        same = {k: each.at_s for k, each in clients.done.items() if (each.door, each.epoch) == (done.door, done.epoch)}
        # Only what its recorder had not come to: nothing that ended later was recorded before it was killed.
        kept_s = [at_s for key, at_s in same.items() if key in by_name]
        assert any(
            0 <= at_s - done.at_s < WINDOW_S and not any(done.at_s + ORDER_S < kept < at_s for kept in kept_s)
            for at_s in done.door.torn_s
        ), f"{name} is lost: {told(name, done, stored)}"
    assert len(clients.done) > 100
    assert len(lost) < len(clients.done) / 5
    for name in clients.done.keys() - lost.keys():
        assert by_name[name] == ["unset", INPUT_TOKENS, ""], f"{name}: {by_name[name]}"
