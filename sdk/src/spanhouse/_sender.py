"""The bounded queue and the one background thread between the application and the server.

OpenTelemetry's ``BatchSpanProcessor`` and OTLP exporter do most of this, but they are bounded by
count only (2,048 spans of 5 MB are 10 GB), give up a batch after ten seconds (a server restart
loses it), drop a batch whole on 413, log every drop and retry, keep ``force_flush`` and exit
waiting for as long as the server is down, and cannot be shared by scores. Hence this one, with
their wire encoding kept.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as otel_context

from spanhouse._log import logger, warn_rarely
from spanhouse._transport import Outcome, Transport

MAX_BACKOFF_S = 30.0
#: A batch that no server wanted for so long makes room for newer ones.
GIVE_UP_AFTER_S = 900.0

#: ``opentelemetry.context`` has no public name for it; instrumentations of HTTP clients honour both.
_SUPPRESS_KEYS = tuple(
    getattr(otel_context, name)
    for name in ("_SUPPRESS_INSTRUMENTATION_KEY", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY")
    if hasattr(otel_context, name)
)


#: Taken only by the first threads of a child after such a fork, so no parent can have left it locked.
_unannounced_fork = threading.Lock()


@dataclass(frozen=True, eq=False)
class Lane:
    """One kind of thing to send. ``encode`` returns a body of all items, raising for a bad one."""

    name: str
    url: str
    content_type: str
    encode: Callable[[Sequence[Any]], bytes]
    batch_items: int
    #: Turns the body of a successful answer into what the server refused, or an empty string.
    complaint: Callable[[bytes], str] = lambda body: ""
    #: The server takes or refuses such a body as a whole, so one bad item has to be found by halving.
    all_or_nothing: bool = False


@dataclass(frozen=True)
class Limits:
    """Bounds of the queue and of one body."""

    queue_items: int = 20_000
    queue_bytes: int = 64 * 1024 * 1024
    body_bytes: int = 4 * 1024 * 1024
    delay_s: float = 1.0


@dataclass
class Stats:
    """Counts since ``init``; spans, log records and scores together."""

    sent: int = 0
    dropped_full: int = 0
    dropped_refused: int = 0
    dropped_exit: int = 0


class Sender:
    """Takes items from any thread without blocking and sends them in batches from its own."""

    def __init__(self, make_transport: Callable[[], Transport], limits: Limits) -> None:
        self._make_transport = make_transport
        self.limits = limits
        self.stats = Stats()
        self._closed = False
        self._start_fresh()
        self._fork_guard = _forget_on_fork(self)

    def _start_fresh(self) -> None:
        self._pid = os.getpid()
        # Re-entrant because a garbage collection inside `put` may close a generator whose span ends
        # right here, on this thread.
        self._lock = threading.RLock()
        # A bare lock as a wake-up signal: unlike Event it cannot deadlock when re-entered.
        self._wake = threading.Lock()
        self._wake.acquire()
        self._queue: deque[tuple[Lane, Any, int]] = deque()
        self._queued_bytes = 0
        self._put_count = 0
        self._finished_through = 0
        self._idle = False
        self._hurry = False
        self._abort = False
        self._thread: threading.Thread | None = None
        self._transport: Transport | None = None

    def put(self, lane: Lane, item: Any, size_bytes: int) -> None:
        """Queue one item of about ``size_bytes``; the oldest are dropped when the queue is full."""
        if self._closed:
            return
        if os.getpid() != self._pid:
            self._begin_anew_in_child()
        limits = self.limits
        dropped = 0
        with self._lock:
            queue = self._queue
            queue.append((lane, item, size_bytes))
            self._put_count += 1
            self._queued_bytes += size_bytes
            while len(queue) > limits.queue_items or (self._queued_bytes > limits.queue_bytes and len(queue) > 1):
                self._queued_bytes -= queue.popleft()[2]
                dropped += 1
            full = len(queue) >= lane.batch_items or self._queued_bytes >= limits.body_bytes
        if dropped:
            self.stats.dropped_full += dropped
            self._warn_full()
        if self._thread is None:
            self._start_thread()
        elif full and self._idle:
            self._wake_up()

    def _begin_anew_in_child(self) -> None:
        """Notice a fork that Python was not told of: uWSGI forks its workers in C and runs no hooks."""
        with _unannounced_fork:
            if os.getpid() != self._pid:
                self.stats = Stats()
                self._start_fresh()

    def _warn_full(self) -> None:
        total = self.stats.dropped_full
        warn_rarely(
            "full", "the queue is full, the oldest items are dropped (%d so far): is the server reachable?", total
        )

    def _start_thread(self) -> None:
        with self._lock:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name="spanhouse-sender", daemon=True)
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down; `close` sends what is queued from its own thread.
            self._thread = None
            return
        _flush_when_multiprocessing_child_ends(self)

    def _wake_up(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._wake.release()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued before this call is sent or dropped; tell whether it is."""
        deadline = time.monotonic() + timeout_s
        if os.getpid() != self._pid:
            self._begin_anew_in_child()
        with self._lock:
            target = self._put_count
        while not self._is_finished(target):
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            if self._thread is None or not self._thread.is_alive():
                self._send_queued_here(deadline)
                return self._is_finished(target)
            self._hurry = True
            self._wake_up()
            time.sleep(min(0.005, remaining_s))
        return True

    def _is_finished(self, target: int) -> bool:
        with self._lock:
            return self._finished_through >= target

    def close(self, timeout_s: float) -> bool:
        """Flush within ``timeout_s`` and stop; what could not be sent is counted and reported once."""
        if self._closed:
            return True
        finished = self.flush(timeout_s)
        self._closed = True
        self._abort = True
        self._wake_up()
        with self._lock:
            left = self._put_count - self._finished_through
        if left and not finished:
            self.stats.dropped_exit += left
            logger.warning("%d spans, log records or scores could not be sent before the exit", left)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=0.2)
        return finished

    def _work(self) -> None:
        token = otel_context.attach(_suppressed())
        try:
            while not self._abort:
                if not self._hurry:
                    self._idle = True
                    self._wake.acquire(timeout=self.limits.delay_s)
                    self._idle = False
                self._hurry = False
                self._send_queued(None)
        except Exception:
            # Nothing below should raise; if it does, `put` starts a new thread.
            logger.exception("the sender failed and will be started again")
        finally:
            otel_context.detach(token)
            if self._thread is threading.current_thread():
                self._thread = None

    def _send_queued_here(self, deadline: float) -> None:
        token = otel_context.attach(_suppressed())
        try:
            self._send_queued(deadline)
        finally:
            otel_context.detach(token)

    def _send_queued(self, deadline: float | None) -> None:
        while not self._abort and (deadline is None or time.monotonic() < deadline):
            batches, through = self._take()
            for lane, items in batches.items():
                self._send(lane, items, deadline)
            if self._abort and batches:
                return
            with self._lock:
                self._finished_through = max(self._finished_through, through)
            if not batches:
                return

    def _take(self) -> tuple[dict[Lane, list[Any]], int]:
        """Pop the oldest items up to the size of a body or a batch, and sort them by lane."""
        batches: dict[Lane, list[Any]] = {}
        size_bytes = 0
        count = 0
        with self._lock:
            queue = self._queue
            while queue and count < queue[0][0].batch_items:
                if count and size_bytes + queue[0][2] > self.limits.body_bytes:
                    break
                lane, item, item_bytes = queue.popleft()
                batches.setdefault(lane, []).append(item)
                size_bytes += item_bytes
                count += 1
            self._queued_bytes -= size_bytes
            return batches, self._put_count - len(queue)

    def _send(self, lane: Lane, items: list[Any], deadline: float | None) -> None:
        body = self._encode(lane, items)
        if body is None:
            return
        if len(items) > 1 and len(body) > self.limits.body_bytes * 4:
            self._send_halves(lane, items, deadline)
            return
        outcome = self._post_until_settled(lane, body, deadline)
        if outcome.state == "sent":
            self.stats.sent += len(items)
            complaint = lane.complaint(outcome.body)
            if complaint:
                warn_rarely("partial", "the server refused some %s: %s", lane.name, complaint)
        elif len(items) > 1 and (outcome.state == "too_large" or (outcome.state == "refused" and lane.all_or_nothing)):
            self._send_halves(lane, items, deadline)
        elif outcome.state == "retry" and self._abort:
            # `close` counts and reports what the exit left behind.
            return
        else:
            self._drop(lane, len(items), outcome.detail)

    def _send_halves(self, lane: Lane, items: list[Any], deadline: float | None) -> None:
        middle = len(items) // 2
        self._send(lane, items[:middle], deadline)
        self._send(lane, items[middle:], deadline)

    def _encode(self, lane: Lane, items: list[Any]) -> bytes | None:
        try:
            return lane.encode(items)
        except Exception as error:
            if len(items) == 1:
                self._drop(lane, 1, f"cannot be encoded: {type(error).__name__}: {error}")
                return None
        good = []
        for item in items:
            # One by one: a bad span must not take its batch down.
            try:
                lane.encode([item])
            except Exception as error:  # noqa: PERF203
                self._drop(lane, 1, f"cannot be encoded: {type(error).__name__}: {error}")
            else:
                good.append(item)
        items[:] = good
        return lane.encode(good) if good else None

    def _drop(self, lane: Lane, count: int, detail: str) -> None:
        self.stats.dropped_refused += count
        warn_rarely(f"refused {lane.name}", "%d %s dropped: %s", count, lane.name, detail)

    def _post_until_settled(self, lane: Lane, body: bytes, deadline: float | None) -> Outcome:
        give_up_at = time.monotonic() + GIVE_UP_AFTER_S if deadline is None else deadline
        attempt = 0
        while True:
            if self._transport is None:
                self._transport = self._make_transport()
            timeout_s = None if deadline is None else max(deadline - time.monotonic(), 0.1)
            outcome = self._transport.post(lane.url, body, lane.content_type, timeout_s)
            if outcome.state != "retry" or self._abort:
                return outcome
            attempt += 1
            backoff_s = min(2.0 ** (attempt - 1) * 0.5, MAX_BACKOFF_S) * random.uniform(0.8, 1.2)
            if outcome.retry_after_s is not None:
                backoff_s = max(outcome.retry_after_s, 0.05) * random.uniform(1.0, 1.1)
            if time.monotonic() + backoff_s > give_up_at:
                return outcome
            warn_rarely("retry", "sending waits for the server: %s", outcome.detail)
            self._pause(backoff_s, hurried=outcome.retry_after_s is None)
            if self._abort:
                return outcome

    def _pause(self, pause_s: float, hurried: bool) -> None:
        """Wait between attempts; a flush shortens it, except where the server named the time."""
        until = time.monotonic() + pause_s
        while not self._abort and (remaining_s := until - time.monotonic()) > 0:
            self._wake.acquire(timeout=remaining_s)
            if self._hurry and hurried:
                self._hurry = False
                # A flush waits: try again soon, but do not spin.
                until = min(until, time.monotonic() + 0.2)


def _suppressed() -> otel_context.Context:
    context = otel_context.get_current()
    for key in _SUPPRESS_KEYS:
        context = otel_context.set_value(key, True, context)
    return context


def _forget_on_fork(sender: Sender) -> Callable[[], None]:
    """Make a forked child begin with an empty queue, new locks and a thread of its own.

    What the parent had queued is the parent's to send: the child sending it too would show it twice.
    """
    reference = weakref.ref(sender)

    def in_child() -> None:
        alive = reference()
        if alive is not None:
            alive._start_fresh()
            alive.stats = Stats()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)
    return in_child


def _flush_when_multiprocessing_child_ends(sender: Sender) -> None:
    """``multiprocessing`` leaves its children by ``os._exit``: atexit does not run, its finalizers do."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    Finalize(None, sender.flush, args=(5.0,), exitpriority=100)
