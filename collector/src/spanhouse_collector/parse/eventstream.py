"""AWS event-stream frames: the binary format of Bedrock's streams.

A frame is: total length, headers' length (4 bytes each, big-endian), CRC of these 8 bytes, headers,
payload, CRC of all before it. Header values have a type; only strings (type 7) matter here.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any

from spanhouse_collector.parse.framing import Counting, Event
from spanhouse_collector.parse.jsontext import MISSING, loads

_PRELUDE_BYTES = 12
_TRAILER_BYTES = 4
_STRING = 7
#: Bytes of header values of fixed length, by type: true, false, byte, short, int, long, -, -, time, uuid.
_FIXED_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class EventStream(Counting):
    """Yields ``(event type, payload)``; exceptions come under the name ``error``."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._skip_bytes = 0
        self._broken = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events whose frames are complete and undamaged. After a broken prelude nothing more is read."""
        if self._broken:
            return
        if self._skip_bytes:
            skipped = min(self._skip_bytes, len(chunk))
            self._skip_bytes -= skipped
            chunk = chunk[skipped:]
        self._buffer += chunk
        while len(self._buffer) >= _PRELUDE_BYTES:
            total = int.from_bytes(self._buffer[:4], "big")
            headers = int.from_bytes(self._buffer[4:8], "big")
            sound = zlib.crc32(self._buffer[:8]) == int.from_bytes(self._buffer[8:12], "big")
            if not sound or total < _PRELUDE_BYTES + headers + _TRAILER_BYTES:
                self._broken = True
                self._buffer.clear()
                self.fault("frame")
                return
            if total > self._limit_bytes:
                self.fault("too_large")
                self.cut = True
                self._skip_bytes = max(0, total - len(self._buffer))
                del self._buffer[:total]
                return
            if len(self._buffer) < total:
                return
            frame = bytes(self._buffer[:total])
            del self._buffer[:total]
            if zlib.crc32(frame[:-_TRAILER_BYTES]) == int.from_bytes(frame[-_TRAILER_BYTES:], "big"):
                yield from self._read(frame, headers)
            else:
                self.fault("frame")  # what it says may be wrong; where the next one begins is not

    def finish(self) -> Iterator[Event]:
        """Yield nothing: a frame without its end cannot be checked."""
        if self._buffer or self._skip_bytes:
            self.fault("frame")
        return iter(())

    def _read(self, frame: bytes, headers_bytes: int) -> Iterator[Event]:
        end = _PRELUDE_BYTES + headers_bytes
        headers = read_headers(frame[_PRELUDE_BYTES:end])
        value = loads(frame[end:-_TRAILER_BYTES])
        if headers.get(":message-type", "event") != "event":
            name = headers.get(":exception-type") or headers.get(":error-code") or "exception"
            detail = value.get("message") if isinstance(value, dict) else headers.get(":error-message")
            yield "error", {"error": {"type": name, "message": detail if isinstance(detail, str) else ""}}
            return
        name = headers.get(":event-type", "")
        if value is MISSING:
            self.fault("json")
        elif name == "chunk" and isinstance(value, dict) and isinstance(value.get("bytes"), str):
            yield from self._unwrap(value["bytes"])
        else:
            yield name, value

    def _unwrap(self, text: str) -> Iterator[Event]:
        """Yield the model's own event, which the invoke API wraps in base64."""
        try:
            value: Any = loads(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            value = MISSING
        if value is MISSING:
            self.fault("json")
        else:
            yield "", value


def read_headers(block: bytes) -> dict[str, str]:
    """Return the string headers of a frame; a broken block gives those before the break."""
    found: dict[str, str] = {}
    position = 0
    while position < len(block):
        name_end = position + 1 + block[position]
        name = block[position + 1 : name_end].decode("utf-8", "replace")
        if name_end >= len(block):
            break
        kind = block[name_end]
        start = name_end + 1
        if kind in _FIXED_BYTES:
            position = start + _FIXED_BYTES[kind]
            continue
        if kind not in (6, _STRING):
            break
        size = int.from_bytes(block[start : start + 2], "big")
        position = start + 2 + size
        if kind == _STRING and position <= len(block):
            found[name] = block[start + 2 : position].decode("utf-8", "replace")
    return found
