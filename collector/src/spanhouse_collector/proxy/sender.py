"""Delivers queued batches: over OTLP/HTTP to any backend, or through the process that mounts the proxy."""

from __future__ import annotations

import gzip
import http.client
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from spanhouse_collector.errors import Undeliverable
from spanhouse_collector.proxy.endpoint import Endpoint
from spanhouse_collector.proxy.queue import MERGE_SPANS, Batch, Queue

log = logging.getLogger("spanhouse.proxy")

#: Pauses after a failed delivery; the last one is repeated.
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SEND_TIMEOUT_S = 30.0
#: What another try cannot mend. A wrong key or address can be mended by the operator, so that waits.
_NEVER = frozenset({400, 413, 415, 422})
GZIP_FROM_BYTES = 2048
#: Spans are gathered this long for one request, unless there is a request's worth already.
GATHER_S = 0.05
#: How often to look whether an earlier recorder, still at its last spans, is done with the queue.
TAKE_OVER_S = 0.1


class Delivery(Protocol):
    """Somewhere to deliver to."""

    def deliver(self, batch: Batch) -> None:
        """Hand a batch on; raise ``Undeliverable``."""

    def close(self) -> None:
        """Let go of connections."""


class OtlpDelivery:
    """Posts to ``{endpoint}/v1/traces`` on one kept connection. Used by one thread."""

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None = None) -> None:
        self._endpoint = Endpoint.parse(endpoint)
        self._headers = {"content-type": "application/x-protobuf", **(headers or {})}
        self._connection: http.client.HTTPConnection | None = None

    def deliver(self, batch: Batch) -> None:
        """Post a batch; raise ``Undeliverable``."""
        headers = self._headers
        body = batch.body
        if len(body) >= GZIP_FROM_BYTES:
            body = gzip.compress(body, 1)
            headers = {**headers, "content-encoding": "gzip"}
        try:
            connection = self._open()
            connection.request("POST", self._endpoint.traces_path, body, headers)
            answer = connection.getresponse()
            said = answer.read(4096)
            if answer.will_close or answer.length:
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            where = f"{self._endpoint.host}:{self._endpoint.port}"
            raise Undeliverable(f"{where}: {type(error).__name__}", retry=True) from None
        if answer.status < 300:
            return
        later = answer.status not in _NEVER
        wait_s = float(answer.headers.get("retry-after", "0")) if _is_number(answer.headers.get("retry-after")) else 0.0
        text = said[:200].decode("utf-8", "replace")
        raise Undeliverable(f"the endpoint answered {answer.status}: {text}", retry=later, retry_after_s=wait_s)

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = self._endpoint.connect(SEND_TIMEOUT_S)
        return self._connection


def _is_number(text: str | None) -> bool:
    return text is not None and text.replace(".", "", 1).isdigit()


class Sender(threading.Thread):
    """Delivers what the queue holds, oldest first, and tries again for as long as it takes.

    What comes within a moment goes in one request. ``progressed`` is called after each. A row that can
    never be delivered (the backend says it is wrong) is dropped and counted, so that it does not hold up
    what comes after it; rows that were refused together are tried one by one first.
    """

    def __init__(self, queue: Queue, delivery: Delivery, progressed: Callable[[], None] = lambda: None) -> None:
        super().__init__(name="proxy-sender", daemon=True)
        self._queue = queue
        self._delivery = delivery
        self._progressed = progressed
        self._ending = threading.Event()
        self._failures = 0
        self._behind = False
        self._singly_until = 0

    def run(self) -> None:
        """Deliver until told to stop."""
        while not self._ending.is_set():
            if not self._queue.may_deliver():
                self._ending.wait(TAKE_OVER_S)
                continue
            if not self._queue.wait(1.0):
                continue
            if not self._behind:
                self._ending.wait(GATHER_S)
            batch = self._take()
            if batch is None:
                continue
            pause_s = self._try(batch)
            self._progressed()
            if pause_s:
                self._ending.wait(pause_s)
        self._delivery.close()

    def drain(self, timeout_s: float) -> None:
        """Stop, after the batch in hand; called once, from another thread."""
        self._ending.set()
        self._queue.wake()
        self.join(timeout_s)

    def _take(self) -> Batch | None:
        """Return what is delivered next: much at once, or one row of what was refused together."""
        batch = self._queue.take()
        if batch is not None and batch.sequence <= self._singly_until:
            batch = self._queue.take(1)
        self._behind = batch is not None and 2 * batch.spans >= MERGE_SPANS
        return batch

    def _try(self, batch: Batch) -> float:
        """Deliver one batch; return how long to pause."""
        try:
            self._delivery.deliver(batch)
        except Undeliverable as error:
            if not error.retry and len(batch.rows) > 1:
                self._singly_until = batch.rows[-1]
                return 0.0
            if not error.retry:
                log.error("spans were refused for good: %s", error.message)
                self._queue.done(batch, "dropped_refused")
                return 0.0
            if self._failures == 0:
                log.warning("spans cannot be delivered, they wait in the queue: %s", error.message)
            pause_s = max(RETRY_S[min(self._failures, len(RETRY_S) - 1)], min(error.retry_after_s, 60.0))
            self._failures += 1
            return pause_s
        if self._failures:
            log.info("spans are delivered again")
            self._failures = 0
        self._queue.done(batch, "sent")
        return 0.0
