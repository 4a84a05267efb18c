"""What goes into one statement: the engine takes only so many values at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def chunks(whole: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield a sequence in parts of at most ``size`` items, in order."""
    return (whole[start : start + size] for start in range(0, len(whole), size))
