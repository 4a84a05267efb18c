"""What the other rooms may ask of the stores, and what every backend must keep.

The columnar store holds telemetry (spans, logs, metric points, scores); the records store holds
what people configure (projects, keys, settings). Backends raise ``StoreUnavailable`` when the same
call may work later and ``StoreError`` when it never will.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.prices import OwnPrice

#: Tables that accept blocks; each name is a numbered file under ``migrations/columnar``.
TABLES = ("spans", "span_index", "traces", "logs", "metric_points", "scores")

#: Every key of a project begins so; other vendors' keys do not.
KEY_MARK = "sk-sh-"

TraceKey = tuple[str, str]
"""(project_id, trace_id)"""

SpanKey = tuple[str, str, str]
"""(project_id, trace_id, span_id)"""


class ColumnarStore(Protocol):
    """Telemetry in ClickHouse, embedded or served. All methods may be called from any thread."""

    def migrate(self) -> list[str]:
        """Apply missing migrations in order; return the names applied.

        Raises ``MigrationError`` when an applied file was changed since, or one fails.
        """

    def insert(self, table: str, rows: bytes, columns: Sequence[str] = ()) -> None:
        """Insert newline-separated JSON objects, or arrays of values for ``columns``; durable when this returns.

        An insert is atomic per partition, not across calls: callers must be able to repeat it.
        """

    def select(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a read as dicts by column name.

        ``sql`` is written by us; every value from outside goes through ``{name:Type}``
        placeholders and ``parameters``. Reads are bounded in time and memory by settings.
        """

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

    More than one start time for the same thing means that a crash left a stale row behind.
    """

    trace_starts_ns: Sequence[int]
    span_starts_ns: Mapping[str, Sequence[int]]


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

    def prices(self, project_id: str | None = None) -> list[OwnPrice]:
        """Return the own prices of a project, or of all projects."""

    def create_price(self, price: OwnPrice) -> OwnPrice:
        """Add an own price (``id`` and ``created_ns`` are set here); return it. Raises ``BadRequest``, ``NotFound``."""

    def delete_price(self, project_id: str, price_id: str) -> OwnPrice:
        """Remove an own price and return it. Raises ``NotFound``."""

    def close(self) -> None:
        """Release connections."""
