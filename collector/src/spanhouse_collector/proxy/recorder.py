"""The recorder: a process of its own that reads copies of calls and sends their spans on.

It has the parser, the queue and the sender, so that none of them shares an interpreter with the relay,
and whatever a body does to the parser, it does not do it to a call. The proxy starts it with one end
of a socket pair; it ends when the other end is closed, after keeping what it has read so far, which is
also what happens when the proxy is killed.
"""

from __future__ import annotations

import logging
import marshal
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.parse.contract import CallEnd, CallRecord, CallStart, Direction, Limits, Outcome
from spanhouse_collector.parse.export import trace_request
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.parse.spans import call_spans, turn_spans
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.headers import call_context, recordable, redact_query
from spanhouse_collector.proxy.queue import Batch, Queue
from spanhouse_collector.proxy.sender import Delivery, OtlpDelivery, Sender
from spanhouse_collector.proxy.wsframes import MessageReader

log = logging.getLogger("spanhouse.proxy")

#: Spans are gathered this long before they go into the queue in one commit and one request.
GATHER_S = 0.05
GATHER_SPANS = 500
GATHER_BYTES = 4 * 1024 * 1024
STATS_S = 1.0
MAX_OPEN_CALLS = 20_000
#: How long a delivery through the parent may take before it is tried again.
DELIVER_TIMEOUT_S = 60.0
#: How long the last spans may take to be sent when the proxy has ended.
LAST_SEND_S = 2.0
#: The relay's work goes first on a busy machine.
NICE = 5


def read_start(at_ns: int, value: Mapping[str, Any]) -> CallStart:
    """Return the call that a ``START`` frame describes, without credentials."""
    headers = recordable(value["headers"])
    return CallStart(
        call_id=value["call_id"],
        provider=value["provider"],
        upstream_url=_redacted_url(value["url"].decode("latin-1")),
        method=value["method"].decode("latin-1"),
        path=value["path"].decode("latin-1"),
        query=redact_query(value["query"].decode("latin-1")),
        request_headers=headers,
        started_ns=at_ns,
        traceparent=value["traceparent"].decode("latin-1"),
        context=call_context(value["own"], headers),
    )


def _redacted_url(url: str) -> str:
    base, mark, query = url.partition("?")
    return base + mark + redact_query(query)


class OpenCall:
    """A call that is being read. ``project`` is where its spans belong."""

    def __init__(self, at_ns: int, value: Mapping[str, Any], limits: Limits) -> None:
        self.project: str = value["project"]
        self.reports: bool = value["reports"]
        self.websocket = bool(value.get("websocket"))
        self.reader = CallReader(read_start(at_ns, value), limits)
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
            record.start = replace(record.start, provider=provider, upstream_url=_redacted_url(url.decode("latin-1")))
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

    def take_turns(self, limits: Limits) -> list[Span]:
        """Return the spans of a WebSocket's answers that are complete: a connection may last for hours."""
        turns = self.reader.take_turns()
        return turn_spans(self.reader.start, turns, limits) if turns else []


class Book:
    """Turns frames into records. Knows the open calls; nothing it is fed can make it raise."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.calls: dict[int, OpenCall] = {}
        self.unreadable = 0
        #: (project, spans) of answers over WebSockets that are still open; whoever takes them empties it.
        self.turns: list[tuple[str, list[Span]]] = []

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
            if spans := call.take_turns(self._limits):
                self.turns.append((call.project, spans))
        elif kind == frames.FORGET:
            del self.calls[number]
        elif kind == frames.END:
            del self.calls[number]
            return call, call.end(at_ns, *frames.unpack(payload))
        return None

    def end_all(self, at_ns: int) -> list[tuple[OpenCall, CallRecord]]:
        """End every open call, because the proxy is gone."""
        ended = []
        for number in list(self.calls):
            value = ("upstream_error", "proxy_ended", "the proxy ended during this call", None, 0, None, None, None)
            done = self.feed(frames.END, number, at_ns, marshal.dumps(value))
            if done is not None:
                ended.append(done)
        return ended


def summary_of(record: CallRecord) -> dict[str, Any]:
    """Return what a policy charges a call by: status, models, tokens (``None``: not served), cost.

    The answers over a WebSocket are summed; their models are those of the last.
    """
    readings = [record.reading, *(turn.reading for turn in record.turns)]
    usages = [reading.usage for reading in readings]

    def total(name: str) -> Any:
        values = [value for usage in usages if (value := getattr(usage, name)) is not None]
        return sum(values) if values else None

    cost_usd = total("cost_usd")
    return {
        "outcome": record.end.outcome,
        "status": record.status,
        "request_model": next((item.request_model for item in reversed(readings) if item.request_model), ""),
        "response_model": next((item.response_model for item in reversed(readings) if item.response_model), ""),
        "input_tokens": total("input_tokens"),
        "output_tokens": total("output_tokens"),
        "cache_read_tokens": total("cache_read_tokens"),
        "cache_write_tokens": total("cache_write_tokens"),
        "cost_usd": str(cost_usd) if cost_usd is not None else None,
    }


class ParentDelivery:
    """Hands batches to the process that mounts the proxy, and waits for its answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._answered = threading.Condition()
        self._answers: dict[int, tuple[bool, bool, str]] = {}

    def deliver(self, batch: Batch) -> None:
        """Hand a batch on; raise ``Undeliverable``."""
        self._line.send(frames.pack(frames.DELIVER, batch.sequence, 0, (batch.project, batch.spans, batch.body)))
        with self._answered:
            if not self._answered.wait_for(lambda: batch.sequence in self._answers, DELIVER_TIMEOUT_S):
                raise Undeliverable("the server does not take spans", retry=True)
            kept, retry, message = self._answers.pop(batch.sequence)
        if not kept:
            raise Undeliverable(message, retry=retry)

    def answered(self, sequence: int, answer: tuple[bool, bool, str]) -> None:
        """Take the answer to a delivery."""
        with self._answered:
            self._answers = {sequence: answer}
            self._answered.notify_all()

    def close(self) -> None:
        """Nothing is kept open."""


