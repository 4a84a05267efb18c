"""Is the server alive, and is it ready? Each subsystem answers for itself.

*Alive* turns false only when a vital heartbeat stopped: a restart would help. *Ready* turns false
when a required subsystem is not up: sending traffic elsewhere would help. A subsystem that is
neither (the columnar store, say, since the spool holds while it is away) only *degrades*.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SubsystemState:
    """One subsystem as it stands. ``age_s`` is the time since it last spoke, ``None`` if never."""

    ok: bool
    detail: str
    age_s: float | None
    required: bool
    vital: bool


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole server at one moment."""

    alive: bool
    ready: bool
    degraded: bool
    subsystems: dict[str, SubsystemState]


@dataclass(slots=True)
class _Subsystem:
    required: bool = True
    vital: bool = False
    stale_after_s: float | None = None
    ok: bool = False
    detail: str = "starting"
    spoke_s: float | None = None


class Health:
    """Collects what subsystems report. Thread-safe.

    >>> health = Health()
    >>> health.expect("drain", stale_after_s=30, required=False, vital=True)
    >>> health.report("drain", True)
    >>> health.snapshot().ready
    True
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subsystems: dict[str, _Subsystem] = {}

    def expect(
        self, subsystem: str, *, stale_after_s: float | None = None, required: bool = True, vital: bool = False
    ) -> None:
        """Announce a subsystem; it counts as not up until its first report.

        With ``stale_after_s`` it must report at least that often. ``required``: no readiness without
        it. ``vital``: when its heartbeat goes stale the process should be restarted.
        """
        with self._lock:
            known = self._subsystems.setdefault(subsystem, _Subsystem())
            known.required, known.vital, known.stale_after_s = required, vital, stale_after_s

    def report(self, subsystem: str, ok: bool, detail: str = "") -> None:
        """Record a state, which is also a heartbeat. Unannounced subsystems count as required."""
        with self._lock:
            known = self._subsystems.setdefault(subsystem, _Subsystem())
            known.ok, known.detail, known.spoke_s = ok, detail, self._clock()

    def beat(self, subsystem: str) -> None:
        """Record a heartbeat and leave the state as it is."""
        with self._lock:
            known = self._subsystems.setdefault(subsystem, _Subsystem())
            known.spoke_s = self._clock()

    def snapshot(self) -> HealthReport:
        """Return how everything stands now."""
        now_s = self._clock()
        states: dict[str, SubsystemState] = {}
        alive = ready = True
        degraded = False
        with self._lock:
            for name, known in self._subsystems.items():
                age_s = None if known.spoke_s is None else now_s - known.spoke_s
                stale = known.stale_after_s is not None and age_s is not None and age_s > known.stale_after_s
                ok = known.ok and not stale
                detail = f"silent for {age_s:.0f} s" if stale else known.detail
                states[name] = SubsystemState(ok, detail, age_s, known.required, known.vital)
                alive &= not (stale and known.vital)
                ready &= ok or not known.required
                degraded |= not ok
        return HealthReport(alive, ready, degraded, states)
