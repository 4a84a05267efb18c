"""Spend, its changes, what-if, waste, and the price of own GPUs. Money is decimal text in US dollars."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from spanhouse_server.show.schemas.common import Body, Reply


class Unpriced(Reply):
    """What counts in tokens but not, or not wholly, in money."""

    requests: int = Field(description="With tokens but without any price.")
    tokens: int = Field(description="Their tokens.")
    share_of_tokens: float
    partial_requests: int = Field(description="Some of whose tokens have no price; the rest is in the sums.")
    reported_requests: int = Field(description="Whose cost is the sender's own figure.")
    requests_without_usage: int = Field(description="That went well and told no tokens.")


class Spent(Reply):
    """Sums over the spans that count."""

    cost_usd: str
    input_usd: str = Field(description="Of input tokens and fees; costs reported without their parts are in neither.")
    output_usd: str
    requests: int = Field(description="Calls of models.")
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    unpriced: Unpriced


class SpendTotal(Spent):
    """The sums over everything asked for."""

    points: list[tuple[int, str]] = Field(description="[bucket start in unix seconds, spend]; empty without interval.")


class SpendGroup(SpendTotal):
    """The sums of one group. A span with several tags is in the group of each."""

    group: dict[str, str]
    share: float = Field(description="Of the total.")


class SpendReply(Reply):
    """Spend in all and by group, the dearest first."""

    from_time: str
    to_time: str
    interval_s: int
    total: SpendTotal
    groups: list[SpendGroup]
    next_cursor: str | None


class CostPeriod(Spent):
    """The sums of one of the two periods compared."""

    from_time: str
    to_time: str


class CostFactor(Reply):
    """What one factor added to the change."""

    factor: Literal["volume", "model_mix", "tokens_per_request", "cache_hit_rate", "price"]
    contribution_usd: str
    share_of_change: float


class TopFactor(Reply):
    """The factor that did most in the direction of the change, and the model in which it did most."""

    factor: str
    contribution_usd: str
    provider: str
    model: str
    model_contribution_usd: str
    sentence: str


class ModelTraffic(Reply):
    """The priced calls of a model in one period."""

    requests: int
    cost_usd: str
    input_tokens_per_request: float | None
    output_tokens_per_request: float | None
    cache_hit_rate: float | None
    usd_per_mtok: float | None


class ModelChange(Reply):
    """What one model added to the change, by factor."""

    provider: str
    model: str
    baseline: ModelTraffic
    current: ModelTraffic
    change_usd: str
    factors: dict[str, str]


class CostChangeReply(Reply):
    """Why two periods cost different amounts. The factors sum to the change exactly, and so do the models."""

    baseline: CostPeriod
    current: CostPeriod
    change_usd: str
    factors: list[CostFactor] = Field(description="Largest first.")
    top: TopFactor | None = Field(description="null where nothing changed.")
    models: list[ModelChange] = Field(description="Largest change first.")


class ActualCost(Reply):
    """What the traffic did cost."""

    requests: int
    cost_usd: str
    unpriced_requests: int
    requests_without_usage: int


class Comparison(Reply):
    """Both costs of the calls that have a price either way."""

    actual_usd: str
    what_if_usd: str
    change_usd: str
    change_share: float


class WhatIf(Reply):
    """What the traffic would have cost with one model."""

    asked: str
    provider: str
    model: str
    cost_usd: str | None = Field(description="null where the model has no price.")
    usd_per_mtok: float | None
    requests: int = Field(description="That told their tokens.")
    priced_requests: int
    partial_requests: int
    unpriceable_requests: int
    unpriceable_share_of_tokens: float
    reasons: dict[str, int] = Field(description="Why calls have no price or only part of one, with their number.")
    comparable: Comparison


class WhatIfReply(Reply):
    """The same traffic at other prices. Tokens are taken as they are."""

    from_time: str
    to_time: str
    actual: ActualCost
    models: list[WhatIf]


class WasteExample(Reply):
    """A call that cost much for nothing."""

    trace_id: str
    span_id: str
    model: str
    cost_usd: float


class WasteKind(Reply):
    """One way of wasting money; a call is in one of them at most."""

    kind: Literal["errors", "retries", "cut_off"]
    requests: int
    cost_usd: str
    share_of_cost: float
    unpriced_requests: int
    examples: list[WasteExample]


class Resends(Reply):
    """Calls that the proxy sent more than once, and how many times more; the attempts left no bill."""

    requests: int
    resends: int
    cost_usd: str = Field(description="Of the attempts that were answered.")


class WasteReply(Reply):
    """What was spent in vain."""

    from_time: str
    to_time: str
    cost_usd: str = Field(description="All spend under the filter.")
    wasted_usd: str
    share_of_cost: float
    kinds: list[WasteKind]
    resends: Resends


class GpuPriceInput(Body):
    """GPUs that serve models of one's own. Prices are never changed: end one and add the next."""

    name: str = Field(min_length=1, max_length=200)
    q: str = Field(min_length=1, max_length=4000, description="The calls they serve, e.g. `model:llama-3*`.")
    gpu_count: Decimal = Field(gt=0, le=1_000_000)
    usd_per_gpu_hour: Decimal = Field(gt=0, le=10_000)
    gpu_type: str = Field(default="", max_length=100, description="E.g. H200; for people.")
    effective_from: str = Field(min_length=1, max_length=64, description="Since when they are paid for.")
    effective_until: str = Field(default="", max_length=64, description="RFC 3339, exclusive; empty: still.")
    note: str = Field(default="", max_length=2000)


class GpuPriceItem(Reply):
    """A GPU price of the project."""

    id: str
    name: str
    q: str
    gpu_count: str
    usd_per_gpu_hour: str
    gpu_type: str
    effective_from: str
    effective_until: str | None
    note: str
    created_at: str


class GpuPriceList(Reply):
    """The GPU prices of the project, oldest first."""

    items: list[GpuPriceItem]


class MeasuredGpus(Reply):
    """GPUs that metrics were heard of (hw.gpu.utilization, DCGM_FI_DEV_GPU_UTIL …) in the range, at the same price."""

    gpus: int
    gpu_hours: float
    idle_gpu_hours: float = Field(description="Below 5 % utilisation for five minutes on end.")
    utilization: float = Field(description="Mean over all GPU-hours, 0 to 1.")
    cost_usd: str
    idle_usd: str
    usd_per_mtok: str | None


class SelfHosted(Reply):
    """What some GPUs cost in the range, and per million of the tokens that they served."""

    id: str
    name: str
    q: str
    gpu_type: str
    gpu_count: str
    usd_per_gpu_hour: str
    gpu_hours: float
    cost_usd: str
    requests: int
    input_tokens: int
    output_tokens: int
    tokens_per_gpu_hour: float | None
    usd_per_mtok: str | None = Field(description="null where they served nothing.")
    measured: MeasuredGpus | None = Field(description="null where no metric of such a GPU is stored.")
    models: list[WhatIf] = Field(description="The same tokens at the APIs asked for.")


class SelfHostedReply(Reply):
    """Own GPUs beside APIs."""

    from_time: str
    to_time: str
    items: list[SelfHosted]
