"""Whatever of the stream went into the socket, the recorder finds the rest, in order and once."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_collector.proxy import overflow
from spanhouse_collector.proxy.overflow import Overflow, rest


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "PART_BYTES", 64)
    monkeypatch.setattr(overflow, "_READ_BYTES", 32)


class Stream:
    """What a relay writes: first into a socket with some room, then into the overflow."""

    def __init__(self) -> None:
        self.overflow = Overflow()
        self.sent = self.written = b""

    def write(self, data: bytes, room: int) -> None:
        self.written += data
        if not self.overflow.size:
            self.sent, data = self.sent + data[:room], data[room:]
        if data:
            self.overflow.add(data, len(self.sent))

    def go_on(self, room: int) -> None:
        while room and self.overflow.size:
            data = self.overflow.first()[:room]
            self.sent += data
            self.overflow.took(len(data))
            room -= len(data)

    @property
    def found(self) -> bytes:
        """What a recorder would have of the stream if the relay died now."""
        assert self.overflow.size == len(self.written) - len(self.sent)
        return self.sent + b"".join(rest(self.overflow.descriptors, len(self.sent)))


STEPS = st.lists(st.tuples(st.binary(max_size=100), st.integers(0, 150), st.integers(0, 150)), max_size=25)


@given(STEPS)
def test_the_rest_of_the_stream_is_found_at_every_moment(steps: list[tuple[bytes, int, int]]) -> None:
    stream = Stream()
    try:
        for data, room, freed in steps:
            stream.write(data, room)
            assert stream.found == stream.written
            stream.go_on(freed)
            assert stream.found == stream.written
    finally:
        stream.overflow.close()


def test_memory_comes_back_while_something_always_waits() -> None:
    stream = Stream()
    stream.write(bytes(50), 0)
    largest = 0
    for number in range(2000):
        stream.write(b"%d" % number, 0)
        stream.go_on(len(b"%d" % number))
        largest = max(largest, sum(os.fstat(each).st_size for each in stream.overflow.descriptors))
    assert stream.found == stream.written
    assert largest < 64 * 4
    stream.overflow.close()


def test_a_kill_in_the_middle_of_its_change_of_hands() -> None:
    # What was sent and is not yet forgotten is not read twice.
    stream = Stream()
    stream.write(b"abcdef", 2)
    stream.sent += stream.overflow.first()[:3]
    assert b"".join(rest(stream.overflow.descriptors, len(stream.sent))) == b"f"
    stream.overflow.close()
