"""Alert rules and their back-tests."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spanhouse_server.show.schemas.alerts import MutedBy, SeverityName
from spanhouse_server.show.schemas.common import Body, Reply

NoDataName = Literal["ok", "alert", "keep", "ignore"]


class RuleInput(Body):
    """A rule to keep or to try. Times are seconds."""

    name: str = Field(min_length=1, max_length=200)
    type: str = Field(max_length=40, description="A kind of rule, see GET /api/v1/alerts/types.")
    enabled: bool = True
    metric: str = Field(
        default="", max_length=200, description="As in GET /api/v1/metrics, or a ratio such as request_errors/requests."
    )
    q: str = Field(default="", max_length=4000, description="Filter: what is measured.")
    group_by: list[str] = Field(default=[], max_length=3, description="Fields; each group has alerts of its own.")
    window_s: int = Field(default=300, ge=1, le=28 * 86_400, description="How far back each evaluation measures.")
    every_s: int = Field(default=60, ge=10, le=86_400, description="Pause between evaluations.")
    for_s: int = Field(default=0, ge=0, le=7 * 86_400, description="How long it is in breach before it fires.")
    keep_firing_s: int = Field(default=0, ge=0, le=7 * 86_400, description="How long it is well before it ends.")
    severity: SeverityName = "critical"
    params: dict[str, Any] = Field(default={}, description="What the kind of rule needs, e.g. {above: 10}.")
    no_data: NoDataName = Field(
        default="ok", description="What missing data means: well, a breach, as before, or no evaluation."
    )
    channels: list[str] = Field(default=[], max_length=20, description="Names of the channels that are told.")
    labels: dict[str, str] = Field(default={}, description="Added to the alerts, e.g. {team: search}.")
    note: str = Field(default="", max_length=2000)
    managed_by: Literal["", "file"] = Field(default="", description="file: made by `spanhouse alerts apply`.")


class RuleAlerts(Reply):
    """How many alerts of a rule are active."""

    pending: int
    firing: int


class RuleItem(Reply):
    """A rule and how it stands."""

    id: str
    name: str
    type: str
    enabled: bool
    metric: str
    q: str
    group_by: list[str]
    window_s: int
    every_s: int
    for_s: int
    keep_firing_s: int
    severity: SeverityName
    params: dict[str, Any]
    no_data: NoDataName
    channels: list[str]
    labels: dict[str, str]
    note: str
    managed_by: str
    created_at: str
    updated_at: str
    state: Literal["new", "off", "error", "firing", "pending", "unknown", "ok"] = Field(
        description="unknown: nothing could be measured, the reason says why; error: it cannot be evaluated."
    )
    reason: str = Field(description="Why nothing could be judged, at least in some groups.")
    error: str
    error_since: str | None
    evaluated_at: str | None = Field(description="Up to when it was judged.")
    observed: dict[str, int] = Field(description="Groups by verdict at the last evaluation.")
    took_ms: float
    alerts: RuleAlerts


class RuleList(Reply):
    """The rules of the project by name."""

    items: list[RuleItem]


class BackTestInput(Body):
    """A rule to run over the past."""

    rule: RuleInput
    from_: str = Field(default="-7d", alias="from", max_length=64, description="RFC 3339 or relative such as -7d.")
    to: str = Field(default="now", max_length=64)


class BackTestAlert(Reply):
    """An alert that would have fired; resolved_at is null for one that still would."""

    fingerprint: str
    labels: dict[str, str]
    severity: SeverityName
    began_at: str
    fired_at: str
    resolved_at: str | None
    value: float | None
    reason: str
    told_at: str | None = Field(description="When the first channel would have heard of it; null: never.")
    muted: MutedBy | None = Field(description="What held it back, at least for a while and from one channel.")


class BackTestLine(Reply):
    """The values of a group beside what was normal for them."""

    labels: dict[str, str]
    points: list[tuple[int, float | None, float | None, float | None, float | None]] = Field(
        description="[unix s, value, expected, low, high]; null where nothing can be said."
    )


class BackTestReply(Reply):
    """What a rule would have done: what fired, and what was sent of it with the silences and inhibitions of then."""

    from_time: str
    to_time: str
    every_s: int
    evaluations: int
    observed: dict[str, int] = Field(description="Verdicts by state, over all groups and evaluations.")
    alerts: list[BackTestAlert]
    left_out: int = Field(description="Alerts beyond those listed.")
    pending: int = Field(description="How often something was in breach, but not long enough to fire.")
    notifications: dict[str, int] = Field(description="Messages by channel.")
    notified_at: list[str] = Field(description="When messages would have gone out, the first thousand.")
    untold: int = Field(description="Alerts that fired and were held back until they ended, or still are.")
    lines: list[BackTestLine] = Field(
        description="For kinds that know what is normal (anomaly): up to ten groups, those in breach most often first."
    )


class TypeItem(Reply):
    """A kind of rule or a type of channel."""

    name: str
    help: str
    secrets: list[str] = Field(description="For channels: what is stored encrypted and never shown.")


class TypesReply(Reply):
    """What rules and channels there can be."""

    rules: list[TypeItem]
    channels: list[TypeItem]
