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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.proxy import frames
from spanhouse_collector.proxy.book import Book, OpenCall
from spanhouse_collector.proxy.charges import summary_of
from spanhouse_collector.proxy.cleaned import cleaned
from spanhouse_collector.proxy.journal import Journal, journals_of
from spanhouse_collector.proxy.keeper import Keeper
from spanhouse_collector.proxy.leftovers import Leftovers
from spanhouse_collector.proxy.line import Line, ParentDelivery
from spanhouse_collector.proxy.queue import Queue
from spanhouse_collector.proxy.sender import Delivery, OtlpDelivery, Sender

log = logging.getLogger("spanhouse.proxy")

#: Spans go into the queue as soon as nothing else is to be read, and at the latest after this long.
KEEP_S = 0.01
STATS_S = 1.0
#: The socket is emptied again after this long: what is here survives the proxy, what did not fit does not.
EMPTY_S = 0.001
#: As much may wait here unread before the rest is left in the socket.
MAX_WAITING_BYTES = 64 * 1024 * 1024
#: What a frame takes beside its payload.
FRAME_BYTES = 200
#: How long the last spans may take to be sent when the proxy has ended.
LAST_SEND_S = 2.0
#: The relay's work goes first on a busy machine.
NICE = 5

Frame = tuple[int, int, int, bytes]


class RecorderLoop:
    """Reads frames until the proxy ends.

    What comes goes into the journal at once and is read in its turn, so that little is in the socket when both
    processes are killed.
    """

    def __init__(self, line: Line, cut: frames.Frames, setup: Mapping[str, Any]) -> None:
        self._line = line
        self._cut = cut
        self._book = Book()
        path = Path(setup["queue_path"])
        self._queue = Queue(path, int(setup["queue_max_bytes"]))
        self._keeper = Keeper(self._queue, setup["resource"])
        self._leftovers = Leftovers(journals_of(path), self._queue, setup["resource"], setup["relay_id"])
        self._journal = Journal(journals_of(path), setup["relay_id"])
        self._delivery: Delivery
        if setup["endpoint"]:
            self._delivery = OtlpDelivery(setup["endpoint"], setup["headers"])
        else:
            self._delivery = ParentDelivery(line)
        self._sender = Sender(self._queue, self._delivery)
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._received_s = 0.0
        #: Calls that ended since spans were kept last.
        self._ended: list[int] = []
        self._pending_since_s = 0.0
        self._stats_s = 0.0
        self._closing = self._gone = False

    def run(self, first: list[Frame]) -> None:
        """Take frames until the proxy says that it stops, or is gone; ``first`` were cut already."""
        self._sender.start()
        self._leftovers.start()
        self._accept(first)
        while not (self._closing or self._gone):
            if time.monotonic() - self._stats_s >= STATS_S:
                self._stats_s = time.monotonic()
                self._report_stats()
            self._read(STATS_S)
        self._ended += self._book.calls
        for call, record in self._book.end_all(time.time_ns()):
            self._note(call, record)
        self._keep()
        self._send_last()
        self._leftovers.stop(0.5)
        self._journal.close()

    def _read(self, wait_s: float) -> None:
        """Take what has come and keep its spans."""
        if not self._waiting:
            self._receive(wait_s)
        while self._waiting:
            frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame[3]) + FRAME_BYTES
            self._take(*frame)
            now_s = time.monotonic()
            if now_s - self._received_s >= EMPTY_S and self._waiting_bytes < MAX_WAITING_BYTES:
                self._receive(0)
            if self._is_due(now_s):
                self._keep()
            if not self._waiting and self._ended:
                self._receive(0)
        self._keep()

    def _is_due(self, now_s: float) -> bool:
        return self._keeper.is_full or (self._keeper.holds_any and now_s - self._pending_since_s >= KEEP_S)

    def _receive(self, wait_s: float) -> None:
        """Add what has come to what waits here."""
        data = None if self._gone else self._line.receive(wait_s)
        if data == b"":
            self._gone = True
        if data:
            self._accept(self._cut.feed(data))
        self._received_s = time.monotonic()

    def _accept(self, received: Iterable[Frame]) -> None:
        """Put frames into the journal and among those that wait, without the credentials in them."""
        for kind, number, at_ns, raw in received:
            try:
                payload, bodies = cleaned(kind, raw)
            except Exception as error:
                log.error("a call cannot be read: %s", type(error).__name__)
                self._book.unreadable += 1
                continue
            if kind < frames.SETUP:
                self._journal.add(kind, number, at_ns, payload, bodies=bodies)
            self._waiting.append((kind, number, at_ns, payload))
            self._waiting_bytes += len(payload) + FRAME_BYTES
        self._journal.flush()

    def _send_last(self) -> None:
        """Send what is in the queue; what cannot be sent now, the next recorder does."""
        deadline_s = time.monotonic() + LAST_SEND_S
        # Delivering through the parent needs it, and the answers that it sends.
        can_send = not self._gone or isinstance(self._delivery, OtlpDelivery)
        while can_send and self._queue.stats()["queue_batches"] and time.monotonic() < deadline_s:
            if self._gone:
                time.sleep(0.02)
            else:
                self._read(0.02)
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
        while self._book.reports:
            asked, summary = self._book.reports.pop(0)
            self._line.send(frames.pack(frames.REPORT, asked, at_ns, summary))
        if done is not None:
            call, record = done
            if call.reports:
                self._line.send(frames.pack(frames.REPORT, number, at_ns, summary_of(record)))
            self._note(call, record)
        if kind in (frames.END, frames.FORGET):
            self._ended.append(number)

    def _note(self, call: OpenCall, record: CallRecord) -> None:
        self._begin_pending()
        self._keeper.note(call.project, record)

    def _gather(self, project: str, spans: list[Span]) -> None:
        self._begin_pending()
        self._keeper.gather(project, spans)

    def _begin_pending(self) -> None:
        if not self._keeper.holds_any:
            self._pending_since_s = time.monotonic()

    def _keep(self) -> None:
        ended, self._ended = self._ended, []
        if self._keeper.keep() and ended:
            self._journal.kept(ended)

    def _report_stats(self) -> None:
        stats = self._queue.stats()
        stats["queue_batches"] += self._leftovers.waiting
        unreadable = self._book.unreadable + self._keeper.lost
        stats |= {"unreadable": unreadable, "open_calls": len(self._book.calls)}
        self._line.send(frames.pack(frames.STATS, 0, time.time_ns(), stats))


def main(descriptor: int, *overflow: int) -> int:
    """Run on the socket with this descriptor and the overflow with those; return the exit status."""
    # A stop of the whole group reaches us too, but what is on the line has to be read first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.nice(NICE)
    line = Line(socket.socket(fileno=descriptor), overflow)
    cut = frames.Frames()
    waiting: list[tuple[int, int, int, bytes]] = []
    while not waiting:
        data = line.receive(60.0)
        if not data:
            return 0
        waiting.extend(cut.feed(data))
    _, _, _, payload = waiting[0]
    line.received_bytes -= frames.HEAD_BYTES + len(payload)  # the stream of calls begins behind the set-up
    RecorderLoop(line, cut, frames.unpack(payload)).run(waiting[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
