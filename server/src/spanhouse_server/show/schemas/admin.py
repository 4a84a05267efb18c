"""Projects, keys, login and the state of ingest."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply
from spanhouse_server.show.schemas.workers import WorkerItem


class ProjectItem(Reply):
    """A tenant."""

    id: str
    name: str
    created_at: str
    retention_days: int = Field(description="0: kept for ever, or as long as the server's setting says.")


class ProjectList(Reply):
    """The projects that the caller may open."""

    items: list[ProjectItem]


class ProjectInput(Body):
    """A project to create; its id is made from the name."""

    name: str = Field(min_length=1, max_length=100)
    retention_days: int = Field(default=0, ge=0, le=36_500)


class KeyItem(Reply):
    """A key as listed: never its secret."""

    id: str
    project_id: str
    name: str
    prefix: str
    created_at: str
    revoked_at: str | None


class KeyList(Reply):
    """The keys of a project."""

    items: list[KeyItem]


class KeyInput(Body):
    """A key to create."""

    name: str = Field(min_length=1, max_length=100)


class KeyCreated(KeyItem):
    """A new key, with the secret that is shown this once."""

    secret: str


class LoginInput(Body):
    """The key to log in with."""

    key: str = Field(min_length=1, max_length=500)


class Me(Reply):
    """Who the caller is."""

    authenticated: bool
    admin: bool
    project_id: str | None = Field(description="The project of the caller's key; null for an admin.")
    keys_required: bool


class SpoolState(Reply):
    """What is accepted and waits to be stored."""

    bytes: int
    requests: int
    oldest_age_s: float
    set_aside: int


class IngestReply(Reply):
    """Counters since the store began."""

    received_spans: int
    stored_spans: int
    duplicate_spans: int
    received_logs: int
    received_metric_points: int
    rejected: dict[str, int]
    spool: SpoolState
    lag_s: float = Field(description="Age of the oldest accepted request that is not yet queryable.")
    workers: list[WorkerItem]
