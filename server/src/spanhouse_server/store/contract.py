"""What the other rooms may ask of the stores, and what every backend must keep.

The columnar store holds telemetry (spans, logs, metric points, scores); the records store holds
what people configure (projects, keys, settings). Backends raise ``StoreUnavailable`` when the same
call may work later and ``StoreError`` when it never will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

from spanhouse_server.model.budgets import Budget, Crossing, GpuPrice, Slo
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.leases import Backfill, LeaseState
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.store.alert_records import AlertRecords

#: Tables that accept blocks; each name is a numbered file under ``migrations/columnar``.
TABLES = ("spans", "span_index", "traces", "logs", "metric_points", "scores", "blobs")

#: Tables that the engine fills from others (``derive``), with the rollups' migration.
DERIVED_TABLES = ("rollups", "rollup_marks", "rollup_state")

#: Every key of a project begins so; other vendors' keys do not.
KEY_MARK = "sk-sh-"

TraceKey = tuple[str, str]
"""(project_id, trace_id)"""

SpanKey = tuple[str, str, str]
"""(project_id, trace_id, span_id)"""


class ColumnarStore(Protocol):
    """Telemetry in ClickHouse, embedded or served. All methods may be called from any thread."""

    @property
    def exclusive(self) -> bool:
        """Tell whether nobody but this process can write to it."""

    def migrate(self) -> list[str]:
        """Apply missing migrations in order; return the names applied.

        Raises ``MigrationError`` when an applied file was changed since, or one fails.
        """

    def damaged(self) -> dict[str, int]:
        """Return the tables of which parts could not be read, and how many; rows in them are not seen by any read.

        The embedded engine sets them aside as it opens them, after a fault of the disk or in a half copied folder; of a
        server nothing is told.
        """

    def insert(self, table: str, rows: bytes | PathLike[str], columns: Sequence[str] = ()) -> None:
        """Insert newline-separated JSON objects, or arrays of values for ``columns``; durable when this returns.

        ``rows`` is their text, or a file of it.
        An insert is atomic per partition, not across calls: callers must be able to repeat it. Raises
        ``RowsRefused`` when a row can never be stored.
        """

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a read as dicts by column name.

        ``sql`` is written by us; every value from outside goes through ``{name:Type}``
        placeholders and ``parameters``. Reads are bounded in time and memory by settings.
        """

    def derive(self, table: str, columns: Sequence[str], sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Insert the rows of a read into one of ``DERIVED_TABLES`` inside the engine; durable when this returns.

        The read names its values in the order of ``columns``; its parameters are bound as in ``select``. Not
        atomic: readers must not look at the rows before something else says that they are complete.
        """

    def put_off_merges(self, wanted: bool) -> None:
        """Leave merging for later, or take it up again: what waits to be stored goes first. A wish; never raises."""

    def stored_versions(self, traces: Iterable[TraceKey]) -> dict[SpanKey, int]:
        """Return the newest arrival (receive stamp in ns) of every span stored for these traces."""

    def facts(self, traces: Iterable[TraceKey]) -> dict[TraceKey, list[SpanFacts]]:
        """Return the facts of every span of these traces, each span once, newest version."""

    def index_keys(self, traces: Iterable[TraceKey]) -> dict[TraceKey, IndexKeys]:
        """Return where these traces stand in the time-ordered tables now."""

    def close(self) -> None:
        """Release connections and, for the embedded engine, the data folder."""


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """The start times under which a trace and its spans are indexed now.

    More than one start time for the same thing means that a crash left a stale row behind. ``newest_version`` is
    the largest of all their rows, deleting ones included: only larger ones replace them.
    """

    trace_starts_ns: Sequence[int]
    span_starts_ns: Mapping[str, Sequence[int]]
    newest_version: int = 0


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant. Nothing is ever read or written across projects."""

    id: str
    name: str
    created_ns: int
    retention_days: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as listed: the secret itself is shown once, at its making, and never stored."""

    id: str
    project_id: str
    name: str
    prefix: str
    created_ns: int
    revoked_ns: int | None = None


class RecordsStore(Protocol):
    """Configuration in SQLite or Postgres."""

    @property
    def alerts(self) -> AlertRecords:
        """Everything about alerts."""

    def migrate(self) -> None:
        """Bring the schema to the newest revision."""

    def projects(self) -> list[Project]:
        """Return all projects, oldest first; ``default`` always exists."""

    def project(self, project_id: str) -> Project | None:
        """Return one project, or nothing."""

    def create_project(self, name: str, retention_days: int = 0) -> Project:
        """Create a project; its id is made from the name. Raises ``Conflict`` if it exists."""

    def keys(self, project_id: str) -> list[ApiKey]:
        """Return the keys of a project, revoked ones included."""

    def create_key(self, project_id: str, name: str) -> tuple[ApiKey, str]:
        """Create a key; return it with its secret, which cannot be shown again."""

    def revoke_key(self, project_id: str, key_id: str) -> None:
        """Revoke a key. Raises ``NotFound``."""

    def authenticate(self, secret: str) -> ApiKey | None:
        """Return the live key with this secret, or nothing. Constant time in the secret."""

    def setting(self, key: str) -> str | None:
        """Return a stored setting."""

    def put_setting(self, key: str, value: str) -> None:
        """Store a setting."""

    def first_setting(self, key: str, value: str) -> str:
        """Store a setting unless there is one; return the one that holds, the same for all who ask at once."""

    def prices(self, project_id: str | None = None) -> list[OwnPrice]:
        """Return the own prices of a project, or of all projects."""

    def create_price(self, price: OwnPrice) -> OwnPrice:
        """Add an own price (``id`` and ``created_ns`` are set here); return it. Raises ``BadRequest``, ``NotFound``."""

    def delete_price(self, project_id: str, price_id: str) -> OwnPrice:
        """Remove an own price and return it. Raises ``NotFound``."""

    def budgets(self, project_id: str | None = None) -> list[Budget]:
        """Return the budgets of a project, or of all projects, oldest first."""

    def budget(self, project_id: str, budget_id: str) -> Budget:
        """Return one budget. Raises ``NotFound``."""

    def create_budget(self, budget: Budget) -> Budget:
        """Add a budget (its id and times are set here); return it. Raises ``BadRequest``, ``NotFound``."""

    def update_budget(self, budget: Budget) -> Budget:
        """Replace the budget with the same id; return it. Raises ``NotFound``."""

    def delete_budget(self, project_id: str, budget_id: str) -> Budget:
        """Remove a budget with its crossings and return it. Raises ``NotFound``."""

    def record_crossings(self, crossings: Sequence[Crossing]) -> list[Crossing]:
        """Keep crossings and return those that were not known before: each threshold is crossed once a period."""

    def crossings(self, project_id: str, budget_id: str) -> list[Crossing]:
        """Return the newest crossings of a budget, newest first; none for a budget of another project."""

    def key_ids(self, project_id: str) -> dict[str, str]:
        """Return what stands on spans for each key of a project, by the key's id."""

    def slos(self, project_id: str | None = None) -> list[Slo]:
        """Return the service levels of a project, or of all projects, oldest first."""

    def slo(self, project_id: str, slo_id: str) -> Slo:
        """Return one service level. Raises ``NotFound``."""

    def create_slo(self, slo: Slo) -> Slo:
        """Add a service level (its id and times are set here); return it. Raises ``BadRequest``, ``NotFound``."""

    def update_slo(self, slo: Slo) -> Slo:
        """Replace the service level with the same id; return it. Raises ``NotFound``."""

    def delete_slo(self, project_id: str, slo_id: str) -> Slo:
        """Remove a service level and return it. Raises ``NotFound``."""

    def gpu_prices(self, project_id: str) -> list[GpuPrice]:
        """Return the GPU prices of a project, oldest first."""

    def create_gpu_price(self, price: GpuPrice) -> GpuPrice:
        """Add a GPU price (its id and time are set here); return it. Raises ``BadRequest``, ``NotFound``."""

    def delete_gpu_price(self, project_id: str, price_id: str) -> GpuPrice:
        """Remove a GPU price and return it. Raises ``NotFound``."""

    def leases(self) -> list[LeaseState]:
        """Return the lease and cursor of every background worker, by name."""

    def take_lease(
        self, name: str, holder: str, seen: LeaseState | None, position_ns: int, covered_ns: int
    ) -> LeaseState:
        """Take a lease that is free, the holder's own, or still as ``seen``; return how it stands then.

        The answer's ``holder`` tells whether it was taken; taking raises its fence. A lease that is new begins
        at ``position_ns`` and ``covered_ns``.
        """

    def next_fence(self, name: str, holder: str) -> int:
        """Raise the fence for the next call of the worker and return it. Raises ``LeaseLost``."""

    def renew_lease(self, name: str, holder: str) -> bool:
        """Show that the holder lives; return whether it still is the holder."""

    def move_cursor(self, name: str, fence: int, position_ns: int, covered_ns: int) -> None:
        """Note how far the worker is. Raises ``LeaseLost`` when ``fence`` is not the newest."""

    def release_lease(self, name: str, holder: str) -> None:
        """Let the next one take the lease at once."""

    def add_backfill(self, worker: str, project_id: str, from_ns: int, to_ns: int) -> Backfill:
        """Ask a worker for a range of start times (empty project: all). Raises ``BadRequest``."""

    def backfills(self, worker: str = "", states: Sequence[str] = ()) -> list[Backfill]:
        """Return the backfills of a worker, or of all, in some states, or in all, oldest first."""

    def backfill(self, backfill_id: str) -> Backfill:
        """Return one backfill. Raises ``NotFound``."""

    def move_backfill(self, made: Backfill, fence: int) -> None:
        """Keep how far a backfill is. Raises ``LeaseLost`` when ``fence`` is not its worker's newest."""

    def close(self) -> None:
        """Release connections."""
