"""Frames, the tee's bounds, WebSocket messages, the queue."""

import asyncio
import marshal
import os
import sqlite3
import struct
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.parse.contract import CallEnd
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.book import Book
from spanhouse_collector.proxy.queue import MERGE_BYTES, Batch, Queue, peek
from spanhouse_collector.proxy.sender import Sender
from spanhouse_collector.proxy.tee import Tee
from spanhouse_collector.proxy.wsframes import MessageReader


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, position = [], 0
    for size in sizes:
        pieces.append(data[position : position + size])
        position += size
    return [*pieces, data[position:]]


FRAMES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 2**64 - 1), st.integers(0, 2**63), st.binary(max_size=50))
)


@given(FRAMES, st.lists(st.integers(0, 40), max_size=20))
def test_frames_survive_every_split(sent, sizes) -> None:
    reader = frames.Frames()
    data = b"".join(frames.pack(*frame) for frame in sent)
    assert [frame for piece in cut(data, sizes) for frame in reader.feed(piece)] == sent


class FakeRecorder:
    """Takes what it is given; ``full`` is what it says waits."""

    def __init__(self) -> None:
        self.generation = 0
        self.full = 0
        self.taken = b""

    def write(self, data: bytes) -> None:
        self.taken += data

    def backlog_bytes(self) -> int:
        return self.full


START = {
    "call_id": "c", "provider": "openai", "url": b"http://x/v1/x", "method": b"POST", "path": b"/v1/x", "query": b"",
    "headers": [], "own": {}, "traceparent": b"", "project": "p", "reports": False,
}  # fmt: skip
END = CallEnd("complete", 5)


def records(recorder: FakeRecorder):
    book = Book()
    done = [book.feed(*frame) for frame in frames.Frames().feed(recorder.taken)]
    return book, [record for _, record in filter(None, done)]


async def test_a_call_that_finds_no_room_is_left_out_whole_and_counted() -> None:
    recorder = FakeRecorder()
    tee = Tee(recorder, max_backlog_bytes=1000)
    first, second = tee.start(1, 1, START), tee.start(2, 1, START)
    tee.flush()
    recorder.full = 1000
    first.part(frames.RESPONSE_CHUNK, b"x", 2)
    recorder.full = 0
    first.part(frames.RESPONSE_CHUNK, b"y", 3)
    for call in (first, second):
        call.end(END)
        call.end(END)
    tee.flush()
    book, done = records(recorder)
    assert (len(done), tee.dropped, book.calls) == (1, 1, {})


async def test_calls_under_way_when_the_recorder_died_are_counted_once() -> None:
    recorder = FakeRecorder()
    tee = Tee(recorder, max_backlog_bytes=1000)
    call = tee.start(1, 1, START)
    tee.flush()
    recorder.generation += 1
    recorder.taken = b""
    call.part(frames.RESPONSE_CHUNK, b"x", 2)
    call.end(END)
    tee.flush()
    assert (tee.dropped, recorder.taken) == (1, b"")


async def test_frames_are_handed_over_without_being_asked() -> None:
    recorder = FakeRecorder()
    tee = Tee(recorder, max_backlog_bytes=1000)
    tee.start(1, 1, START)
    assert not recorder.taken
    async with asyncio.timeout(60):
        while not recorder.taken:
            await asyncio.sleep(0.005)


BODIES = [frames.REQUEST_CHUNK, frames.RESPONSE_CHUNK, frames.CLIENT_BYTES, frames.SERVER_BYTES]


@given(st.lists(st.tuples(st.sampled_from(BODIES), st.binary(max_size=100))), st.booleans())
def test_nothing_that_passes_makes_the_book_raise(pieces, websocket) -> None:
    book = Book()
    book.feed(frames.START, 1, 0, marshal.dumps(START | {"websocket": websocket}))
    book.feed(frames.RESPONSE_START, 1, 0, marshal.dumps((101 if websocket else 200, [(b"a", b"\xff")])))
    for kind, payload in pieces:
        book.feed(kind, 1, 0, payload)
    value = ("complete", "", "", None, 0, None, None, None)
    assert book.feed(frames.END, 1, 0, marshal.dumps(value)) is not None
    assert not book.unreadable