class Line:
    """The recorder's end of the socket pair. Sending is thread-safe and fails silently at the end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.setblocking(True)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)
        self._lock = threading.Lock()

    def receive(self, timeout_s: float) -> bytes | None:
        """Return what has come, ``None`` when nothing did in time, ``b""`` at the end."""
        try:
            # Polled, since a time-out of the socket's would hold for the thread that sends as well.
            if not self._poll.poll(timeout_s * 1000):
                return None
            return self._connection.recv(1024 * 1024)
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Send a frame to the proxy."""
        with self._lock:
            try:
                self._connection.sendall(data)
            except OSError as error:
                log.debug("the proxy is gone: %s", error)


class RecorderLoop:
    """Reads frames until the proxy ends."""

    def __init__(self, line: Line, setup: Mapping[str, Any]) -> None:
        self._line = line
        self._book = Book()
        self._queue = Queue(Path(setup["queue_path"]), int(setup["queue_max_bytes"]))
        self._resource: dict[str, Any] = dict(setup["resource"])
        self._delivery: Delivery
        if setup["endpoint"]:
            self._delivery = OtlpDelivery(setup["endpoint"], setup["headers"])
        else:
            self._delivery = ParentDelivery(line)
        self._sender = Sender(self._queue, self._delivery)
        self._pending: dict[str, list[Span]] = {}
        self._pending_spans = self._pending_bytes = 0
        self._pending_since_s = 0.0
        self._stats_s = 0.0

    def run(self, cut: frames.Frames, first: list[tuple[int, int, int, bytes]]) -> None:
        """Take frames until the end of the line."""
        self._sender.start()
        for frame in first:
            self._take(*frame)
        while True:
            data = self._line.receive(GATHER_S if self._pending else STATS_S)
            if data == b"":
                break
            if data is not None:
                for frame in cut.feed(data):
                    self._take(*frame)
            now_s = time.monotonic()
            if self._pending and now_s - self._pending_since_s >= GATHER_S:
                self._keep()
            if now_s - self._stats_s >= STATS_S:
                self._stats_s = now_s
                self._report_stats()
        for call, record in self._book.end_all(time.time_ns()):
            self._note(call, record)
        self._keep()
        if isinstance(self._delivery, OtlpDelivery):
            deadline_s = time.monotonic() + LAST_SEND_S
            while self._queue.stats()["queue_batches"] and time.monotonic() < deadline_s:
                time.sleep(0.02)
        self._sender.drain(0.5)

    def _take(self, kind: int, number: int, at_ns: int, payload: bytes) -> None:
        if kind == frames.DELIVERED:
            if isinstance(self._delivery, ParentDelivery):
                self._delivery.answered(number, frames.unpack(payload))
            return
        done = self._book.feed(kind, number, at_ns, payload)
        while self._book.turns:
            self._gather(*self._book.turns.pop(0))
        if done is not None:
            call, record = done
            if call.reports:
                self._line.send(frames.pack(frames.REPORT, number, at_ns, summary_of(record)))
            self._note(call, record)

    def _note(self, call: OpenCall, record: CallRecord) -> None:
        try:
            spans = call_spans(record)
        except Exception as error:
            log.error("a call cannot be told as spans: %s", type(error).__name__)
            self._book.unreadable += 1
            return
        self._gather(call.project, spans)

    def _gather(self, project: str, spans: list[Span]) -> None:
        if not self._pending:
            self._pending_since_s = time.monotonic()
        self._pending.setdefault(project, []).extend(spans)
        self._pending_spans += len(spans)
        self._pending_bytes += sum(span.ByteSize() for span in spans)
        if self._pending_spans >= GATHER_SPANS or self._pending_bytes >= GATHER_BYTES:
            self._keep()

    def _keep(self) -> None:
        pending, self._pending = self._pending, {}
        self._pending_spans = self._pending_bytes = 0
        if not pending:
            return
        batches = [(project, len(spans), trace_request(spans, self._resource)) for project, spans in pending.items()]
        try:
            self._queue.put(batches)
        except Exception as error:
            log.error("spans cannot be kept, they are lost: %s", error)
            self._book.unreadable += sum(spans for _, spans, _ in batches)

    def _report_stats(self) -> None:
        stats = {**self._queue.stats(), "unreadable": self._book.unreadable, "open_calls": len(self._book.calls)}
        self._line.send(frames.pack(frames.STATS, 0, time.time_ns(), stats))


def main(descriptor: int) -> int:
    """Run on the socket with this descriptor; return the exit status."""
    # A stop of the whole group reaches us too, but what is on the line has to be read first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(NICE)
    line = Line(socket.socket(fileno=descriptor))
    cut = frames.Frames()
    waiting: list[tuple[int, int, int, bytes]] = []
    while not waiting:
        data = line.receive(60.0)
        if not data:
            return 0
        waiting.extend(cut.feed(data))
    _, _, _, payload = waiting[0]
    RecorderLoop(line, frames.unpack(payload)).run(cut, waiting[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
