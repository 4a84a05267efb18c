"""What a back-test draws: the values of each group beside what was normal for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spanhouse_server.derive.alerts.kinds.contract import Observation

#: Groups that are drawn, those in breach most often; and the points of each.
MAX_LINES = 10
MAX_POINTS = 500
#: Groups that are followed while a back-test runs.
MAX_FOLLOWED = 100

Point = tuple[int, float | None, float | None, float | None, float | None]
"""Unix s, value, expected, low, high."""


@dataclass(slots=True)
class Line:
    """One group: its points, the oldest first, and how many of its verdicts were breaches."""

    labels: Mapping[str, str]
    points: Sequence[Point] = ()
    breaches: int = 0
    taken: list[Point] = field(default_factory=list, repr=False)


class Lines:
    """Collects the lines of a back-test from its observations, as far as these tell what is normal."""

    def __init__(self) -> None:
        self._lines: dict[tuple[tuple[str, str], ...], Line] = {}

    def add(self, observations: Sequence[Observation]) -> None:
        """Take in one evaluation; what is measured in wider steps than it is judged counts once."""
        for each in observations:
            if each.normal is None:
                continue
            key = tuple(sorted(each.labels.items()))
            line = self._lines.get(key)
            if line is None:
                if len(self._lines) >= MAX_FOLLOWED:
                    continue
                line = self._lines[key] = Line(dict(each.labels))
            if line.taken and line.taken[-1][0] >= each.normal[0]:
                continue
            at_s, expected, low, high = each.normal
            line.taken.append((at_s, each.value, expected, low, high))
            line.breaches += each.state in ("warning", "breach")

    def drawn(self) -> list[Line]:
        """Return the lines to draw, those in breach most often first, each thinned to ``MAX_POINTS``."""
        ranked = sorted(self._lines.values(), key=lambda line: (-line.breaches, sorted(line.labels.items())))
        return [Line(line.labels, thinned(line.taken), line.breaches) for line in ranked[:MAX_LINES]]


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most ``MAX_POINTS`` of some points: of neighbours the one that lies furthest out of what is normal."""
    width = -(-len(points) // MAX_POINTS) or 1
    return [max(points[first : first + width], key=_how_far_out) for first in range(0, len(points), width)]


def _how_far_out(point: Point) -> float:
    _, value, expected, low, high = point
    if value is None:
        return -1.0
    if expected is None or low is None or high is None:
        return 0.0
    room = high - expected if value > expected else expected - low
    return abs(value - expected) / room if room > 0 else 0.0
