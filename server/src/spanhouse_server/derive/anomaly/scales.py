"""Scales on which deviations are alike at every level.

``count``: ``log1p``; a traffic of 10 and one of 1000 double alike, and 0 is a value like any other. Its noise is at
least Poisson's. ``ratio``: ``log``, for what is positive and multiplies (durations, cost, tokens per request).
``rate``: the arcsine of the square root of a share of requests. Error rates are mostly 0, where a logit does not
exist and its variance depends on the rate; the arcsine is defined from 0 to 1 and its noise depends on the number
of requests alone: 1 / (2 sqrt(n)), which gives few requests wide bounds by itself. ``linear``: scores and whatever
may be negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from spanhouse_server.derive.anomaly.options import ScaleName

#: Stands for 0 where a logarithm is taken of what should be positive.
_TINY = 1e-9
_COUNTS = ("requests", "errors", "request_errors", "trace_errors", "refusals", "traces", "spans")
_SHARES = ("errors", "request_errors", "trace_errors", "refusals")
#: Values beyond this are taken for it, so that no sum of squares overflows.
_LARGEST = 1e30
_LARGEST_LOG = math.log(_LARGEST)


@dataclass(frozen=True, slots=True)
class Scale:
    """``up(value, requests)`` leads to the scale, ``down`` back.

    ``floor(expected, requests)`` is the least standard deviation there, from ``expected`` in the metric's unit.
    """

    name: ScaleName
    up: Callable[[float, float | None], float]
    down: Callable[[float], float]
    floor: Callable[[float, float | None], float]
    #: Do values of few requests scatter more than the season knows (means and percentiles)?
    thins: bool = False
    #: Are buckets of too few requests put together?
    pools: bool = True


def _count_up(value: float, _: float | None) -> float:
    return math.log1p(min(max(value, 0.0), _LARGEST))


def _count_down(y: float) -> float:
    return max(math.expm1(min(y, _LARGEST_LOG)), 0.0)


def _count_floor(expected: float, _: float | None) -> float:
    # Requests come in clumps, and the logarithm of a few is skewed: a quarter more than Poisson's.
    return 1.25 / math.sqrt(expected + 0.5)


def _rate_up(value: float, requests: float | None) -> float:
    # Anscombe: without it, 0 of 10 and 0 of 10000 would say the same.
    share = value if requests is None else (value * requests + 0.375) / (requests + 0.75)
    return math.asin(math.sqrt(min(max(share, 0.0), 1.0)))


def _rate_down(y: float) -> float:
    return math.sin(min(max(y, 0.0), math.pi / 2)) ** 2


def _rate_floor(_: float, requests: float | None) -> float:
    return 0.01 if requests is None else 0.5 / math.sqrt(requests + 0.5)


def _ratio_up(value: float, _: float | None) -> float:
    return math.log(min(max(value, _TINY), _LARGEST))


def _ratio_down(y: float) -> float:
    return math.exp(min(y, _LARGEST_LOG))


def _ratio_floor(_: float, __: float | None) -> float:
    return 0.01


def _linear_up(value: float, _: float | None) -> float:
    return min(max(value, -_LARGEST), _LARGEST)


def _linear_floor(expected: float, _: float | None) -> float:
    return 0.01 * abs(expected) + _TINY


SCALES: dict[ScaleName, Scale] = {
    "count": Scale("count", _count_up, _count_down, _count_floor, pools=False),
    "rate": Scale("rate", _rate_up, _rate_down, _rate_floor),
    "ratio": Scale("ratio", _ratio_up, _ratio_down, _ratio_floor, thins=True),
    "linear": Scale("linear", _linear_up, lambda y: y, _linear_floor, thins=True),
}


def scale_of(metric: str) -> ScaleName:
    """Return the scale that suits a metric of the API, or a ratio of two."""
    above, slash, below = metric.partition("/")
    if metric.startswith("score."):
        return "linear"
    if slash:
        return "rate" if above.strip() in _SHARES and below.strip() not in _SHARES else "ratio"
    return "count" if metric in _COUNTS else "ratio"
