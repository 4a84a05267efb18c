"""What the recorder received and had not read outlives it: kept in its journal, read by the next one."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.journal import Journal, abandoned, journals_of, read_journal
from spanhouse_collector.proxy.leftovers import Leftovers
from spanhouse_collector.proxy.line import Line
from spanhouse_collector.proxy.queue import Queue, peek
from spanhouse_collector.proxy.recorder import RecorderLoop
from tests.unit.collector.proxy.test_recording import START

END = ("complete", "", "", 5, 0, None, None, None)
CHAT = {"path": b"/v1/chat/completions", "url": b"https://api.openai.com/v1/chat/completions"}
SECRET = b"sk-very-secret"


def whole_call(number: int, *, end: bool = True, body: bytes = b"{}", **start: Any) -> bytes:
    """Return the frames of a call as the relay writes them."""
    parts = [
        frames.pack(frames.START, number, 1000 + number, {**START, **CHAT, "call_id": f"{number:032x}", **start}),
        frames.pack(frames.REQUEST_CHUNK, number, 1001 + number, body),
        frames.pack(frames.RESPONSE_START, number, 1002 + number, (200, [(b"set-cookie", SECRET), (b"x", b"y")])),
        frames.pack(frames.RESPONSE_CHUNK, number, 1003 + number, body),
    ]
    if end:
        parts.append(frames.pack(frames.END, number, 1004 + number, END))
    return b"".join(parts)


@contextlib.contextmanager
def recorder(path: Path, relay_id: str = "relay") -> Iterator[tuple[RecorderLoop, socket.socket]]:
    """Make a recorder in this process, not running; leaving it is its death."""
    ours, theirs = socket.socketpair()
    setup = {"queue_path": str(path), "queue_max_bytes": 1 << 26, "endpoint": "", "headers": {}, "resource": {}}
    loop = RecorderLoop(Line(theirs), frames.Frames(), setup | {"relay_id": relay_id})
    try:
        yield loop, ours
    finally:
        loop._journal._release()  # what the system does for a process that is killed
        loop._queue.close()
        ours.close()
        theirs.close()


def receive(loop: RecorderLoop, ours: socket.socket, data: bytes) -> None:
    for begin in range(0, len(data), 4096):
        ours.sendall(data[begin : begin + 4096])
        loop._receive(1)


def pick_up(path: Path, relay_id: str = "next") -> list[Span]:
    """Read what was left as the next recorder does, and return all spans in the queue."""
    queue = Queue(path, 1 << 26)
    leftovers = Leftovers(journals_of(path), queue, {}, relay_id)
    for journal in abandoned(journals_of(path)):
        leftovers._take(journal)
    found: list[Span] = []
    while batch := queue.take():
        for resource in ExportTraceServiceRequest.FromString(batch.body).resource_spans:
            found += [span for scope in resource.scope_spans for span in scope.spans]
        queue.done(batch, "sent")
    queue.close()
    return found


def test_what_was_received_and_not_read_is_read_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with recorder(path) as (loop, ours):
        receive(loop, ours, b"".join(whole_call(number) for number in range(300)))
        for _ in range(5 * 100):
            loop._take(*loop._waiting.popleft())
        loop._keep()
        assert loop._queue.stats()["queue_batches"] == 1
        assert peek(path)["queue_batches"] == 1  # nobody is to read what has an owner
    assert peek(path)["queue_batches"] == 2
    spans = pick_up(path)
    assert len(spans) == len({span.span_id for span in spans}) == 300
    assert not list(journals_of(path).iterdir())
    assert peek(path)["queue_batches"] == 0


def test_a_recorder_with_nothing_to_read_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with recorder(path) as (loop, ours):
        receive(loop, ours, b"".join(whole_call(number) for number in range(20)))
        loop._read(0)
        (journal,) = journals_of(path).iterdir()
        assert sum(file.stat().st_size for file in journal.iterdir()) == 0
        loop._journal.close()
    assert not list(journals_of(path).iterdir())
    assert len(pick_up(path)) == 20


def test_what_is_under_way_when_the_relay_dies_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with recorder(path) as (loop, ours):
        ours.sendall(whole_call(1) + whole_call(2, end=False))
        ours.close()
        loop.run([])
        assert not list(journals_of(path).iterdir())
        loop._queue = Queue(path, 1 << 26)  # it is closed by whoever leaves
    assert len(pick_up(path)) == 2


@pytest.mark.parametrize(("relay_id", "told"), [("next", ["proxy_ended"]), ("relay", [])])
def test_calls_under_way_are_told_when_their_relay_is_gone(tmp_path: Path, relay_id: str, told: list[str]) -> None:
    path = tmp_path / "queue.db"
    with recorder(path) as (loop, ours):
        receive(loop, ours, whole_call(1, end=False))
    spans = pick_up(path, relay_id)
    assert [each.value.string_value for span in spans for each in span.attributes if each.key == "error.type"] == told


def test_no_credential_and_nothing_to_be_left_out_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    url = b"https://api.openai.com/v1/chat/completions?key=" + SECRET
    secret = SECRET.decode()
    headers = [(b"authorization", b"Bearer " + SECRET), (b"x-api-key", SECRET), (b"spanhouse-auth", SECRET)]
    own = {"auth": secret, "fallbacks": f'[{{"headers": {{"authorization": "{secret}"}}}}]', "user-id": "ann"}
    data = whole_call(1, url=url, query=b"key=" + SECRET, headers=headers, own=own, body=b'"kept"')
    data += whole_call(2, own={"omit-request": "true"}, body=SECRET)
    data += whole_call(3, path=b"/v1/realtime/client_secrets", body=SECRET)
    data += frames.pack(frames.START, 4, 1, {**START, "call_id": "f" * 32})
    data += frames.pack(frames.END, 4, 2, (*END[:-1], ("gemini", url)))
    with recorder(path) as (loop, ours):
        receive(loop, ours, data)
        (journal,) = journals_of(path).iterdir()
        assert {file.stat().st_mode & 0o777 for file in journal.iterdir()} == {0o600}
        assert journal.stat().st_mode & 0o777 == 0o700
    written = b"".join(file.read_bytes() for file in journal.iterdir())
    assert b"ann" in written
    assert b'"kept"' in written
    assert SECRET not in written
    spans = pick_up(path)
    assert len(spans) == 4
    assert secret not in str(spans)


STEPS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["body", "body", "end", "keep", "flush"])), max_size=60)


@settings(max_examples=60)
@given(STEPS, st.integers(20, 400))
def test_exactly_what_is_not_kept_is_left_whole_and_in_order(steps: list[tuple[int, str]], file_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        journal = Journal(base, "relay", file_bytes=file_bytes)
        expected: dict[int, list[tuple[int, int, int, bytes]]] = {}
        life: dict[int, int] = {}

        def add(slot: int, kind: int, payload: bytes) -> None:
            number = life[slot]
            journal.add(kind, number, 1, payload)
            expected[number].append((kind, number, 1, payload))

        for place, (slot, step) in enumerate(steps):
            if slot not in life:
                life[slot] = place * 10 + slot
                expected[life[slot]] = []
                add(slot, frames.START, b"start")
            if step == "flush":
                journal.flush()
            elif step == "keep":
                journal.flush()
                journal.kept([life[slot]])
                del expected[life.pop(slot)]
            else:
                add(slot, frames.END if step == "end" else frames.RESPONSE_CHUNK, b"x" * slot * 9)
        journal.flush()
        journal._release()
        (left,) = abandoned(base)
        found: dict[int, list[tuple[int, int, int, bytes]]] = {}
        for frame in read_journal(left):
            found.setdefault(frame[1], []).append(frame)
        assert found == expected


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "relay", file_bytes=1000, max_bytes=5000)
    for number in range(100):
        journal.add(frames.START, number, 1, b"x" * 300)
        journal.flush()
    (folder,) = tmp_path.iterdir()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 7000
    journal.kept(range(100))
    assert [file.stat().st_size for file in folder.iterdir()] == [0]
    journal.close()


def test_without_a_place_to_write_calls_are_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    journals_of(path).write_bytes(b"in the way")
    with recorder(path) as (loop, ours):
        receive(loop, ours, whole_call(1))
        loop._read(0)
        assert loop._queue.stats()["queue_batches"] == 1
    journals_of(path).unlink()
    assert len(pick_up(path)) == 1


def test_garbage_in_a_journal_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    with recorder(path) as (loop, ours):
        receive(loop, ours, whole_call(1) + whole_call(2))
    (journal,) = journals_of(path).iterdir()
    (file,) = journal.iterdir()
    file.write_bytes(file.read_bytes() + b"\x01" * 50)
    assert len(pick_up(path)) == 2
