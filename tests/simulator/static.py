"""The yardstick: fixed thresholds on the same metrics, as someone would set them after two quiet weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.derive.series import SeriesQuery, SeriesSource
from spanhouse_server.model.alerts import Rule
from tests.simulator.source import PROJECT


@dataclass(frozen=True)
class Tuning:
    """How thresholds are read off the quiet weeks: a percentile (the low one for drops), or twice the mean."""

    name: str
    percentile: float | None


TUNINGS = (Tuning("99.9th percentile", 99.9), Tuning("2 x mean", None))


def static_rules(rules: Sequence[Rule], source: SeriesSource, from_s: int, to_s: int, tuning: Tuning) -> list[Rule]:
    """Return a threshold rule per anomaly rule and service, tuned on ``[from_s, to_s)``.

    Window, ``for_s`` (buckets that confirm a spike included) and ``keep_firing_s`` are those of the anomaly rules, so
    that only the bounds differ. Buckets without a single request are left out of the tuning: they are gaps.
    """
    made = []
    for rule in rules:
        query = SeriesQuery(rule.metric, rule.group_by, rule.q, rule.window_s)
        for series in source.read(rule.project_id, query, from_s, to_s):
            seen = np.array([value for _, value in series.points if value])
            params = _params(seen, tuning, rule.params.direction)
            service = series.labels["service"]
            made.append(
                checked(
                    replace(
                        rule,
                        id=f"{rule.id}-{service}",
                        project_id=PROJECT,
                        name=f"{rule.name} ({service})",
                        type="threshold",
                        for_s=max(rule.for_s, (rule.params.confirm - 1) * rule.every_s),
                        q=f"service:{service}",
                        written=params,
                        params=None,
                    )
                )
            )
    return made


def _params(seen: np.ndarray, tuning: Tuning, direction: str) -> dict[str, float]:
    if direction == "down":
        level = float(np.mean(seen)) / 2 if tuning.percentile is None else np.percentile(seen, 100 - tuning.percentile)
        return {"below": float(level)}
    level = 2 * float(np.mean(seen)) if tuning.percentile is None else np.percentile(seen, tuning.percentile)
    return {"above": float(level)}
