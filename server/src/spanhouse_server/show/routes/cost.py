"""Money: spend by anything, why it changed, what it would be elsewhere, what was wasted, own GPUs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import StringConstraints

from spanhouse_server.clock import now_ns, rfc3339
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.budgets import GpuPrice
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.price import own_prices
from spanhouse_server.query.cost.changes import explain_change
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.cost.self_hosted import checked, self_hosted
from spanhouse_server.query.cost.spend import spend
from spanhouse_server.query.cost.waste import waste
from spanhouse_server.query.cost.whatif import MAX_TARGETS, what_if
from spanhouse_server.query.times import parse_time, parse_window
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context, ShowContext
from spanhouse_server.show.params import Cursor, FilterText, Limit, TimeRange
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.cost import (
    CostChangeReply,
    GpuPriceInput,
    GpuPriceItem,
    GpuPriceList,
    SelfHostedReply,
    SpendReply,
    WasteReply,
    WhatIfReply,
)

router = APIRouter(tags=["cost"])

Category = Annotated[str, Query(max_length=40, description="Only calls of this category; empty for all.")]
_Model = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_MODELS = "A model's name, or provider/name, e.g. `gpt-4o-mini` or `anthropic/claude-haiku-4-5`; up to ten."


@router.get("/cost", operation_id="getCost", response_model=SpendReply)
def get_cost(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    q: FilterText = "",
    group_by: Annotated[str, Query(max_length=500, description="Up to three fields, with commas between.")] = "",
    interval: Annotated[int, Query(ge=0, le=366 * 86_400, description="Bucket width in s; 0 for none.")] = 0,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> JsonReply:
    """Give what was spent by any field (model, user, session, trace, tag, metadata.<key> …), exactly.

    The last 30 days by default. What has no price is told beside the money, never as zero.
    """
    query = CostQuery(window, q)
    return JsonReply(spend(context.store, project_id, query, group_by, interval, limit, cursor))


@router.get("/cost/changes", operation_id="getCostChanges", response_model=CostChangeReply)
def get_cost_changes(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    q: FilterText = "",
    baseline_from: Annotated[str, Query(max_length=64, description="Start of the period compared with.")] = "",
    baseline_to: Annotated[str, Query(max_length=64, description="Its end, exclusive.")] = "",
) -> JsonReply:
    """Give why the cost of two periods differs: volume, model mix, tokens per request, cache hit rate, price.

    The parts sum to the change to the last decimal. Without a baseline it is the period of the same length before.
    """
    baseline = parse_window(baseline_from, baseline_to, now_ns())
    own = own_prices(context.prices.current(), project_id)
    return JsonReply(explain_change(context.store, project_id, CostQuery(window, q), baseline, own))


@router.get("/cost/what-if", operation_id="getCostWhatIf", response_model=WhatIfReply)
def get_cost_what_if(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    model: Annotated[list[_Model], Query(min_length=1, max_length=MAX_TARGETS, description=_MODELS)],
    q: FilterText = "",
    category: Category = "llm",
) -> JsonReply:
    """Give what the same calls would have cost with other models, by the tokens they used."""
    query = CostQuery(window, q)
    return JsonReply(what_if(context.store, project_id, query, model, _own(context, project_id), category))


@router.get("/cost/waste", operation_id="getCostWaste", response_model=WasteReply)
def get_cost_waste(context: Context, project_id: ProjectId, window: TimeRange, q: FilterText = "") -> JsonReply:
    """Give what was spent on calls that failed, on answers asked for again, and on answers that were cut off."""
    return JsonReply(waste(context.store, project_id, CostQuery(window, q)))


@router.get("/cost/self-hosted", operation_id="getSelfHostedCost", response_model=SelfHostedReply)
def get_self_hosted_cost(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    q: FilterText = "",
    model: Annotated[list[_Model] | None, Query(max_length=MAX_TARGETS, description=_MODELS)] = None,
) -> JsonReply:
    """Give what a million tokens of own models cost (GPU-hours x price), beside what APIs would have charged."""
    prices = context.records.gpu_prices(project_id)
    own = _own(context, project_id)
    return JsonReply(self_hosted(context.store, project_id, CostQuery(window, q), prices, model or (), own))


@router.get("/cost/gpu-prices", operation_id="listGpuPrices", response_model=GpuPriceList)
def get_gpu_prices(context: Context, project_id: ProjectId) -> JsonReply:
    """List what the project's own GPUs cost."""
    return JsonReply({"items": [_item(price) for price in context.records.gpu_prices(project_id)]})


@router.post(
    "/cost/gpu-prices",
    operation_id="createGpuPrice",
    response_model=GpuPriceItem,
    status_code=201,
    dependencies=[Admin],
)
def post_gpu_price(context: Context, project_id: ProjectId, body: GpuPriceInput) -> JsonReply:
    """Add GPUs with their price per hour and the calls they serve."""
    price = GpuPrice(
        id="",
        project_id=project_id,
        name=body.name,
        q=body.q,
        gpu_count=_plain(body.gpu_count),
        usd_per_gpu_hour=_plain(body.usd_per_gpu_hour),
        gpu_type=body.gpu_type,
        from_ns=parse_time(body.effective_from, now_ns(), "effective_from"),
        until_ns=parse_time(body.effective_until, now_ns(), "effective_until") if body.effective_until else None,
        note=body.note,
    )
    return JsonReply(_item(context.records.create_gpu_price(checked(price))), 201)


@router.delete(
    "/cost/gpu-prices/{price_id}", operation_id="deleteGpuPrice", response_model=GpuPriceItem, dependencies=[Admin]
)
def delete_gpu_price(
    context: Context, project_id: ProjectId, price_id: Annotated[str, Path(max_length=100)]
) -> JsonReply:
    """Delete a GPU price and return it."""
    return JsonReply(_item(context.records.delete_gpu_price(project_id, price_id)))


def _own(context: ShowContext, project_id: str) -> tuple[OwnPrice, ...]:
    return context.prices.current().prices.get(project_id, ())


def _plain(value: Decimal) -> Decimal:
    """Return a number without an exponent, which would have decimals that nobody wrote."""
    if not value.is_finite():
        raise BadRequest("a number that is not finite")
    return Decimal(f"{value:f}")


def _item(price: GpuPrice) -> dict[str, Any]:
    return {
        "id": price.id,
        "name": price.name,
        "q": price.q,
        "gpu_count": f"{price.gpu_count:f}",
        "usd_per_gpu_hour": f"{price.usd_per_gpu_hour:f}",
        "gpu_type": price.gpu_type,
        "effective_from": rfc3339(price.from_ns),
        "effective_until": None if price.until_ns is None else rfc3339(price.until_ns),
        "note": price.note,
        "created_at": rfc3339(price.created_ns),
    }
