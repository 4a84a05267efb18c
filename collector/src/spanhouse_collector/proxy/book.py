"""Frames of calls to records: which calls are open, and what was read of those that ended."""

from __future__ import annotations

import logging
import marshal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.parse.contract import (
    CallEnd,
    CallRecord,
    Direction,
    Limits,
    Outcome,
    Turn,
)
from spanhouse_collector.parse.reader import PROXY_ENDED, CallReader
from spanhouse_collector.parse.spans import turn_spans
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.charges import summary_of_turns
from spanhouse_collector.proxy.cleaned import read_start
from spanhouse_collector.proxy.headers import recordable
from spanhouse_collector.proxy.wsframes import MessageReader

log = logging.getLogger("spanhouse.proxy")

MAX_OPEN_CALLS = 20_000


class OpenCall:
    """A call that is being read. ``project`` is where its spans belong."""

    def __init__(self, at_ns: int, value: Mapping[str, Any], limits: Limits) -> None:
        self.project: str = value["project"]
        self.reports: bool = value["reports"]
        self.websocket = bool(value.get("websocket"))
        self.reader = CallReader(read_start(at_ns, value), limits)
        #: Time and payload of an end that holds if nothing more comes.
        self.ending: tuple[int, bytes] | None = None
        self._messages: dict[int, MessageReader] = {}

    def response_start(self, status: int, headers: list[tuple[bytes, bytes]], at_ns: int) -> None:
        """Read the head of the answer."""
        self.reader.response_start(status, recordable(headers), at_ns)
        if self.websocket and status == 101:
            self._messages = {
                frames.CLIENT_BYTES: MessageReader(headers, from_client=True),
                frames.SERVER_BYTES: MessageReader(headers, from_client=False),
            }

    def end(
        self,
        at_ns: int,
        outcome: Outcome,
        error_type: str,
        message: str,
        overhead_ns: int | None,
        retry_count: int,
        cache_hit: bool | None,
        fallback_index: int | None,
        moved: tuple[str, bytes] | None,
    ) -> CallRecord:
        """Return what was read."""
        end = CallEnd(outcome, at_ns, error_type, message, overhead_ns, retry_count, cache_hit, fallback_index)
        record = self.reader.end(end)
        if moved is not None:
            provider, url = moved
            record.start = replace(record.start, provider=provider, upstream_url=url.decode("latin-1"))
        return record

    def websocket_bytes(self, kind: int, data: bytes, at_ns: int) -> None:
        """Read bytes of an upgraded connection, or of the plain answer that came instead."""
        reader = self._messages.get(kind)
        if reader is None:
            if kind == frames.SERVER_BYTES:
                self.reader.response_chunk(data, at_ns)
            return
        direction: Direction = "client" if kind == frames.CLIENT_BYTES else "server"
        for message in reader.feed(data):
            self.reader.websocket_message(direction, message, at_ns)

    def take_turns(self) -> list[Turn]:
        """Return the answers of a WebSocket that are complete: a connection may last for hours."""
        return self.reader.take_turns()


class Book:
    """Turns frames into records. Knows the open calls; nothing it is fed can make it raise."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.calls: dict[int, OpenCall] = {}
        self.unreadable = 0
        #: (project, spans) of answers over WebSockets that are still open; whoever takes them empties it.
        self.turns: list[tuple[str, list[Span]]] = []
        #: (call number, summary) of the same, for calls that ask for reports; likewise.
        self.reports: list[tuple[int, dict[str, Any]]] = []

    def feed(self, kind: int, number: int, at_ns: int, payload: bytes) -> tuple[OpenCall, CallRecord] | None:
        """Take one frame; return the call and its record when the frame ends it."""
        try:
            return self._feed(kind, number, at_ns, payload)
        except Exception as error:
            # The text of the error may quote content.
            log.error("a call cannot be read: %s", type(error).__name__)
            self.calls.pop(number, None)
            self.unreadable += 1
            return None

    def _feed(self, kind: int, number: int, at_ns: int, payload: bytes) -> tuple[OpenCall, CallRecord] | None:
        if kind == frames.START:
            if len(self.calls) < MAX_OPEN_CALLS:
                self.calls[number] = OpenCall(at_ns, frames.unpack(payload), self._limits)
            else:
                self.unreadable += 1
            return None
        call = self.calls.get(number)
        if call is None:
            return None
        if kind == frames.RESPONSE_CHUNK:
            call.reader.response_chunk(payload, at_ns)
        elif kind == frames.REQUEST_CHUNK:
            call.reader.request_chunk(payload)
        elif kind == frames.REQUEST_END:
            call.reader.request_end()
        elif kind == frames.RESPONSE_START:
            status, headers = frames.unpack(payload)
            call.response_start(status, headers, at_ns)
        elif kind in (frames.CLIENT_BYTES, frames.SERVER_BYTES):
            call.websocket_bytes(kind, payload, at_ns)
            if turns := call.take_turns():
                self.turns.append((call.project, turn_spans(call.reader.start, turns, self._limits)))
                if call.reports:
                    self.reports.append((number, summary_of_turns(turns)))
        elif kind == frames.ENDING:
            call.ending = at_ns, payload
        elif kind == frames.FORGET:
            del self.calls[number]
        elif kind == frames.END:
            del self.calls[number]
            return call, call.end(at_ns, *frames.unpack(payload))
        return None

    def end_all(self, at_ns: int) -> list[tuple[OpenCall, CallRecord]]:
        """End every open call, because the proxy is gone."""
        value = ("upstream_error", PROXY_ENDED, "the proxy ended during this call", None, 0, None, None, None)
        broken = at_ns, marshal.dumps(value)
        ended = []
        for number, call in list(self.calls.items()):
            done = self.feed(frames.END, number, *(call.ending or broken))
            if done is not None:
                ended.append(done)
        return ended
