"""The copy of each call: collected on the event loop, handed to the recorder in one write per moment.

Nothing here waits. When the recorder is behind by more than the bound, calls are left out and counted,
never delayed. The end of a call is handed over at once, and by the relay before the client gets its last
bytes: a call that a client saw whole is on record even if the relay is killed in the next instant.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

from spanhouse_collector.parse.contract import CallEnd
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.headers import RawHeaders

#: Frames are gathered this long: one write and one wake-up of the recorder for many.
GATHER_S = 0.002
GATHER_BYTES = 128 * 1024
#: What is copied of one body; a longer one passes all the same.
REQUEST_BYTES = 32 * 1024 * 1024
RESPONSE_BYTES = 128 * 1024 * 1024


class Recorder(Protocol):
    """Where copies go. ``backlog_bytes`` is what was written and not yet taken, ``generation`` changes
    when calls under way were lost with a recorder that died.
    """

    generation: int

    def write(self, data: bytes) -> None:
        """Hand over frames; never waits."""

    def backlog_bytes(self) -> int:
        """Return how much waits."""


class Tee:
    """Takes copies of what passes. ``dropped`` counts calls that were left out, ``flushed_s`` (monotonic) is when
    something was handed over last.

    A call of which any part finds no room is left out whole: half a call would be read wrong.
    """

    def __init__(self, recorder: Recorder, max_backlog_bytes: int) -> None:
        self.recorder = recorder
        self._max_backlog_bytes = max_backlog_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.flushed_s = 0.0
        self.dropped = 0

    def start(self, number: int, at_ns: int, start: Mapping[str, Any]) -> CallTee:
        """Begin the copy of a call. ``start`` has built-in types only; ``cleaned.read_start`` reads it."""
        call = CallTee(self, number)
        call.add(frames.pack(frames.START, number, at_ns, start))
        return call

    @property
    def has_room(self) -> bool:
        """Tell whether more may be copied."""
        return self._size + self.recorder.backlog_bytes() < self._max_backlog_bytes

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flushed_s = time.monotonic()
        if self._parts:
            parts, self._parts, self._size = self._parts, [], 0
            self.recorder.write(b"".join(parts))

    def gather(self, *parts: bytes) -> None:
        """Add parts of frames to what is handed over next."""
        for part in parts:
            self._parts.append(part)
            self._size += len(part)
        if self._size > GATHER_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self.flush)


class CallTee:
    """The copy of one call. Times are ns since 1970."""

    __slots__ = ("_generation", "_left", "_number", "_over", "_tee")

    def __init__(self, tee: Tee, number: int) -> None:
        self._tee = tee
        self._number = number
        self._generation = tee.recorder.generation
        self._left = {frames.REQUEST_CHUNK: REQUEST_BYTES, frames.CLIENT_BYTES: RESPONSE_BYTES}
        self._over = False

    def part(self, kind: int, data: bytes, at_ns: int) -> None:
        """Copy a piece of a body or of a WebSocket's bytes, up to the bound for its kind."""
        left = self._left.get(kind, RESPONSE_BYTES)
        if len(data) > left:
            data = data[:left]
        if not data:
            return
        self._left[kind] = left - len(data)
        self.add(frames.pack_head(kind, self._number, at_ns, len(data)), data)

    def request_end(self, at_ns: int) -> None:
        """Note that the request is whole."""
        self.add(frames.pack_head(frames.REQUEST_END, self._number, at_ns, 0))

    def response_start(self, status: int, headers: RawHeaders, at_ns: int) -> None:
        """Note the head of the answer."""
        self.add(frames.pack(frames.RESPONSE_START, self._number, at_ns, (status, headers)))

    def hand_over(self) -> None:
        """Hand over what was gathered, so that it outlives the relay; unless that was done a moment ago."""
        if time.monotonic() - self._tee.flushed_s >= GATHER_S:
            self._tee.flush()

    def end(self, end: CallEnd, moved: tuple[str, bytes] | None = None, *, sure: bool = True) -> None:
        """Note the end, once, and hand it over; one that is not ``sure`` holds unless another follows.

        ``moved`` is the (provider, URL) that was asked in the end, if not the first.
        """
        if self._over:
            return
        value = (
            end.outcome,
            end.error_type,
            end.error_message,
            end.overhead_ns,
            end.retry_count,
            end.cache_hit,
            end.fallback_index,
            moved,
        )
        self.add(frames.pack(frames.END if sure else frames.ENDING, self._number, end.at_ns, value))
        self._over = self._over or sure
        self._tee.flush()

    def add(self, *parts: bytes) -> None:
        """Hand over parts of a frame, or give the call up when there is no room or nobody to read it."""
        if self._over:
            return
        tee = self._tee
        if self._generation == tee.recorder.generation and tee.has_room:
            tee.gather(*parts)
            return
        self._over = True
        tee.dropped += 1
        if self._generation == tee.recorder.generation:
            tee.gather(frames.pack_head(frames.FORGET, self._number, 0, 0))