def test_calls_that_are_open_when_the_proxy_ends_are_recorded() -> None:
    book = Book()
    for frame in frames.Frames().feed(frames.pack(frames.START, 1, 1, START)):
        book.feed(*frame)
    ((call, record),) = book.end_all(9)
    assert (call.project, record.end.outcome, record.end.error_type) == ("p", "upstream_error", "proxy_ended")


def test_a_stream_that_had_said_all_when_the_proxy_ended_is_complete() -> None:
    said = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    for end, outcome in ((b"data: [DONE]\n\n", "complete"), (b"", "upstream_error")):
        book = Book()
        start = START | {"path": b"/v1/chat/completions"}
        for frame in (
            frames.pack(frames.START, 1, 1, start),
            frames.pack(frames.RESPONSE_START, 1, 2, (200, [(b"content-type", b"text/event-stream")])),
            frames.pack(frames.RESPONSE_CHUNK, 1, 3, said + end),
        ):
            for each in frames.Frames().feed(frame):
                book.feed(*each)
        ((_, record),) = book.end_all(9)
        assert record.end.outcome == outcome
        assert bool(record.end.error_type) == (outcome != "complete")


# WebSocket messages -------------------------------------------------------------------------------


def ws_frame(payload: bytes, first: int, mask: bytes = b"") -> bytes:
    bit = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65536:
        head = bytes([first, bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack(">Q", size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)) if mask else head + payload


@given(
    st.lists(st.tuples(st.text(max_size=200), st.binary(min_size=4, max_size=4), st.integers(1, 5)), max_size=6),
    st.lists(st.integers(0, 60), max_size=30),
)
def test_messages_survive_masks_fragments_and_splits(messages, sizes) -> None:
    data = b""
    for text, mask, pieces in messages:
        parts = [bytes(part) for part in cut(text.encode(), [len(text.encode()) // pieces] * (pieces - 1))]
        for index, part in enumerate(parts):
            final = 0x80 if index == len(parts) - 1 else 0
            data += ws_frame(part, final | (1 if index == 0 else 0), mask) + ws_frame(b"ping", 0x89, mask)
    reader = MessageReader([], from_client=True)
    got = [message for piece in cut(data, sizes) for message in reader.feed(piece)]
    assert got == [text for text, _, _ in messages]


@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_messages(takeover: bool) -> None:
    extensions = b"permessage-deflate" + (b"" if takeover else b"; server_no_context_takeover")
    reader = MessageReader([(b"Sec-WebSocket-Extensions", extensions)], from_client=False)
    deflater = zlib.compressobj(wbits=-15)
    texts = ['{"type":"response.completed"}' * 3, '{"type":"response.completed"}' * 2000]
    data = b""
    for text in texts:
        if not takeover:
            deflater = zlib.compressobj(wbits=-15)
        data += ws_frame((deflater.compress(text.encode()) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4], 0xC1)
    assert list(reader.feed(data)) == texts


@given(st.binary(max_size=300))
def test_garbage_is_no_message_and_no_error(data: bytes) -> None:
    deflate = [(b"sec-websocket-extensions", b"permessage-deflate")]
    at_once = list(MessageReader(deflate, from_client=True).feed(data))
    reader = MessageReader(deflate, from_client=True)
    assert [found for byte in data for found in reader.feed(bytes([byte]))] == at_once


def test_a_bomb_is_not_inflated() -> None:
    deflater = zlib.compressobj(wbits=-15)
    bomb = (deflater.compress(bytes(64 * 1024 * 1024)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    reader = MessageReader([(b"sec-websocket-extensions", b"permessage-deflate")], from_client=False)
    assert list(reader.feed(ws_frame(bomb, 0xC2))) == []


# The queue ----------------------------------------------------------------------------------------


def test_the_queue_keeps_order_over_restarts_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "queue.db"
    queue = Queue(path, max_bytes=15)
    queue.put([("p", 2, b"12345"), ("q", 1, b"12345"), ("r", 1, b"123456"), ("p", 1, b"54321")])
    assert queue.stats() == {"queue_bytes": 15, "queue_batches": 3, "dropped_queue_full": 1}
    queue.close()
    queue = Queue(path, max_bytes=15)
    first = queue.take()
    assert first is not None
    # One project's rows go together, whatever lies between them.
    assert (first.project, first.spans, first.body) == ("p", 3, b"1234554321")
    assert queue.take() == first
    single = queue.take(1)
    assert single is not None
    assert single.body == b"12345"
    queue.done(first, "sent")
    queue.done(single, "sent")  # counted once
    second = queue.take()
    assert second is not None
    queue.done(second, "sent")
    assert queue.take() is None
    assert queue.stats() == {"queue_bytes": 0, "queue_batches": 0, "dropped_queue_full": 1, "sent": 4}


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.db", max_bytes=100_000_000)
    queue.put([("p", 300, b"a"), ("p", 300, b"b"), ("p", 1, bytes(MERGE_BYTES + 1)), ("p", 1, b"c")])
    taken = []
    while (batch := queue.take()) is not None:
        taken.append((batch.spans, len(batch.body)))
        queue.done(batch, "sent")
    assert taken == [(300, 1), (300, 1), (1, MERGE_BYTES + 1), (1, 1)]


def test_only_the_owner_may_read_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.touch(mode=0o644)  # as an earlier version left it
    queue = Queue(path, max_bytes=100)
    queue.put([("p", 1, b"x")])
    assert queue.may_deliver()
    assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == dict.fromkeys(
        ("queue.db", "queue.db-wal", "queue.db-shm", "queue.lock"), 384
    )


def test_two_recorders_share_a_queue_and_one_delivers(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    assert peek(path) == {"queue_bytes": 0, "queue_batches": 0}
    old, new = Queue(path, max_bytes=100), Queue(path, max_bytes=100)
    assert peek(path) == {"queue_bytes": 0, "queue_batches": 0}
    assert old.may_deliver()
    assert not new.may_deliver()
    old.put([("p", 1, b"12345")])
    assert peek(path) == {"queue_bytes": 5, "queue_batches": 1}
    batch = old.take()
    assert batch is not None
    assert new.stats()["queue_bytes"] == 5
    old.done(batch, "sent")
    new.done(batch, "sent")
    assert new.stats() == old.stats() == peek(path) == {"queue_bytes": 0, "queue_batches": 0, "sent": 1}
    old.close()
    assert new.may_deliver()


class Backend:
    """Takes batches, but none with a bad row."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def deliver(self, batch: Batch) -> None:
        if b"bad" in batch.body:
            raise Undeliverable("bad", retry=False)
        self.taken.append(batch.body)

    def close(self) -> None:
        pass


def test_a_row_that_is_refused_takes_no_other_with_it(tmp_path: Path) -> None:
    queue, backend = Queue(tmp_path / "queue.db", max_bytes=1000), Backend()
    queue.put([("p", 1, body) for body in (b"one.", b"bad.", b"two.", b"three.")])
    sender = Sender(queue, backend)
    sender.start()
    deadline_s = time.monotonic() + 60
    while queue.take() is not None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    sender.drain(5)
    assert b"".join(backend.taken) == b"one.two.three."
    assert queue.stats() == {"queue_bytes": 0, "queue_batches": 0, "sent": 3, "dropped_refused": 1}


def test_a_damaged_queue_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    path.write_bytes(b"not a database" * 1000)
    queue = Queue(path, max_bytes=100)
    queue.put([("p", 1, b"x")])
    assert queue.stats()["queue_batches"] == 1
    queue.close()
    assert path.with_suffix(".damaged").exists()
    assert sqlite3.connect(path).execute("SELECT COUNT(*) FROM batches").fetchone() == (1,)


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").exists(), reason="needs a place nobody can write")
def test_a_folder_nobody_can_write_still_queues_in_memory() -> None:
    queue = Queue(Path("/proc/nowhere/queue.db"), max_bytes=100)
    queue.put([("p", 1, b"x")])
    assert queue.take() is not None
