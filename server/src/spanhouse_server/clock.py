"""Time as the rest of the house sees it: integer nanoseconds since 1970, UTC."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

#: The largest time that fits a signed 64-bit column (year 2262).
MAX_TIME_NS = 2**63 - 1


def now_ns() -> int:
    """Return the wall clock in nanoseconds."""
    return time.time_ns()


class MonotonicStamps:
    """Hands out wall-clock nanoseconds that strictly increase within the process.

    They order versions of one span: what was received later gets the larger stamp, even when
    the wall clock is set back.
    """

    def __init__(self, floor_ns: int = 0) -> None:
        self._last_ns = floor_ns
        self._lock = threading.Lock()

    def next_ns(self) -> int:
        """Return a stamp larger than every earlier one."""
        with self._lock:
            self._last_ns = max(self._last_ns + 1, time.time_ns())
            return self._last_ns


def rfc3339(time_ns: int) -> str:
    """Return ``2026-01-31T12:00:00.123456789Z`` for integer nanoseconds."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    stamp = datetime.fromtimestamp(seconds, UTC)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
