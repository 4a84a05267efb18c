"""A project's own prices."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from spanhouse_server.clock import now_ns, rfc3339
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.normalise.names import fold_provider
from spanhouse_server.price import list_version
from spanhouse_server.query.times import parse_time
from spanhouse_server.show.auth import Admin, ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.prices import PriceInput, PriceItem, PriceList

router = APIRouter(tags=["prices"])


@router.get("/prices", operation_id="listPrices", response_model=PriceList)
def get_prices(context: Context, project_id: ProjectId) -> JsonReply:
    """List the project's own prices; they go before the public price list."""
    items = [_item(price) for price in context.records.prices(project_id)]
    return JsonReply({"items": items, "list_version": list_version()})


@router.post("/prices", operation_id="createPrice", response_model=PriceItem, status_code=201, dependencies=[Admin])
def post_price(context: Context, project_id: ProjectId, body: PriceInput) -> JsonReply:
    """Add an own price. It holds for spans that come from now on; `POST /reprice` brings stored ones in line."""
    rates = {name: value for name, value in body.rates if value is not None}
    made = context.records.create_price(
        OwnPrice(
            id="",
            project_id=project_id,
            model=body.model,
            rates=rates,
            provider=fold_provider(body.provider) or body.provider,
            service_tier=body.service_tier,
            above_input_tokens=body.above_input_tokens,
            from_ns=parse_time(body.effective_from, now_ns(), "effective_from") if body.effective_from else 0,
            until_ns=parse_time(body.effective_until, now_ns(), "effective_until") if body.effective_until else None,
            note=body.note,
        )
    )
    context.prices.forget()
    return JsonReply(_item(made), 201)


@router.delete("/prices/{price_id}", operation_id="deletePrice", response_model=PriceItem, dependencies=[Admin])
def delete_price(context: Context, project_id: ProjectId, price_id: Annotated[str, Path(max_length=100)]) -> JsonReply:
    """Delete an own price and return it."""
    removed = context.records.delete_price(project_id, price_id)
    context.prices.forget()
    return JsonReply(_item(removed))


def _item(price: OwnPrice) -> dict[str, Any]:
    return {
        "id": price.id,
        "model": price.model,
        "provider": price.provider,
        "service_tier": price.service_tier,
        "above_input_tokens": price.above_input_tokens,
        "effective_from": rfc3339(price.from_ns) if price.from_ns else None,
        "effective_until": None if price.until_ns is None else rfc3339(price.until_ns),
        "rates": {name: f"{value:f}" for name, value in sorted(price.rates.items())},
        "note": price.note,
        "created_at": rfc3339(price.created_ns),
    }
