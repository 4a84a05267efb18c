"""Rules, alerts and sources for tests of the alert engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spanhouse_server.derive.alerts.kinds.contract import Observation
from spanhouse_server.derive.alerts.rules import checked
from spanhouse_server.derive.series import MemorySeries, Series
from spanhouse_server.model.alerts import Alert, Channel, Rule

#: 2026-01-15T12:00:00Z
T0 = 1_768_478_400
NS = 1_000_000_000


def rule(**given: Any) -> Rule:
    """Return a checked rule: requests above 10, every minute over a minute, unless told otherwise."""
    defaults: dict[str, Any] = {
        "id": "r1", "project_id": "default", "name": "Busy", "type": "threshold", "metric": "requests",
        "window_s": 60, "every_s": 60, "written": {"above": 10},
    }  # fmt: skip
    return checked(Rule(**{**defaults, **given}))


def alert(**given: Any) -> Alert:
    """Return a firing alert unless told otherwise."""
    defaults: dict[str, Any] = {
        "id": "a1", "project_id": "default", "rule_id": "r1", "rule_name": "Busy", "rule_type": "threshold",
        "rule_version": 0, "metric": "requests", "fingerprint": "f1", "labels": {}, "state": "firing",
        "severity": "critical", "active_s": T0, "bad_s": T0, "seen_s": T0, "fired_s": T0, "value": 11.0,
    }  # fmt: skip
    return Alert(**{**defaults, **given})


def channel(**given: Any) -> Channel:
    """Return a channel of the usual pauses."""
    defaults: dict[str, Any] = {"id": "c1", "project_id": "default", "name": "ops", "type": "webhook"}
    return Channel(**{**defaults, **given})


def saw(state: str, labels: Mapping[str, str] | None = None, value: float | None = 1.0, **more: Any) -> Observation:
    """Return an observation."""
    return Observation(labels or {}, state, value, **more)  # type: ignore[arg-type]


def numbered(prefix: str = "a") -> Callable[[], str]:
    """Return a maker of ids: a1, a2 …"""
    numbers = iter(range(1, 10_000))
    return lambda: f"{prefix}{next(numbers)}"


def held(
    values: Sequence[float | None], metric: str = "requests", interval_s: int = 60, from_s: int = T0, **labels: str
) -> MemorySeries:
    """Return one series in memory that begins at ``from_s``."""
    points = [(from_s + n * interval_s, value) for n, value in enumerate(values)]
    return MemorySeries({metric: [Series(labels, points)]}, interval_s)
