"""Histograms as stored, added, subtracted and read: pure arithmetic on buckets.

A histogram is held as segments, ``{(lower, upper): count}``: all that its buckets say is that so many
values lie above ``lower`` and at or below ``upper``. Explicit and exponential buckets, and ones of
different bounds or scales, can then be added up and asked for a percentile together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

Segments = dict[tuple[float, float], float]
#: Bucket counts of one exponential histogram by index, with the scale they are at.
Exponential = tuple[int, dict[int, int]]

#: Edges beyond this are infinite for a double.
_MAX_EXPONENT = 1023.0
#: So that the distance between two bounds is a number as well.
_LARGEST = 8e307
_ROUNDING = 1e-12


def explicit(
    bounds: Sequence[float], counts: Sequence[int], least: float | None = None, most: float | None = None
) -> Segments:
    """Return the segments of an explicit-bucket histogram.

    The outer buckets have one bound only; ``least`` and ``most`` (what the emitter saw) close them, else
    zero (for positive bounds) and the last bound do.
    """
    if not bounds:
        if least is not None and most is not None and counts:
            return _kept([((least, most), counts[0])])
        return {}
    low = least if least is not None else min(0.0, bounds[0])
    high = most if most is not None else bounds[-1]
    edges = [min(low, bounds[0]), *bounds, max(high, bounds[-1])]
    return _kept(((lower, upper), count) for lower, upper, count in zip(edges, edges[1:], counts, strict=False))


def exponential(scale: int, zeros: int, positive: Mapping[int, int], negative: Mapping[int, int]) -> Segments:
    """Return the segments of an exponential histogram; its zero bucket is the point zero."""
    pairs: list[tuple[tuple[float, float], float]] = [((0.0, 0.0), zeros)]
    pairs += [((_edge(scale, index), _edge(scale, index + 1)), count) for index, count in positive.items()]
    pairs += [((-_edge(scale, index + 1), -_edge(scale, index)), count) for index, count in negative.items()]
    return _kept(pairs)


def indexed(scale: int, offset: int, counts: Sequence[int]) -> Exponential:
    """Return the buckets of one side of an exponential histogram by their index."""
    return scale, {offset + position: count for position, count in enumerate(counts) if count}


def rescaled(buckets: Exponential, scale: int) -> dict[int, int]:
    """Return the buckets at a lower scale: two neighbours become one with each step."""
    own_scale, counts = buckets
    # Python's shift rounds down for negative indices too, which is what halving an index means here.
    steps = min(own_scale - scale, 64)
    merged: dict[int, int] = {}
    for index, count in counts.items():
        merged[index >> steps] = merged.get(index >> steps, 0) + count
    return merged


def subtract(later: Mapping[int, int], earlier: Mapping[int, int]) -> dict[int, int]:
    """Return what was added to buckets between two readings of a growing histogram."""
    return {index: added for index, count in later.items() if (added := count - earlier.get(index, 0)) > 0}


def add(total: Segments, more: Segments) -> None:
    """Add ``more`` to ``total``."""
    for segment, count in more.items():
        total[segment] = total.get(segment, 0.0) + count


def quantile(segments: Segments, fraction: float) -> float | None:
    """Return the value below which ``fraction`` (0 to 1) of the values lie, or nothing without values.

    Values are taken to lie evenly within their bucket, so the result is exact to the bucket's width.
    """
    total = sum(segments.values())
    if not total:
        return None
    wanted = fraction * total
    masses: dict[float, float] = {}
    slopes: dict[float, float] = {}
    for (lower, upper), count in segments.items():
        if upper > lower:
            slope = count / (upper - lower)
            slopes[lower] = slopes.get(lower, 0.0) + slope
            slopes[upper] = slopes.get(upper, 0.0) - slope
        else:
            masses[lower] = masses.get(lower, 0.0) + count
    below, slope = 0.0, 0.0
    edges = sorted({*masses, *slopes})
    for position, edge in enumerate(edges):
        if position:
            gained = slope * (edge - edges[position - 1])
            # Put together from a slope again, a bucket's count may fall short of it by the last digits.
            if below + gained >= wanted - _ROUNDING * total and gained > 0:
                return min(edges[position - 1] + (wanted - below) / slope, edge)
            below += gained
        below += masses.get(edge, 0.0)
        if below >= wanted and edge in masses:
            return edge
        slope = max(slope + slopes.get(edge, 0.0), 0.0)
    return edges[-1]


def _edge(scale: int, index: int) -> float:
    exponent = index * 2.0 ** max(min(-scale, 1000), -1000)
    return math.ldexp(2.0 ** (exponent % 1), int(exponent // 1)) if abs(exponent) <= _MAX_EXPONENT else (
        math.inf if exponent > 0 else 0.0
    )  # fmt: skip


def _kept(pairs: Iterable[tuple[tuple[float, float], float]]) -> Segments:
    segments: Segments = {}
    for (lower, upper), count in pairs:
        if count > 0:
            finite = (min(max(lower, -_LARGEST), _LARGEST), min(max(upper, -_LARGEST), _LARGEST))
            segments[finite] = segments.get(finite, 0.0) + count
    return segments
