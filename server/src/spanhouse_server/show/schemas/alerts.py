"""Alerts, silences and inhibitions; rules and channels have modules of their own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply

SeverityName = Literal["warning", "critical"]


class MutedBy(Reply):
    """Why nobody is told of an alert."""

    by: Literal["silence", "inhibition"]
    id: str = Field(description="The silence, or the alert that inhibits this one.")


class AlertRule(Reply):
    """The rule that an alert came from; it may be gone."""

    id: str
    name: str
    type: str


class AlertItem(Reply):
    """One time that a rule found something in breach."""

    id: str
    fingerprint: str = Field(description="The same each time these labels fire for this rule.")
    status: Literal["pending", "firing", "resolved"]
    severity: SeverityName = Field(description="The highest so far.")
    rule: AlertRule
    metric: str
    labels: dict[str, str]
    value: float | None = Field(description="As measured last.")
    reason: str
    began_at: str
    fired_at: str | None
    resolved_at: str | None
    muted: MutedBy | None
    url: str


class AlertList(Reply):
    """A page of alerts, those that began last first."""

    items: list[AlertItem]
    next_cursor: str | None


class AlertStep(Reply):
    """A step in the life of an alert."""

    step: Literal["pending", "firing", "escalated", "resolved", "cleared"]
    at: str
    value: float | None
    reason: str


class AlertDetail(AlertItem):
    """An alert with its evidence and its history."""

    evidence: dict[str, Any] = Field(
        description="As of the last step that was told: points, threshold or baseline, series (the metric's line), "
        "traces (up to three examples), reason."
    )
    history: list[AlertStep]


class MatcherBody(Body):
    """A condition on one label."""

    label: str = Field(min_length=1, max_length=100)
    operator: Literal["=", "!=", "=~", "!~"] = Field(
        default="=", description="=~ and !~ take a pattern: * stands for any text, ? for one character."
    )
    value: str = Field(max_length=500)


class SilenceInput(Body):
    """A silence to make: alerts that all matchers fit are told nobody while it lasts."""

    matchers: list[MatcherBody] = Field(min_length=1, max_length=20)
    starts_at: str = Field(default="", max_length=64, description="RFC 3339 or relative; empty: now.")
    ends_at: str = Field(max_length=64, description="RFC 3339, or relative such as +2h.")
    note: str = Field(default="", max_length=2000)
    created_by: str = Field(default="", max_length=200)


class MatcherItem(Reply):
    """A condition on one label."""

    label: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str


class SilenceItem(Reply):
    """A silence."""

    id: str
    matchers: list[MatcherItem]
    starts_at: str
    ends_at: str
    state: Literal["active", "waiting", "ended"]
    note: str
    created_by: str
    created_at: str


class SilenceList(Reply):
    """Silences, the newest first."""

    items: list[SilenceItem]


class InhibitionBody(Body):
    """Firing alerts that source fits hold back those that target fits, where the equal labels agree."""

    source: list[MatcherBody] = Field(min_length=1, max_length=20)
    target: list[MatcherBody] = Field(min_length=1, max_length=20)
    equal: list[str] = Field(
        default=["*"],
        max_length=20,
        description="Labels; * stands for all but alertname, severity and type, and for the filters of the rules.",
    )


class InhibitionsInput(Body):
    """All inhibitions of the project."""

    items: list[InhibitionBody] = Field(max_length=50)
    version: str | None = Field(
        default=None, max_length=16, description="The version this list was made from; another one in force is a 409."
    )


class InhibitionItem(Reply):
    """An inhibition in force."""

    source: list[MatcherItem]
    target: list[MatcherItem]
    equal: list[str]


class InhibitionList(Reply):
    """The inhibitions in force; the default one where the project set none."""

    items: list[InhibitionItem]
    version: str
