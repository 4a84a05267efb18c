"""Frames between the proxy and the recorder: a call's copy one way, reports and deliveries the other.

A frame is a head (kind, call number, time in ns since 1970, length of the payload) and the payload:
bytes as they passed, or a ``marshal`` of built-in types. ``marshal`` is by far the fastest coding both
ends have, and both ends are the same interpreter of the same release, on a private socket pair.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Iterator
from typing import Any

_HEAD = struct.Struct("<BQQI")
HEAD_BYTES = _HEAD.size

# Proxy -> recorder, per call.
START = 1
REQUEST_CHUNK = 2
REQUEST_END = 3
RESPONSE_START = 4
RESPONSE_CHUNK = 5
END = 6
FORGET = 7
CLIENT_BYTES = 8
SERVER_BYTES = 9
#: An end that holds unless another one follows: the client has not been sent its last bytes yet.
ENDING = 10
# Proxy -> recorder, not about a call.
SETUP = 20
DELIVERED = 21
CLOSING = 22
# Recorder -> proxy.
REPORT = 30
DELIVER = 31
STATS = 32


def pack_head(kind: int, number: int, at_ns: int, length: int) -> bytes:
    """Return the head of a frame with a payload of ``length`` bytes."""
    return _HEAD.pack(kind, number, at_ns, length)


def pack(kind: int, number: int, at_ns: int, value: Any) -> bytes:
    """Return a whole frame; ``value`` is bytes as they are, or built-in types."""
    payload = value if isinstance(value, bytes) else marshal.dumps(value)
    return _HEAD.pack(kind, number, at_ns, len(payload)) + payload


def unpack(payload: bytes) -> Any:
    """Return the built-in types in a payload."""
    return marshal.loads(payload)  # noqa: S302 - written by our own parent or child


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield every whole frame: kind, call number, time, payload."""
        buffer = self._buffer
        buffer += data
        position, size = 0, len(buffer)
        try:
            while size - position >= _HEAD.size:
                kind, number, at_ns, length = _HEAD.unpack_from(buffer, position)
                end = position + _HEAD.size + length
                if end > size:
                    break
                payload = bytes(memoryview(buffer)[position + _HEAD.size : end])
                position = end
                yield kind, number, at_ns, payload
        finally:
            del buffer[:position]
