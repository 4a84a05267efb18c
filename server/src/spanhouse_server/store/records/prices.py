"""Own prices of projects in the records store."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from spanhouse_server.clock import MAX_TIME_NS, now_ns
from spanhouse_server.errors import BadRequest, NotFound
from spanhouse_server.model.prices import RATE_NAMES, OwnPrice
from spanhouse_server.model.tiers import fold_tier
from spanhouse_server.store.records.engine import plain
from spanhouse_server.store.records.tables import PriceRecord

#: They travel with every batch of their project, so their number is bounded.
MAX_PRICES = 1000
#: Per million tokens or per thousand of something; above is a slip of the unit.
MAX_RATE_USD = Decimal(1_000_000)
MAX_DECIMALS = 12
MAX_TOKENS = 2**53


def list_prices(session: Session, project_id: str | None) -> list[OwnPrice]:
    """Return the own prices of a project, or of all, by model and date."""
    query = select(PriceRecord)
    if project_id is not None:
        query = query.where(PriceRecord.project_id == project_id)
    ordered = query.order_by(
        PriceRecord.project_id, PriceRecord.model, PriceRecord.from_ns, PriceRecord.created_ns, PriceRecord.id
    )
    return [_price(record) for record in session.scalars(ordered)]


def add_price(session: Session, price: OwnPrice) -> OwnPrice:
    """Add a price and return it as kept, with its id. Raises ``BadRequest``."""
    price = _checked(price)
    known = session.scalar(select(func.count()).where(PriceRecord.project_id == price.project_id)) or 0
    if known >= MAX_PRICES:
        raise BadRequest(f"a project has at most {MAX_PRICES} own prices", "delete some, or use a name that ends in *")
    kept = replace(price, id=secrets.token_hex(8), created_ns=now_ns())
    session.add(
        PriceRecord(
            id=kept.id,
            project_id=kept.project_id,
            model=kept.model,
            provider=kept.provider,
            service_tier=kept.service_tier,
            above_input_tokens=kept.above_input_tokens,
            from_ns=kept.from_ns,
            until_ns=kept.until_ns,
            rates=json.dumps({name: f"{value:f}" for name, value in sorted(kept.rates.items())}),
            note=kept.note,
            created_ns=kept.created_ns,
        )
    )
    return kept


def remove_price(session: Session, project_id: str, price_id: str) -> OwnPrice:
    """Remove a price and return it. Raises ``NotFound``."""
    record = session.get(PriceRecord, price_id)
    if record is None or record.project_id != project_id:
        raise NotFound(f"no price {price_id!r} in this project")
    removed = _price(record)
    session.delete(record)
    return removed


def _checked(price: OwnPrice) -> OwnPrice:
    model, provider, note = (plain(text).strip() for text in (price.model, price.provider, price.note))
    if not model.strip("*") or len(model) > 200 or "*" in model[:-1]:
        raise BadRequest(
            "a price needs the name of a model, up to 200 characters",
            "give the whole name, or its beginning with * at the end",
        )
    if len(provider) > 100 or len(note) > 500:
        raise BadRequest("provider takes up to 100 characters, note up to 500")
    if not 0 <= price.above_input_tokens <= MAX_TOKENS:
        raise BadRequest(f"above_input_tokens must lie between 0 and {MAX_TOKENS}")
    if not 0 <= price.from_ns <= MAX_TIME_NS:
        raise BadRequest("effective_from is out of range")
    if price.until_ns is not None and not price.from_ns < price.until_ns <= MAX_TIME_NS:
        raise BadRequest("the price ends before it begins", "effective_until must come after effective_from")
    return replace(
        price,
        model=model,
        provider=provider.lower(),
        note=note,
        service_tier=fold_tier(price.service_tier),
        rates=_checked_rates(price.rates),
    )


def _checked_rates(rates: Mapping[str, Decimal]) -> dict[str, Decimal]:
    if unknown := sorted(rates.keys() - set(RATE_NAMES)):
        raise BadRequest(f"there is no rate {unknown[0][:60]!r}", f"use some of {', '.join(RATE_NAMES)}")
    if not rates:
        raise BadRequest("a price needs at least one rate", f"give some of {', '.join(RATE_NAMES)}")
    for name, value in rates.items():
        exponent = value.as_tuple().exponent
        if not value.is_finite() or not 0 <= value <= MAX_RATE_USD:
            raise BadRequest(f"{name} must lie between 0 and {MAX_RATE_USD} USD")
        if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
            raise BadRequest(f"{name} has more than {MAX_DECIMALS} decimal places")
    return dict(rates)


def _price(record: PriceRecord) -> OwnPrice:
    return OwnPrice(
        id=record.id,
        project_id=record.project_id,
        model=record.model,
        rates={name: Decimal(value) for name, value in json.loads(record.rates).items()},
        provider=record.provider,
        service_tier=record.service_tier,
        above_input_tokens=record.above_input_tokens,
        from_ns=record.from_ns,
        until_ns=record.until_ns,
        created_ns=record.created_ns,
        note=record.note,
    )
