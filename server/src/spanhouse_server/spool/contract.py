"""What the spool promises: what it has accepted survives ``kill -9``, and is handed on in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Owed = tuple[str, str]
"""(project_id, trace_id) of a trace whose settling was put off"""

Repeat = tuple[str, str, str]
"""(project_id, trace_id, span_id) of a span that a batch brings again"""

SIGNALS = ("traces", "logs", "metrics")


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """One accepted request. ``body`` is an OTLP export request in protobuf, decompressed.

    ``received_ns`` strictly increases with ``sequence`` and is the version of what is inside, so
    replaying an entry stores the very same rows again.
    """

    sequence: int
    project_id: str
    signal: str
    received_ns: int
    body: bytes


@dataclass(frozen=True, slots=True)
class SetAside:
    """An entry that could not be stored and waits for a person (``spanhouse replay``)."""

    sequence: int
    project_id: str
    signal: str
    received_ns: int
    reason: str
    size_bytes: int


@dataclass(slots=True)
class SpoolStats:
    """How the spool stands, with durable counters since the store began."""

    bytes: int = 0
    requests: int = 0
    oldest_age_s: float = 0.0
    set_aside: int = 0
    received_spans: int = 0
    stored_spans: int = 0
    duplicate_spans: int = 0
    received_logs: int = 0
    received_metric_points: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


class Spool(Protocol):
    """The durable queue between acknowledging and storing. Thread-safe."""

    async def append(
        self,
        project_id: str,
        signal: str,
        body: bytes,
        *,
        records: int,
        rejected: Mapping[str, int] | None = None,
    ) -> int:
        """Make a request durable and return its sequence; many callers share one commit.

        ``records`` and ``rejected`` go to the durable counters in the same commit. Raises
        ``SpoolFull`` or ``DiskFull``: then nothing was kept and the sender must retry.
        """

    def count_rejected(self, rejected: Mapping[str, int]) -> None:
        """Count refusals of a request that left nothing to store. May be delayed, never raises."""

    def claim(self, max_entries: int, max_bytes: int, after: int = 0) -> list[SpoolEntry]:
        """Return the oldest entries that are neither acknowledged nor set aside, in order.

        Only entries with a sequence larger than ``after`` are looked at, so that the next batch
        can be prepared while the last one is being stored. At least one entry is returned when
        any waits, however large. One caller at a time.
        """

    def wait(self, timeout_s: float) -> bool:
        """Block until entries wait; tell whether any do."""

    def ack(
        self,
        sequences: Sequence[int],
        *,
        stored_spans: int = 0,
        duplicate_spans: int = 0,
        assembled_spans: int = 0,
        owed: Collection[Owed] = (),
        paid: Collection[Owed] = (),
    ) -> None:
        """Forget stored entries and count them, in one commit.

        ``assembled_spans`` were made of log records: nobody could count them before, so they count as received
        and stored now.
        ``owed`` are traces that are yet to be settled, ``paid`` those that no longer are.
        """

    def note_repeats(self, repeats: Collection[Repeat]) -> None:
        """Make durable that the batch to be stored next brings these spans again; the next ``ack`` forgets it."""

    def repeats(self) -> list[Repeat]:
        """Return the spans noted for the batch that is not yet acknowledged."""

    def owed(self) -> list[Owed]:
        """Return the traces that are stored and yet to be settled."""

    def set_aside(self, entry: SpoolEntry, reason: str) -> None:
        """Move an entry that cannot be stored out of the way, keeping it with its reason."""

    def list_set_aside(self) -> list[SetAside]:
        """Return what was set aside, oldest first."""

    def replay(self, sequences: Sequence[int] | None = None) -> int:
        """Put set-aside entries (all by default) back at the end; return how many."""

    def stats(self) -> SpoolStats:
        """Return how the spool stands."""

    def close(self) -> None:
        """Commit what is pending and release the files."""
