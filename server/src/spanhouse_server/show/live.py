"""Live tail: what the drain has just stored, handed to the pages that watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Traces that wait for one watcher; what arrives beyond is only counted.
MAX_PENDING = 500
#: Watchers at once; beyond, the page is told to come back later.
MAX_WATCHERS = 200


@dataclass(slots=True, eq=False)
class Watcher:
    """One open stream. Changed only under the hub's lock."""

    project_id: str
    loop: asyncio.AbstractEventLoop
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pending: dict[str, None] = field(default_factory=dict)
    missed: int = 0


class LiveHub:
    """Passes ids of stored traces to watchers. ``publish`` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Watcher]] = {}
        self._count = 0

    @property
    def watchers(self) -> int:
        """Return how many streams are open."""
        return self._count

    def publish(self, project_id: str, traces: Iterable[Mapping[str, Any]]) -> None:
        """Tell the project's watchers of traces stored now; each mapping needs ``trace_id``.

        Never blocks: a watcher that does not keep up loses ids beyond ``MAX_PENDING`` and is
        told how many.
        """
        if not self._watchers.get(project_id):
            return
        ids = [str(trace["trace_id"]) for trace in traces]
        with self._lock:
            for watcher in self._watchers.get(project_id, ()):
                _offer(watcher, ids)

    def open(self, project_id: str) -> Watcher | None:
        """Return a new watcher for the running event loop, or nothing when there are too many."""
        watcher = Watcher(project_id, asyncio.get_running_loop())
        with self._lock:
            if self._count >= MAX_WATCHERS:
                return None
            self._watchers.setdefault(project_id, set()).add(watcher)
            self._count += 1
        return watcher

    def take(self, watcher: Watcher) -> tuple[list[str], int]:
        """Return the trace ids that wait for a watcher, and how many were missed."""
        with self._lock:
            taken, missed = list(watcher.pending), watcher.missed
            watcher.pending.clear()
            watcher.missed = 0
            watcher.wake.clear()
        return taken, missed

    def close(self, watcher: Watcher) -> None:
        """Forget a watcher. Twice does no harm."""
        with self._lock:
            group = self._watchers.get(watcher.project_id)
            if group and watcher in group:
                group.remove(watcher)
                self._count -= 1
                if not group:
                    del self._watchers[watcher.project_id]


def _offer(watcher: Watcher, trace_ids: list[str]) -> None:
    for trace_id in trace_ids:
        if trace_id in watcher.pending:
            continue
        if len(watcher.pending) >= MAX_PENDING:
            watcher.missed += 1
        else:
            watcher.pending[trace_id] = None
    try:
        watcher.loop.call_soon_threadsafe(watcher.wake.set)
    except RuntimeError:  # the server's loop has closed while we were publishing
        watcher.pending.clear()
