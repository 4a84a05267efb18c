"""Waiting for what happens beside a test, in another thread or process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

#: Far more than anything takes, so that only what never happens fails, on however busy a machine.
LIMIT_S = 60.0


def until(condition: Callable[[], object], said: Callable[[], object] = lambda: "it did not happen") -> None:
    """Wait until ``condition()`` holds, or fail with what ``said()`` tells then."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, said()
        time.sleep(0.01)


async def reached(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until ``condition()`` holds while the event loop goes on, or fail."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.01)
