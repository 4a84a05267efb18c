"""A replay as the rules read it: the same series source that back-tests use, held in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spanhouse_server.derive.series import MemorySeries, Series, SeriesQuery, ratio_of
from tests.simulator.world import BUCKET_M, START_S, World

PROJECT = "replay"


class ReplaySource:
    """Sums are held per minute and put together as asked; percentiles are held as they were measured."""

    def __init__(self, world: World) -> None:
        sums: dict[str, list[Series]] = {}
        percentiles: dict[str, list[Series]] = {}
        for service, measured in world.telemetry.items():
            labels = {"service": service}
            for metric, values in measured.sums.items():
                points = [(START_S + 60 * minute, value) for minute, value in enumerate(values.tolist())]
                sums.setdefault(metric, []).append(Series(labels, points))
            for metric, values in measured.percentiles.items():
                shown = np.where(np.isnan(values), None, values).tolist()
                held = [(START_S + 60 * BUCKET_M * index, value) for index, value in enumerate(shown)]
                percentiles.setdefault(metric, []).append(Series(labels, held))
        self._sums = MemorySeries(sums, 60)
        self._percentiles = MemorySeries(percentiles, 60 * BUCKET_M)
        self._held = set(percentiles)
        self._end_s = START_S + 60 * world.minutes
        self._whole: dict[tuple[str, int, tuple[str, ...]], list[Series]] = {}

    def read(self, project_id: str, query: SeriesQuery, from_s: int, to_s: int) -> Sequence[Series]:
        """Return the series; see ``SeriesSource``. The only filter it knows is ``service:NAME``."""
        key = (query.metric, query.interval_s, query.group_by)
        if key not in self._whole:
            # Put together once: several rules read the same.
            parts = ratio_of(query.metric) or (query.metric,)
            source = self._percentiles if self._held.issuperset(parts) else self._sums
            self._whole[key] = list(source.read(project_id, query, START_S, self._end_s))
        # Before the replay began there was nothing.
        before = [(start, None) for start in range(from_s, min(START_S, to_s), query.interval_s)]
        first = max(from_s - START_S, 0) // query.interval_s
        last = max(to_s - START_S, 0) // query.interval_s
        return [
            Series(series.labels, [*before, *series.points[first:last]])
            for series in self._whole[key]
            if not query.q or query.q == f"service:{series.labels['service']}"
        ]
