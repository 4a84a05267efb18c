"""What the spool holds, counted in memory and in step with the database.

A transaction collects its changes in a ``Delta``; only after its commit are they applied to the
``Ledger`` that bounds and statistics are read from. A rolled back transaction thus leaves no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Durable counter of what was received, by signal.
RECEIVED = {"traces": "received_spans", "logs": "received_logs", "metrics": "received_metric_points"}
_REJECTED = "rejected:"


def counts_of_stored(stored_spans: int, duplicate_spans: int, assembled_spans: int) -> dict[str, int]:
    """Return how the durable counters of spans change when a batch is stored.

    Assembled spans came as log records, several for one span: only now it is known how many there are.
    """
    counts = {
        RECEIVED["traces"]: assembled_spans,
        "stored_spans": stored_spans + assembled_spans,
        "duplicate_spans": duplicate_spans,
    }
    return {name: count for name, count in counts.items() if count}


@dataclass(slots=True)
class Delta:
    """What one transaction changes. ``bytes`` are compressed bodies of waiting entries."""

    bytes: int = 0
    requests: int = 0
    set_aside: int = 0
    last_received_ns: int = 0
    removed: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    def count_rejected(self, rejected: Mapping[str, int]) -> None:
        """Count refused records by reason."""
        for reason, count in rejected.items():
            self.counters[_REJECTED + reason] += count


@dataclass(slots=True)
class Ledger:
    """What is committed. ``oldest_queued_ns`` is 0 when nothing waits."""

    bytes: int = 0
    requests: int = 0
    set_aside: int = 0
    last_received_ns: int = 0
    oldest_queued_ns: int = 0
    counters: Counter[str] = field(default_factory=Counter)

    def apply(self, delta: Delta) -> None:
        """Take over the changes of a committed transaction."""
        self.bytes += delta.bytes
        self.requests += delta.requests
        self.set_aside += delta.set_aside
        self.last_received_ns = max(self.last_received_ns, delta.last_received_ns)
        self.counters.update(delta.counters)

    def rejected(self) -> dict[str, int]:
        """Return refused records by reason."""
        counters = self.counters.copy()
        return {name.removeprefix(_REJECTED): n for name, n in counters.items() if name.startswith(_REJECTED)}
