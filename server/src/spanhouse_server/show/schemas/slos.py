"""Service levels, their error budgets and burn rates."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply

Indicator = Literal["availability", "latency"]
Unit = Literal["requests", "traces"]
LatencyOf = Literal["duration", "ttft"]


class SloInput(Body):
    """A service level as a whole; what is left out has its default, also when an existing one is replaced."""

    name: str = Field(min_length=1, max_length=200)
    objective: Decimal = Field(ge=Decimal("0.5"), lt=1, description="Share of good events, e.g. 0.99.")
    indicator: Indicator = "availability"
    unit: Unit = Field(default="requests", description="What is counted: calls of models, or traces.")
    latency_of: LatencyOf = "duration"
    threshold_ms: float = Field(default=0, ge=0, description="Of latency levels: what takes longer is bad.")
    q: str = Field(default="", max_length=3000, description="Filter for the events; empty: all.")
    window_days: int = Field(default=30, ge=1, le=90)
    min_events: int = Field(default=30, ge=1, le=1_000_000, description="Fewer in the long window: no judgement.")
    min_bad_events: int = Field(default=3, ge=1, le=1_000_000, description="Fewer bad ones: no judgement.")
    enabled: bool = True
    note: str = Field(default="", max_length=2000)


class SloItem(Reply):
    """A service level."""

    id: str
    name: str
    objective: str
    indicator: Indicator
    unit: Unit
    latency_of: LatencyOf
    threshold_ms: float
    q: str
    window_days: int
    min_events: int
    min_bad_events: int
    enabled: bool
    note: str
    created_at: str
    updated_at: str


class BurnItem(Reply):
    """A pair of windows. Rates are how many times faster than allowed errors come; null without events."""

    window: str = Field(description="Long and short one, e.g. 1h/5m.")
    burns_from: float = Field(description="Both rates at or above this: the budget burns too fast.")
    urgency: Literal["page", "ticket"]
    long_rate: float | None
    short_rate: float | None
    long_events: float
    long_bad_events: float
    short_events: float
    short_bad_events: float
    enough_events: bool
    burning: bool


class ErrorBudgetItem(Reply):
    """What is left over the level's window."""

    events: float
    bad_events: float
    allowed_bad_events: float
    left_share: float = Field(description="1: untouched, 0: used up, below: overdrawn.")
    attained: float | None = Field(description="Share of good events; null without any.")
    points: list[tuple[int, float | None]] = Field(description="[unix seconds, share of good events] by day.")


class SloState(SloItem):
    """A service level with its error budget and how fast it burns."""

    error_budget: ErrorBudgetItem
    burn: list[BurnItem]


class SloList(Reply):
    """The service levels of the project, oldest first."""

    items: list[SloState]
