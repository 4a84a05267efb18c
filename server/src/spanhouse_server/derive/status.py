"""How background work goes, as ``/metrics`` and ``GET /api/v1/ingest`` show it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from spanhouse_server.clock import now_ns

State = Literal["starting", "running", "standby", "failing"]
#: Rates are over the last so many seconds.
RATE_S = 300.0
MAX_ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker or tick. Counts are those of this process since it started; times are ns since 1970.

    ``lag_s``: what settled longer ago than this is derived, by whichever process; for a tick the time since it
    last ran to its end. ``None`` before the first time. ``covered_ns``: the past is derived from here on.
    """

    name: str
    kind: Literal["worker", "tick"]
    state: State
    every_s: float
    lag_s: float | None
    covered_ns: int
    runs: int
    rows: int
    rows_per_s: float
    busy_s: float
    errors: int
    last_error: str
    last_error_ns: int | None
    last_run_ns: int | None


class Status:
    """Counts of one worker. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._made: deque[tuple[float, int]] = deque()
        self._since_s = clock()
        self.state: State = "starting"
        self._begun_s: float | None = None
        self._spent_s = 0.0
        self.runs = 0
        self.rows = 0
        self.errors = 0
        self.last_error = ""
        self.last_error_ns: int | None = None
        self.last_run_ns: int | None = None

    @property
    def busy_s(self) -> float:
        """Return the seconds spent, those of the run in hand included: one that is stuck shows."""
        with self._lock:
            in_hand_s = 0.0 if self._begun_s is None else max(self._clock() - self._begun_s, 0.0)
            return self._spent_s + in_hand_s

    def begun(self) -> None:
        """Note that a run begins."""
        with self._lock:
            self._begun_s = self._clock()

    def ran(self) -> None:
        """Count a run that came to its end."""
        with self._lock:
            self._over()
            self.runs += 1
            self.state, self.last_run_ns = "running", now_ns()

    def made(self, rows: int) -> None:
        """Count rows just made."""
        with self._lock:
            self.rows += rows
            self._made.append((self._clock(), rows))
            self._forget()

    def failed(self, error: str) -> None:
        """Count a run that failed."""
        with self._lock:
            self._over()
            self.errors += 1
            self.state, self.last_error, self.last_error_ns = "failing", error[:MAX_ERROR_CHARACTERS], now_ns()

    def stands_by(self) -> None:
        """Note that another process does the work."""
        with self._lock:
            self._begun_s = None
            self.state = "standby"

    def rows_per_s(self) -> float:
        """Return the rows made per second of the last minutes."""
        with self._lock:
            self._forget()
            over_s = min(max(self._clock() - self._since_s, 1.0), RATE_S)
            return sum(rows for _, rows in self._made) / over_s

    def _over(self) -> None:
        if self._begun_s is not None:
            self._spent_s += max(self._clock() - self._begun_s, 0.0)
            self._begun_s = None

    def _forget(self) -> None:
        oldest_s = self._clock() - RATE_S
        while self._made and self._made[0][0] < oldest_s:
            self._made.popleft()
