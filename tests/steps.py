"""How much work a call is, counted instead of timed: the same on every machine, however busy it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(act: Callable[[], object]) -> int:
    """Return how many lines of Python run in ``act()``, in this thread; a loop on one line counts each round.

    What C code does within a line is not seen: let the C code have little to do, or count its calls by other means.
    """
    counted = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal counted
        counted += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return counted


def growth(act: Callable[[int], Callable[[], object]], small: int, large: int) -> float:
    """Return how much more work ``act(large)()`` is than ``act(small)()``, by the ratio of the sizes.

    About 1 is work in proportion to the size, ``large / small`` is quadratic. ``act(size)`` prepares and is not counted;
    each size runs once before, so that what is kept from an earlier run makes no difference.
    """
    for size in (small, large):
        act(size)()
    return steps(act(large)) / steps(act(small)) / (large / small)
