"""What does not fit into the socket to the recorder: memory that both processes share, so that it outlives the relay.

Relay and recorder see one stream of bytes. Its beginning went into the socket; while the socket is full, what follows
waits here and goes on to the socket as soon as there is room. When the relay is gone, the recorder reads to the end of
the socket and then on from here: each part says where in the stream it begins, and the recorder knows how far it got.
So nothing has to be agreed on while both are alive, and no moment of a kill is a wrong one.

There are two parts, filled in turn: one that is empty again gives its memory back, however long something waits.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator, Sequence

#: A part begins with where in the stream its first byte belongs.
_HEAD = struct.Struct("<Q")
_READ_BYTES = 256 * 1024
#: The other part is begun, once it is empty, when this much was written to one.
PART_BYTES = 16 * 1024 * 1024


class _Part:
    """One piece of memory; ``size`` bytes in it wait."""

    def __init__(self) -> None:
        self.descriptor = _make()
        self.written = self._taken = 0

    @property
    def size(self) -> int:
        return self.written - self._taken

    def add(self, data: bytes | memoryview, stream_position: int) -> None:
        position = _HEAD.size + self.written
        self.written += len(data)
        if position == _HEAD.size:
            # One write for head and beginning: killed in between, there is nothing or the head is right.
            data, position = _HEAD.pack(stream_position) + data, 0
        view = memoryview(data)
        while view:
            count = os.pwrite(self.descriptor, view, position)
            view, position = view[count:], position + count

    def first(self) -> bytes:
        return os.pread(self.descriptor, min(self.size, _READ_BYTES), _HEAD.size + self._taken)

    def took(self, count: int) -> None:
        self._taken += count
        if not self.size:
            os.ftruncate(self.descriptor, 0)
            self.written = self._taken = 0


class Overflow:
    """The relay's side; ``size`` is how many bytes wait. Raises ``OSError`` when there is no memory for more."""

    def __init__(self) -> None:
        self._older, self._newer = _Part(), _Part()
        self.descriptors = (self._older.descriptor, self._newer.descriptor)
        self.size = 0

    def add(self, data: bytes | memoryview, sent_bytes: int) -> None:
        """Let ``data`` wait; ``sent_bytes`` is how much of the stream is in the socket so far."""
        stream_position = sent_bytes + self.size
        if self._newer.written >= PART_BYTES and not self._older.size:
            self._older, self._newer = self._newer, self._older
        self._newer.add(data, stream_position)
        self.size += len(data)

    def first(self) -> bytes:
        """Return some of what waits, from its beginning."""
        return (self._older if self._older.size else self._newer).first()

    def took(self, count: int) -> None:
        """Forget as many bytes of what ``first`` returned: they are in the socket."""
        (self._older if self._older.size else self._newer).took(count)
        self.size -= count

    def close(self) -> None:
        """Let go of it; the recorder may still have it."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def rest(descriptors: Sequence[int], received_bytes: int) -> Iterator[bytes]:
    """Yield what was left for a recorder that has received so much of the stream; for when the relay is gone."""
    parts = []
    for descriptor in descriptors:
        head = os.pread(descriptor, _HEAD.size, 0)
        if len(head) == _HEAD.size:
            parts.append((_HEAD.unpack(head)[0], descriptor))
    for begins, descriptor in sorted(parts):
        position = _HEAD.size + received_bytes - begins
        while position >= _HEAD.size and (data := os.pread(descriptor, _READ_BYTES, position)):
            position += len(data)
            received_bytes += len(data)
            yield data


def _make() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("spanhouse-calls", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # without a name, so nobody else opens it
        return os.dup(file.fileno())
