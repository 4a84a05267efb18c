"""A clock of its own, so that hours of traffic with real latencies are told in a second."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import spanhouse
from spanhouse_server.clock import NS_PER_MS, NS_PER_S

AnySpan = TypeVar("AnySpan", bound=spanhouse.Span)


class Timeline:
    """The time inside one conversation; spans of the demo start and end at its ``now_ns``."""

    def __init__(self, start_ns: int, chance: random.Random) -> None:
        self.now_ns = start_ns
        self.chance = chance

    def pass_ms(self, low: float, high: float) -> None:
        """Let between ``low`` and ``high`` milliseconds pass."""
        self.now_ns += int(self.chance.uniform(low, high) * NS_PER_MS)

    def pass_s(self, low: float, high: float) -> None:
        """Let between ``low`` and ``high`` seconds pass."""
        self.now_ns += int(self.chance.uniform(low, high) * NS_PER_S)

    def _think(self) -> None:
        """Let some microseconds pass, as code takes them: a child starts after its parent."""
        self.now_ns += self.chance.randint(20_000, 90_000)

    @contextmanager
    def during(self, span: AnySpan) -> Iterator[AnySpan]:
        """Enter ``span`` and end it at the time this clock shows when the block is left."""
        with span:
            self._think()
            try:
                yield span
            finally:
                span.end_time_ns = self.now_ns
                self._think()
