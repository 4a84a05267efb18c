"""How often large traces are settled.

Settling reads and writes the whole trace. For a trace of thousands of spans that grows with every
batch that would be quadratic, so after each settling it rests for a multiple of the time that took.
What came meanwhile is owed: it is noted in the spool, in the same commit that forgets the batch, and
paid when the rest is over or at the next start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from spanhouse_server.store.contract import TraceKey

#: Smaller traces are settled with every batch: it costs less than keeping account.
LARGE_SPANS = 1000
#: Settling one trace takes at most one part in this many of the time.
REST_PER_WORK = 10


class Pace:
    """Remembers which large traces rest, until when, and which of them are owed a settling."""

    def __init__(self, owed: Iterable[TraceKey] = (), now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._rests_until_s: dict[TraceKey, float] = {}
        self._owed: set[TraceKey] = set(owed)

    def hold(self, traces: Iterable[TraceKey]) -> set[TraceKey]:
        """Return those of the traces that rest now, and note that they are owed a settling."""
        now_s = self._now_s()
        held = {trace for trace in traces if self._rests_until_s.get(trace, 0.0) > now_s}
        self._owed |= held
        return held

    def due(self) -> set[TraceKey]:
        """Return the owed traces whose rest is over."""
        if not self._owed:
            return set()
        now_s = self._now_s()
        return {trace for trace in self._owed if self._rests_until_s.get(trace, 0.0) <= now_s}

    def settled(self, spans: Mapping[TraceKey, int], took_s: float) -> None:
        """Take note that these traces, of so many spans each, were settled in ``took_s`` altogether."""
        now_s = self._now_s()
        total = sum(spans.values()) or 1
        self._owed.difference_update(spans)
        for trace in [trace for trace, until_s in self._rests_until_s.items() if until_s <= now_s]:
            del self._rests_until_s[trace]
        for trace, count in spans.items():
            if count >= LARGE_SPANS:
                self._rests_until_s[trace] = now_s + REST_PER_WORK * took_s * count / total
