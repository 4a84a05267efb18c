"""Tokens to money: what a model call cost in US dollars, exactly, or why that cannot be said.

Rules, in the order they are applied:

1. Agent and workflow spans repeat what their children used; they are never priced. Spans of other
   categories that carry neither usage nor a cost of their own cost nothing by nature (status empty).
2. The model served decides, else the model asked for (``catalogue``). The provider is the one the
   instrumentation claims; without any, only names that a single vendor sells are priced. Models with
   open weights behind a loopback or private address are self-hosted: never priced by their name.
3. Tokens fall into disjoint buckets (``tariff``), each at the price of the day of the call. A bucket
   without a price makes the cost ``partial``, never zero.
4. Where nothing can be priced, the emitter's own figure is taken (``reported``).

Prices come from ``genai-prices``, which is loaded with the first span that needs it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from spanhouse_server.model.span import MODEL_CATEGORIES, Cost, Span
from spanhouse_server.price.catalogue import find_tariff
from spanhouse_server.price.tariff import EXACT

#: Money is kept to a millionth of a millionth of a dollar.
QUANTUM_USD = Decimal("0.000000000001")
#: What the money columns can hold; more than this on one call is a broken emitter, not a bill.
LIMIT_USD = Decimal(1_000_000)

_NEVER_PRICED = frozenset({"agent", "workflow"})


def price(span: Span) -> Cost:
    """Return what a span cost. Never raises; ``span.cost`` is only read for the reported figure."""
    usage = span.usage
    reported = _plausible(span.cost.reported_usd)
    if span.category in _NEVER_PRICED:
        return _without_price(reported, "")
    if not usage.known:
        return _without_price(reported, "no_usage" if span.category in MODEL_CATEGORIES else "")
    raw = span.raw
    tariff, reason = find_tariff(span.provider, span.response_model, span.request_model, raw.attributes)
    if tariff is None:
        return _without_price(reported, reason)
    # A span without times is priced as of today's list: 1970 had no prices.
    charge = tariff.at(raw.start_ns or raw.end_ns).charge(usage)
    if charge.input_usd is None and charge.output_usd is None:
        return _without_price(reported, charge.reason)
    input_usd, output_usd = _rounded(charge.input_usd), _rounded(charge.output_usd)
    total_usd = EXACT.add(input_usd or Decimal(0), output_usd or Decimal(0))
    if total_usd >= LIMIT_USD:
        return _without_price(reported, "no_price_for: implausible usage")
    status = "partial" if charge.reason else "priced"
    return Cost(total_usd, input_usd, output_usd, reported, status, charge.reason)


def _without_price(reported: Decimal | None, reason: str) -> Cost:
    if reported is not None:
        return Cost(total_usd=reported, reported_usd=reported, status="reported", reason=reason)
    return Cost(status="unpriced" if reason else "", reason=reason)


def _rounded(amount_usd: Decimal | None) -> Decimal | None:
    return None if amount_usd is None else amount_usd.quantize(QUANTUM_USD, ROUND_HALF_EVEN, EXACT)


def _plausible(reported_usd: Decimal | None) -> Decimal | None:
    """Return the emitter's figure rounded to the quantum; nothing for NaN, negatives and absurd sums."""
    if reported_usd is None or not reported_usd.is_finite() or not 0 <= reported_usd < LIMIT_USD:
        return None
    try:
        rounded = reported_usd.quantize(QUANTUM_USD, ROUND_HALF_EVEN, EXACT)
    except InvalidOperation:
        return None
    return rounded if rounded < LIMIT_USD else None
