"""WebSocket frames (RFC 6455): messages out of a copy (with permessage-deflate, RFC 7692), and where frames end."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

#: A longer message is skipped; it passes all the same.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_TAIL = b"\x00\x00\xff\xff"
_CONTINUATION, _TEXT, _BINARY = 0, 1, 2
_CLOSE = 0x88
_MAX_REASON_BYTES = 123
#: The one who is spoken to did what a policy does not allow (RFC 6455, 7.4.1).
POLICY_VIOLATION = 1008


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame by which a server closes a connection; a long reason is cut."""
    text = reason.encode()[:_MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    payload = code.to_bytes(2, "big") + text
    return bytes((_CLOSE, len(payload))) + payload


class Edges:
    """Follows where frames end in one direction of a connection, without keeping what is in them."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0

    @property
    def at_edge(self) -> bool:
        """Tell whether the last frame is whole."""
        return not self._head and not self._left

    def feed(self, data: bytes, *, to_edge: bool = False) -> int:
        """Follow bytes that pass; return how many: all, or with ``to_edge`` up to the first end of a frame."""
        position = 0
        while position < len(data) and not (to_edge and self.at_edge):
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
                continue
            self._head.append(data[position])
            position += 1
            length = _payload_bytes(self._head)
            if length is not None:
                self._head.clear()
                self._left = length
        return position


def _payload_bytes(head: bytearray) -> int | None:
    """Return how many bytes follow a frame's head, nothing as long as the head is not whole."""
    if len(head) < 2:
        return None
    length = head[1] & 0x7F
    extra = {126: 2, 127: 8}.get(length, 0)
    if len(head) < 2 + extra + (4 if head[1] & 0x80 else 0):
        return None
    return int.from_bytes(head[2 : 2 + extra], "big") if extra else length


class MessageReader:
    """Reads one direction. ``headers`` are those of the answer that accepted the upgrade.

    Control frames are skipped. What is not WebSocket stops the reading, silently: the copy is only
    for the record.
    """

    def __init__(self, headers: list[tuple[bytes, bytes]], *, from_client: bool) -> None:
        extensions = b",".join(value for name, value in headers if name.lower() == b"sec-websocket-extensions")
        self._deflate = b"permessage-deflate" in extensions.lower()
        side = b"client_no_context_takeover" if from_client else b"server_no_context_takeover"
        self._fresh_each = side in extensions.lower()
        self._inflater = zlib.decompressobj(-15)
        self._buffer = bytearray()
        self._message = bytearray()
        self._compressed = self._text = False
        self._skipping = False
        self._broken = False

    def feed(self, data: bytes) -> Iterator[bytes | str]:
        """Yield every message that is complete: text as ``str``."""
        if self._broken:
            return
        self._buffer += data
        while (frame := self._next()) is not None:
            final, compressed, opcode, payload = frame
            if opcode >= 8:
                continue
            if opcode in (_TEXT, _BINARY):
                self._message.clear()
                self._compressed, self._text, self._skipping = compressed, opcode == _TEXT, False
            if len(self._message) + len(payload) > MAX_MESSAGE_BYTES:
                self._skipping = True
                self._message.clear()
            elif not self._skipping:
                self._message += payload
            if final:
                message = self._whole()
                if message is not None:
                    yield message.decode("utf-8", "replace") if self._text else message

    def _next(self) -> tuple[bool, bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        length, position = second & 0x7F, 2
        extra = {126: 2, 127: 8}.get(length, 0)
        if extra:
            if len(buffer) < position + extra:
                return None
            length = int.from_bytes(buffer[position : position + extra], "big")
            position += extra
        if length > 8 * MAX_MESSAGE_BYTES:
            self._give_up()
            return None
        mask = b""
        if second & 0x80:
            mask = bytes(buffer[position : position + 4])
            position += 4
        if len(buffer) < position + length:
            return None
        payload = bytes(buffer[position : position + length])
        del buffer[: position + length]
        return bool(first & 0x80), bool(first & 0x40), first & 0x0F, _unmask(payload, mask)

    def _whole(self) -> bytes | None:
        if not self._compressed:
            return None if self._skipping else bytes(self._message)
        if not self._deflate or self._skipping:
            # Skipped bytes would have fed the inflater's window: later messages cannot be read.
            self._give_up()
            return None
        if self._fresh_each:
            self._inflater = zlib.decompressobj(-15)
        try:
            message = self._inflater.decompress(bytes(self._message) + _TAIL, MAX_MESSAGE_BYTES)
        except zlib.error:
            self._give_up()
            return None
        if self._inflater.unconsumed_tail:
            self._give_up()
            return None
        return message

    def _give_up(self) -> None:
        self._broken = True
        self._buffer.clear()
        self._message.clear()


def _unmask(payload: bytes, mask: bytes) -> bytes:
    """Return the payload without its mask, by one big exclusive-or."""
    if len(mask) < 4 or not payload:
        return payload
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
