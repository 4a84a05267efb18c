"""What background work looks like: ticks by the clock, workers over windows of settled spans.

The runner (``derive/runner.py``) calls both. It gives each a thread, a lease that one process at a time
holds, and a place in ``/metrics`` and ``GET /api/v1/ingest``. What raises is counted, shown and tried
again; it never holds up another worker or the ingest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from spanhouse_server.clock import NS_PER_S


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do one worker's work for one call.

    ``fence`` is larger with every call, whichever process makes it. A write that carries it loses to
    one that carries a larger fence, so a process that slept through a take-over does no harm: in the
    columnar store the fence is the version of the rows, in the records store
    ``store.records.leases.check_fence`` refuses the transaction.
    """

    name: str
    fence: int
    held: Callable[[], bool] = _always

    def still_held(self) -> bool:
        """Tell whether no other process can have taken over yet; long work asks now and then."""
        return self.held()


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Start times of one project's spans: from ``from_ns`` (inclusive) to ``to_ns`` (exclusive).

    Both are multiples of the worker's ``window_s``. Windows that lie close together come as one, with what lies
    between them, up to an hour.
    """

    project_id: str
    from_ns: int
    to_ns: int

    @property
    def from_s(self) -> int:
        """Return the beginning in unix seconds."""
        return self.from_ns // NS_PER_S

    @property
    def to_s(self) -> int:
        """Return the end in unix seconds."""
        return self.to_ns // NS_PER_S


class Tick(Protocol):
    """Work by the clock: alerts, budgets."""

    name: str
    """Key of its lease; no other tick or worker has it."""
    every_s: float

    def run(self, now_ns: int, lease: Lease) -> None:
        """Do what is due at ``now_ns``. May raise: that is counted, shown and tried again."""


class Worker(Protocol):
    """Work over windows of settled spans: rollups, drift, judges."""

    name: str
    """Key of its lease and cursor; no other tick or worker has it."""
    every_s: float
    """Pause between looks for spans that settled."""
    window_s: int
    """A span that settles makes the window of this width (seconds of start time) due, again if it was done."""
    past: bool
    """Whether what was stored before the worker first ran is due too; it is taken newest first."""

    def derive(self, window: TimeWindow, lease: Lease) -> int:
        """Make the window's rows from the spans stored now; return how many.

        Called again for the same window when a span in it settles anew, or after a crash: the same
        spans must give the same rows, which replace what was there.
        """


@runtime_checkable
class Marking(Protocol):
    """A worker that is told how far it is, to tell its readers."""

    def mark(self, position_ns: int, covered_ns: int, lease: Lease) -> None:
        """Note that every span stored at ``position_ns`` with a start time from ``covered_ns`` on is derived."""
