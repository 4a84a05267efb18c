"""Channels of notifications."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply


class ChannelInput(Body):
    """A channel to make or to change. Secrets are stored encrypted and never shown again."""

    name: str = Field(min_length=1, max_length=200)
    type: str = Field(max_length=40, description="webhook, slack, email, alertmanager or pagerduty.")
    options: dict[str, Any] = Field(default={})
    secrets: dict[str, str] = Field(
        default={}, description="Those left out stay as they are; an empty text removes one."
    )
    group_by: list[str] = Field(
        default=["alertname"], max_length=10, description="Alerts that share these labels go in one message."
    )
    group_wait_s: int = Field(default=30, ge=0, le=3600, description="The first alert of a group waits for others.")
    group_interval_s: int = Field(default=300, ge=1, le=86_400, description="Pause between messages about changes.")
    repeat_interval_s: int = Field(default=14_400, ge=60, le=7 * 86_400, description="When it is said again.")
    send_resolved: bool = True
    enabled: bool = True
    managed_by: Literal["", "file"] = Field(default="", description="file: made by `spanhouse alerts apply`.")


class Deliveries(Reply):
    """What became of a channel's messages."""

    waiting: int
    delivered: int
    failed: int
    last_delivered_at: str | None
    last_error: str
    last_error_at: str | None


class ChannelItem(Reply):
    """A channel. Of each secret only whether it is set is shown."""

    id: str
    name: str
    type: str
    options: dict[str, Any]
    secrets: dict[str, Literal["set"]]
    target: str = Field(description="Where it sends to, without path and credentials.")
    group_by: list[str]
    group_wait_s: int
    group_interval_s: int
    repeat_interval_s: int
    send_resolved: bool
    enabled: bool
    managed_by: str
    created_at: str
    updated_at: str
    deliveries: Deliveries


class ChannelList(Reply):
    """The channels of the project by name."""

    items: list[ChannelItem]


class ChannelTest(Reply):
    """How a test message went."""

    delivered: bool
    error: str
    took_ms: float


class NotificationItem(Reply):
    """A message and what became of it."""

    id: str = Field(description="The same over all attempts; receivers tell repetitions by it.")
    state: Literal["waiting", "delivered", "failed"]
    status: str
    alerts: int
    repeat: bool
    created_at: str
    attempts: int
    next_try_at: str | None
    ended_at: str | None
    error: str


class NotificationList(Reply):
    """A channel's newest messages."""

    items: list[NotificationItem]
