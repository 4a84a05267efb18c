"""What a detector can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOUR_S = 3600
DAY_S = 24 * HOUR_S
WEEK_S = 7 * DAY_S

ScaleName = Literal["count", "rate", "ratio", "linear"]
"""How values are made comparable; see ``scales``."""


@dataclass(frozen=True, slots=True)
class Options:
    """The knobs of a detector; the defaults are the ones that were measured.

    A value is anomalous when it is both *unlikely* (``k`` robust standard deviations, or a CUSUM above ``h``) and
    *material* (``min_ratio`` and ``min_delta``): on quiet series a trifle is unlikely.
    """

    scale: ScaleName = "ratio"
    #: Robust standard deviations (1.4826 x MAD) beyond which one bucket alone is a spike or a drop.
    k: float = 5.0
    #: What a CUSUM of standardised residuals must reach to be called creep.
    h: float = 5.5
    #: By how much more (0.25: a quarter more, or as much less: divided by 1.25) a value must differ to matter.
    min_ratio: float = 0.25
    #: By how much a value must differ in the metric's own unit to matter.
    min_delta: float = 0.0
    #: Buckets made of fewer requests than this wait for the next ones, up to an hour, and are judged together.
    min_requests: float = 20.0
    #: Counts only: nothing at all, where much is usual, is taken for missing telemetry before it has lasted so long.
    silence_s: int = 1800
    #: Nothing is judged before this much history.
    learn_s: int = DAY_S
    #: A new level outside the bounds is taken for the normal one after this long.
    relearn_s: int = 2 * DAY_S
    #: How far back the seasonal memory reaches.
    memory_s: int = 8 * WEEK_S
