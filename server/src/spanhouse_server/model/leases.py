"""What the records store keeps of background workers."""

from __future__ import annotations

from dataclasses import dataclass

#: States of a backfill in which it is still to be worked on.
OPEN_BACKFILLS = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A worker's lease and cursor.

    ``fence`` grows with every call of the worker, ``beat`` with every sign of life of its holder.
    ``position_ns``: everything stored then is derived, as far as it starts at ``covered_ns`` or later.
    """

    name: str
    holder: str
    fence: int
    beat: int
    position_ns: int
    covered_ns: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """A range of start times that a worker is asked to derive again, newest first.

    ``position_ns``: from here to ``to_ns`` it is done. ``state`` is ``waiting running done failed``.
    """

    id: str
    worker: str
    project_id: str
    from_ns: int
    to_ns: int
    position_ns: int
    state: str = "waiting"
    windows: int = 0
    rows: int = 0
    error: str = ""
    created_ns: int = 0
    ended_ns: int | None = None
