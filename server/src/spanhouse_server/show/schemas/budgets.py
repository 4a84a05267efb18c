"""Budgets: what may be spent, what was, and where it leads. Money is decimal text in US dollars."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply

Period = Literal["day", "week", "month", "rolling"]


class BudgetInput(Body):
    """A budget as a whole; what is left out has its default, also when an existing one is replaced."""

    name: str = Field(min_length=1, max_length=200)
    limit_usd: Decimal = Field(gt=0, le=10**12)
    period: Period = "month"
    rolling_hours: int = Field(default=0, ge=0, le=8784, description="Length of a rolling period.")
    time_zone: str = Field(default="UTC", max_length=100, description="Where days begin, e.g. Europe/Berlin.")
    q: str = Field(default="", max_length=4000, description="Filter for the spans that count; empty: all.")
    user: str = Field(default="", max_length=2000, description="Only this user's; becomes part of q.")
    key: str = Field(default="", max_length=100, description="Only what came by this key (its id); part of q.")
    tag: str = Field(default="", max_length=2000, description="Only what has this tag; becomes part of q.")
    per: str = Field(
        default="",
        max_length=200,
        description="A field such as user, tag or metadata.key_id: the limit then holds for each value by itself.",
    )
    thresholds: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=[50, 80, 100], max_length=10, description="Per cent of the limit at which to alert."
    )
    enforce: bool = Field(default=False, description="The proxy refuses calls once the limit is reached.")
    enabled: bool = True
    note: str = Field(default="", max_length=2000)


class BudgetPeriod(Reply):
    """The period that runs now; of a rolling budget the hours just past."""

    key: str
    start_time: str
    end_time: str


class SpendForecast(Reply):
    """Spend of the whole period as it will probably be: estimates, in USD."""

    total_usd: float
    low_usd: float
    high_usd: float
    coverage: float = Field(description="In how many of all cases the end lies between low and high.")
    method: Literal["seasonal", "linear"] = Field(description="By the hours of past weeks, or by the mean rate.")
    history_hours: int


class BudgetStateItem(Reply):
    """How a budget stands, or one value of its ``per``."""

    value: str
    used_usd: str
    left_usd: str = Field(description="Below 0 when overrun.")
    used_share: float
    reached: list[int] = Field(description="Thresholds reached, in per cent.")
    used_up: bool
    unpriced_calls: int = Field(description="That counted in tokens but have no price: no budget sees them.")
    unpriced_tokens: int
    forecast: SpendForecast | None = Field(description="null for rolling periods and too little history.")
    projected_overrun: bool


class CrossingItem(Reply):
    """The one time in a period that a threshold was reached."""

    value: str
    period_key: str
    threshold: int
    crossed_at: str
    used_usd: str


class BudgetItem(Reply):
    """A budget with its state now; of one per value, the values that used most."""

    id: str
    name: str
    limit_usd: str
    period: Period
    rolling_hours: int
    time_zone: str
    q: str
    per: str
    thresholds: list[int]
    enforce: bool
    enabled: bool
    note: str
    created_at: str
    updated_at: str
    current_period: BudgetPeriod
    states: list[BudgetStateItem]


class BudgetDetail(BudgetItem):
    """A budget with its state, forecasts, and the thresholds that were reached, newest first."""

    crossings: list[CrossingItem]


class BudgetList(Reply):
    """The budgets of the project, oldest first."""

    items: list[BudgetItem]


class SharedField(Reply):
    """The field whose values have the limit each by itself."""

    field: str
    key: str = Field(description="Of metadata: which.")


class ClosedShare(Reply):
    """A value of the field at the limit; empty for a budget of all together."""

    value: str
    used_usd: str


class ClosedBudget(Reply):
    """An enforced budget that is used up: calls that its condition fits are to be refused until it begins anew."""

    id: str
    name: str
    limit_usd: str
    resets_at: str | None = Field(description="null for a rolling budget: spend falls out of it as it ages.")
    condition: dict[str, Any] | None = Field(
        description="Which calls it is about, null: all. {all: […]}, {any: […]}, {not: …}, or {field, key, test, values}"
        " where test is `is`, `contains` (any case) or `like` (lists of texts in this order, the first at the start, the"
        " last at the end; two empty ones: any but the empty value). Fields: user, tag, session, environment, prompt,"
        " prompt_version, metadata (with a key; key_id is the caller's). A call without tags has none; `is` the empty"
        " text fits it."
    )
    per: SharedField | None
    closed: list[ClosedShare]


class BudgetVerdicts(Reply):
    """What a proxy needs to enforce budgets of which it keeps no account itself."""

    read_at: str
    refresh_s: float = Field(description="Asking more often brings nothing new.")
    truncated: bool = Field(description="More values are at their limit than are listed; the dearest are.")
    items: list[ClosedBudget]
