"""Reads what a recorder left that was killed: its journal, while the next one is at work already."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spanhouse_collector.proxy.book import Book
from spanhouse_collector.proxy.journal import abandoned, locked, read_journal
from spanhouse_collector.proxy.keeper import Keeper
from spanhouse_collector.proxy.queue import Queue

log = logging.getLogger("spanhouse.proxy")

#: How often to look: a recorder that outlived its relay may be killed later.
LOOK_S = 5.0


class Leftovers(threading.Thread):
    """Takes abandoned journals one by one into the queue. ``waiting`` counts those that were seen and not read yet.

    Calls that had not ended are told as ended with their relay. Where only the recorder was killed they go on, and
    nothing more of them comes: such are counted by the relay and not told.
    """

    def __init__(self, base: Path, queue: Queue, resource: Mapping[str, Any], relay_id: str) -> None:
        super().__init__(name="proxy-leftovers", daemon=True)
        self._base = base
        self._queue = queue
        self._resource = resource
        self._relay_id = relay_id
        self._ending = threading.Event()
        self.waiting = len(abandoned(base))

    def run(self) -> None:
        """Read until told to stop."""
        while not self._ending.is_set():
            found = abandoned(self._base)
            self.waiting = len(found)
            for path in found:
                try:
                    self._take(path)
                except Exception as error:
                    log.error("what an earlier recorder left cannot be read: %s", type(error).__name__)
                self.waiting -= 1
            self._ending.wait(LOOK_S)

    def stop(self, timeout_s: float) -> None:
        """Stop; a journal that is not read by then is read by the next recorder."""
        self._ending.set()
        self.join(timeout_s)

    def _take(self, path: Path) -> None:
        with locked(path) as free:
            if free and self._read(path):
                shutil.rmtree(path, ignore_errors=True)

    def _read(self, path: Path) -> bool:
        """Put the spans of a journal into the queue; tell whether all of it was read and kept."""
        book, keeper = Book(), Keeper(self._queue, self._resource)
        last_ns = 0
        for kind, number, at_ns, payload in read_journal(path):
            if self._ending.is_set():
                return False
            last_ns = max(last_ns, at_ns)
            done = book.feed(kind, number, at_ns, payload)
            while book.turns:
                keeper.gather(*book.turns.pop(0))
            if done is not None:
                keeper.note(done[0].project, done[1])
            if keeper.is_full and not keeper.keep():
                return False
        if not path.name.startswith(f"{self._relay_id}-"):
            for call, record in book.end_all(last_ns):
                keeper.note(call.project, record)
        return keeper.keep()
