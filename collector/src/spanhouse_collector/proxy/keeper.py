"""From what was read of calls to spans in the queue, many in one commit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.parse.export import trace_request
from spanhouse_collector.parse.spans import call_spans
from spanhouse_collector.proxy.queue import Queue

log = logging.getLogger("spanhouse.proxy")

GATHER_SPANS = 500
GATHER_BYTES = 4 * 1024 * 1024


class Keeper:
    """Gathers spans by project and puts them into the queue. ``lost`` counts what could not be kept or told."""

    def __init__(self, queue: Queue, resource: Mapping[str, Any]) -> None:
        self._queue = queue
        self._resource = dict(resource)
        self._pending: dict[str, list[Span]] = {}
        self._spans = self._bytes = 0
        self.lost = 0

    @property
    def holds_any(self) -> bool:
        """Tell whether spans wait for ``keep``."""
        return bool(self._pending)

    @property
    def is_full(self) -> bool:
        """Tell whether as many wait as one commit should hold."""
        return self._spans >= GATHER_SPANS or self._bytes >= GATHER_BYTES

    def note(self, project: str, record: CallRecord) -> None:
        """Gather the spans of a call."""
        try:
            spans = call_spans(record)
        except Exception as error:
            log.error("a call cannot be told as spans: %s", type(error).__name__)
            self.lost += 1
            return
        self.gather(project, spans)

    def gather(self, project: str, spans: list[Span]) -> None:
        """Gather spans."""
        self._pending.setdefault(project, []).extend(spans)
        self._spans += len(spans)
        self._bytes += sum(span.ByteSize() for span in spans)

    def keep(self) -> bool:
        """Put what was gathered into the queue; tell whether that worked. What could not be put is gone from here."""
        pending, self._pending = self._pending, {}
        self._spans = self._bytes = 0
        if not pending:
            return True
        batches = [(project, len(spans), trace_request(spans, self._resource)) for project, spans in pending.items()]
        try:
            self._queue.put(batches)
        except Exception as error:
            log.error("spans cannot be kept: %s", error)
            self.lost += sum(spans for _, spans, _ in batches)
            return False
        return True
