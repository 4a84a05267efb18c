"""The detector: one series of equal buckets in, one verdict per bucket out.

A verdict depends on its bucket and those before it, never on later ones (``stream``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spanhouse_server.derive.anomaly.options import HOUR_S, Options
from spanhouse_server.derive.anomaly.stream import Stream
from spanhouse_server.derive.anomaly.verdict import Point, Verdict


class Detector:
    """Judges series of one metric: ``interval_s`` is the width of their buckets, of which an hour holds several."""

    def __init__(self, options: Options, interval_s: int) -> None:
        if not 0 < interval_s <= HOUR_S:
            raise ValueError(f"buckets of {interval_s} s: at most an hour")
        self.options = options
        self.interval_s = interval_s

    def stream(self) -> Stream:
        """Return a stream that has seen nothing yet."""
        return Stream(self.options, self.interval_s)

    def scan(
        self, points: Iterable[Point], from_s: int = 0, requests: Sequence[float | None] | None = None
    ) -> list[Verdict]:
        """Return the verdicts of the buckets from ``from_s`` on; those before only teach.

        ``points`` are in the order of time. ``requests`` says of how many requests each point was made.
        """
        stream = self.stream()
        made = [
            stream.push(at_s, value, None if requests is None else requests[index])
            for index, (at_s, value) in enumerate(points)
        ]
        return [verdict for verdict in made if verdict.at_s >= from_s]

    def judge(self, points: Sequence[Point], at_s: int, requests: Sequence[float | None] | None = None) -> Verdict:
        """Return the verdict of the last bucket that begins at or before ``at_s``; those after it are not looked at."""
        known = [point for point in points if point[0] <= at_s]
        if not known:
            return Verdict(at_s, None, None, None, None, 0.0, "no_data")
        return self.scan(known, known[-1][0], requests)[-1]
