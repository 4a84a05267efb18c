"""The recorder: a process of its own that reads copies of calls and sends their spans on.

It has the parser, the queue and the sender, so that none of them shares an interpreter with the relay,
and whatever a body does to the parser, it does not do it to a call. The proxy starts it with one end
of a socket pair. It outlives its proxy: when the other end is closed, by a stop or by ``kill -9``, it
reads what is left in the socket, keeps it in the queue, and ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.parse.export import trace_request
from spanhouse_collector.parse.spans import call_spans
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.book import Book, OpenCall
from spanhouse_collector.proxy.charges import summary_of
from spanhouse_collector.proxy.line import Line, ParentDelivery
from spanhouse_collector.proxy.queue import Queue
from spanhouse_collector.proxy.sender import Delivery, OtlpDelivery, Sender

log = logging.getLogger("spanhouse.proxy")

#: Spans go into the queue as soon as nothing else is to be read, and at the latest after this long.
KEEP_S = 0.01
GATHER_SPANS = 500
GATHER_BYTES = 4 * 1024 * 1024
STATS_S = 1.0
#: The socket is emptied after as many frames: what is here survives the proxy, what did not fit does not.
EMPTY_FRAMES = 64
#: As much may wait here unread before the rest is left in the socket.
MAX_WAITING_BYTES = 64 * 1024 * 1024
#: How long the last spans may take to be sent when the proxy has ended.
LAST_SEND_S = 2.0
#: The relay's work goes first on a busy machine.
NICE = 5


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
        self._closing = self._gone = False

    def run(self, cut: frames.Frames, first: list[tuple[int, int, int, bytes]]) -> None:
        """Take frames until the proxy says that it stops, or is gone."""
        self._sender.start()
        for frame in first:
            self._take(*frame)
        self._keep()
        while not (self._closing or self._gone):
            if time.monotonic() - self._stats_s >= STATS_S:
                self._stats_s = time.monotonic()
                self._report_stats()
            self._read(cut, STATS_S)
        for call, record in self._book.end_all(time.time_ns()):
            self._note(call, record)
        self._keep()
        self._send_last(cut)

    def _read(self, cut: frames.Frames, wait_s: float) -> None:
        """Take what has come and keep its spans."""
        waiting: deque[bytes] = deque()
        waiting_bytes = self._receive(waiting, wait_s)
        while waiting:
            data = waiting.popleft()
            waiting_bytes -= len(data)
            for count, frame in enumerate(cut.feed(data)):
                self._take(*frame)
                if count % EMPTY_FRAMES == EMPTY_FRAMES - 1:
                    if waiting_bytes < MAX_WAITING_BYTES:
                        waiting_bytes += self._receive(waiting, 0)
                    if self._is_due:
                        self._keep()
            if not waiting and self._pending and not self._is_due:
                waiting_bytes += self._receive(waiting, 0)
        self._keep()

    @property
    def _is_due(self) -> bool:
        return bool(self._pending) and time.monotonic() - self._pending_since_s >= KEEP_S

    def _receive(self, waiting: deque[bytes], wait_s: float) -> int:
        """Add what has come to what waits here; return how many bytes that was."""
        data = None if self._gone else self._line.receive(wait_s)
        if data == b"":
            self._gone = True
        if not data:
            return 0
        waiting.append(data)
        return len(data)

    def _send_last(self, cut: frames.Frames) -> None:
        """Send what is in the queue; what cannot be sent now, the next recorder does."""
        deadline_s = time.monotonic() + LAST_SEND_S
        # Delivering through the parent needs it, and the answers that it sends.
        can_send = not self._gone or isinstance(self._delivery, OtlpDelivery)
        while can_send and self._queue.stats()["queue_batches"] and time.monotonic() < deadline_s:
            if self._gone:
                time.sleep(0.02)
            else:
                self._read(cut, 0.02)
            can_send = not self._gone or isinstance(self._delivery, OtlpDelivery)
        self._sender.drain(0.5)
        self._report_stats()

    def _take(self, kind: int, number: int, at_ns: int, payload: bytes) -> None:
        if kind == frames.DELIVERED:
            if isinstance(self._delivery, ParentDelivery):
                self._delivery.answered(number, frames.unpack(payload))
            return
        if kind == frames.CLOSING:
            self._closing = True
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
