"""What tokens of models on one's own GPUs cost, beside what they would have cost at an API.

GPUs are paid by the hour, used or not: GPU-hours x price over the tokens they served is what a million tokens cost.
Where GPU metrics are stored, the hours that GPUs were really seen, and idle, are told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S, now_ns, rfc3339
from spanhouse_server.errors import BadRequest
from spanhouse_server.model.budgets import GpuPrice
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.price import QUANTUM_USD
from spanhouse_server.price.tariff import EXACT
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.cost.gpu_use import GpuUse, gpu_use
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.cost.whatif import what_if
from spanhouse_server.query.filter import parse_filter
from spanhouse_server.query.rows import dollars
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

NS_PER_HOUR = 3600 * NS_PER_S
MAX_GPUS = Decimal(1_000_000)
MAX_USD_PER_HOUR = Decimal(10_000)


def checked(price: GpuPrice) -> GpuPrice:
    """Return a GPU price as it can be kept; raise ``BadRequest`` (``BadQuery`` for its filter)."""
    if not 0 < len(price.name) <= 200:
        raise BadRequest("name: a GPU price needs a name of 1 to 200 characters")
    if not price.q.strip():
        raise BadRequest("q: say which calls these GPUs serve", "for example model:llama-3*")
    parse_filter(price.q)
    for name, highest in (("gpu_count", MAX_GPUS), ("usd_per_gpu_hour", MAX_USD_PER_HOUR)):
        value = getattr(price, name)
        if not value.is_finite() or not 0 < value <= highest or -int(value.as_tuple().exponent) > 12:
            raise BadRequest(f"{name} must lie above 0 and up to {highest}, with at most 12 decimals")
    if len(price.gpu_type) > 100 or len(price.note) > 2000:
        raise BadRequest("gpu_type takes up to 100 characters, note up to 2000")
    if not 0 < price.from_ns <= MAX_TIME_NS:
        raise BadRequest("effective_from: say since when these GPUs are paid for")
    if price.until_ns is not None and not price.from_ns < price.until_ns <= MAX_TIME_NS:
        raise BadRequest("the price ends before it begins", "effective_until must come after effective_from")
    return price


def self_hosted(
    store: ColumnarStore,
    project_id: str,
    query: CostQuery,
    prices: Sequence[GpuPrice],
    models: Sequence[str] = (),
    own: Sequence[OwnPrice] = (),
) -> dict[str, Any]:
    """Return what each of ``prices`` cost in the range and per million tokens served; raise ``BadQuery``.

    ``models`` name APIs to compare with: what the same tokens would have cost there.
    """
    query = query.bounded()
    start_ns, end_ns = query.window.from_ns or 0, min(query.window.to_ns or 0, now_ns())
    return {
        "from_time": rfc3339(start_ns),
        "to_time": rfc3339(max(end_ns, start_ns)),
        "items": [_one(store, project_id, price, (start_ns, end_ns), query.q, models, own) for price in prices],
    }


def _one(
    store: ColumnarStore,
    project_id: str,
    price: GpuPrice,
    window: tuple[int, int],
    q: str,
    models: Sequence[str],
    own: Sequence[OwnPrice],
) -> dict[str, Any]:
    first_ns = max(window[0], price.from_ns)
    last_ns = min(window[1], MAX_TIME_NS if price.until_ns is None else price.until_ns)
    paid_ns = max(last_ns - first_ns, 0)
    served = CostQuery(Window(first_ns, max(last_ns, first_ns)), f"({price.q}) AND ({q})" if q.strip() else price.q)
    selected = select_rows("spans", project_id, served.window, served.q)
    row = store.select(
        "SELECT countIf(counted) AS call_n, sumIf(ifNull(input_tokens, 0), counted) AS input_n,"
        " sumIf(ifNull(output_tokens, 0), counted) AS output_n"
        f" FROM span_index FINAL WHERE {selected.where}",
        selected.parameters,
    )[0]
    hours = Fraction(price.gpu_count) * Fraction(paid_ns, NS_PER_HOUR)
    cost = hours * Fraction(price.usd_per_gpu_hour)
    tokens = row["input_n"] + row["output_n"]
    use = gpu_use(store, project_id, first_ns, last_ns, price.gpu_type) if paid_ns else None
    compared = what_if(store, project_id, served, models, own, category="")["models"] if models and paid_ns else []
    return {
        "id": price.id,
        "name": price.name,
        "q": price.q,
        "gpu_type": price.gpu_type,
        "gpu_count": f"{price.gpu_count:f}",
        "usd_per_gpu_hour": f"{price.usd_per_gpu_hour:f}",
        "gpu_hours": float(hours),
        "cost_usd": _money(cost),
        "requests": row["call_n"],
        "input_tokens": row["input_n"],
        "output_tokens": row["output_n"],
        "tokens_per_gpu_hour": float(tokens / hours) if hours else None,
        "usd_per_mtok": _money(cost * 1_000_000 / tokens) if tokens else None,
        "measured": None if use is None else _measured(use, price, tokens),
        "models": compared,
    }


def _measured(use: GpuUse, price: GpuPrice, tokens: int) -> dict[str, Any]:
    """Return what GPUs that were seen cost while they were, and what of it was idle."""
    cost = use.hours * Fraction(price.usd_per_gpu_hour)
    return {
        "gpus": use.gpus,
        "gpu_hours": float(use.hours),
        "idle_gpu_hours": float(use.idle_hours),
        "utilization": use.utilization,
        "cost_usd": _money(cost),
        "idle_usd": _money(use.idle_hours * Fraction(price.usd_per_gpu_hour)),
        "usd_per_mtok": _money(cost * 1_000_000 / tokens) if tokens else None,
    }


def _money(amount: Fraction) -> str:
    """Return dollars to the quantum of the store."""
    value = EXACT.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    return dollars(value.quantize(QUANTUM_USD, ROUND_HALF_EVEN, EXACT)) or "0"
