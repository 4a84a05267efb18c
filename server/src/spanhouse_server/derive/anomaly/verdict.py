"""What is made of one bucket."""

from __future__ import annotations

from typing import Literal, NamedTuple

VerdictKind = Literal["ok", "spike", "drop", "creep", "learning", "no_data"]
Point = tuple[int, float | None]


class Verdict(NamedTuple):
    """What is made of one bucket.

    ``at_s`` is the bucket's start; ``value``, ``expected``, ``low`` and ``high`` are in the metric's unit and
    ``None`` where nothing can be said. ``score`` is how far out it lies: 1 or -1 at the bound, 0 as expected; for
    creep it is the CUSUM in multiples of its bound.
    """

    at_s: int
    value: float | None
    expected: float | None
    low: float | None
    high: float | None
    score: float
    kind: VerdictKind

    @property
    def anomalous(self) -> bool:
        """Tell whether this is a spike, a drop or creep."""
        return self.kind in ("spike", "drop", "creep")
