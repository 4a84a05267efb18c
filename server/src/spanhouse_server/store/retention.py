"""How long each project keeps its telemetry, ready at hand for every batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from spanhouse_server.errors import SpanhouseError
from spanhouse_server.store.contract import RecordsStore

log = logging.getLogger("spanhouse.store")

#: A changed retention reaches new spans after at most this long.
FRESH_S = 10.0
#: The engine's dates end in 2106, and its column holds 65535 days: longer than this is for ever.
MAX_DAYS = 20_000


class Retention:
    """Answers from memory, so that storing goes on while the records store is away."""

    def __init__(
        self, records: RecordsStore, default_days: int, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._records = records
        self._default_days = default_days
        self._monotonic_s = monotonic_s
        self._days: dict[str, int] = {}
        self._read_s = float("-inf")

    def by_project(self) -> Mapping[str, int]:
        """Return the days every project keeps its data; 0 is for ever."""
        now_s = self._monotonic_s()
        if now_s - self._read_s >= FRESH_S:
            self._read_s = now_s
            try:
                self._days = {
                    each.id: bounded(each.retention_days or self._default_days) for each in self._records.projects()
                }
            except SpanhouseError as error:
                log.warning("retention of projects cannot be read, using what was known: %s", error.message)
        return self._days


def bounded(days: int) -> int:
    """Return days of retention as the columnar store can hold them; 0 is for ever."""
    return days if days <= MAX_DAYS else 0
