"""Background workers and what they are asked to derive again."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply


class WorkerItem(Reply):
    """One worker or tick as this server sees it; counts are those of this server since it started."""

    name: str
    kind: str = Field(description="worker: over windows of stored spans; tick: by the clock.")
    state: str = Field(description="starting, running, standby (another server does the work) or failing.")
    every_s: float
    lag_s: float | None = Field(
        description="What settled longer ago than this is derived; of a tick: since it last ran. null: never yet."
    )
    catching_up_before: str | None = Field(description="Spans that start before this are still to be derived once.")
    runs: int
    rows: int
    rows_per_s: float = Field(description="Over the last five minutes.")
    busy_s: float
    errors: int
    last_error: str
    last_error_at: str | None
    last_run_at: str | None


class BackfillInput(Body):
    """A range of start times to derive again."""

    worker: str = Field(min_length=1, max_length=100, examples=["rollup"])
    since: str = Field(min_length=1, max_length=100, description="RFC 3339, unix time, or relative such as -7d.")
    until: str = Field(default="", max_length=100, description="Empty: up to now.")
    project: str = Field(default="", max_length=100, description="Empty: all projects.")


class BackfillItem(Reply):
    """A backfill and how far it is; it goes from its end to its beginning."""

    id: str
    worker: str
    project: str
    since: str
    until: str
    done_from: str = Field(description="From here to its end it is done.")
    state: str = Field(description="waiting, running, done or failed.")
    windows: int
    rows: int
    error: str
    created_at: str
    ended_at: str | None


class BackfillList(Reply):
    """The backfills that are remembered, newest first."""

    items: list[BackfillItem]
