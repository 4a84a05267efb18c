"""Tokens to money: what a model call cost in US dollars, exactly, or why that cannot be said.

Rules, in the order they are applied:

1. Spans other than model calls that carry neither usage nor a cost of their own cost nothing by nature
   (status empty). What agents and workflows report is the sum of calls of unknown number and length: it is
   priced as far as neither makes a difference, and counts only where nobody else tells of these calls
   (``normalise.settle_usage``).
2. The project's own prices go before the public lists (``own``).
3. The model served decides, else the model asked for (``catalogue``). The provider is the one the
   instrumentation claims; without any, only names that a single vendor sells are priced. Models with
   open weights behind a loopback or private address are self-hosted: never priced by their name.
4. Tokens fall into disjoint buckets (``tariff``), each at the price of the day of the call, of its length and of
   its service tier (``discounts`` where the list has no figures). A bucket without a price makes the cost
   ``partial``, never zero.
5. Where nothing can be priced, the emitter's own figure is taken (``reported``).

Prices come from ``genai-prices``, which is loaded with the first span that needs it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from spanhouse_server.model.span import MODEL_CATEGORIES, ROLL_UP_CATEGORIES, Cost, Span, Usage
from spanhouse_server.price.catalogue import find_tariff, list_version
from spanhouse_server.price.own import OwnPrices, own_prices
from spanhouse_server.price.tariff import EXACT, Rates

__all__ = ["LIMIT_USD", "QUANTUM_USD", "OwnPrices", "find_rates", "list_version", "own_prices", "price"]

#: Money is kept to a millionth of a millionth of a dollar.
QUANTUM_USD = Decimal("0.000000000001")
#: What the money columns can hold; more than this on one call is a broken emitter, not a bill.
LIMIT_USD = Decimal(1_000_000)


def price(span: Span, own: OwnPrices | None = None) -> Cost:
    """Return what a span cost. Never raises; ``span.cost`` is only read for the reported figure.

    ``own`` holds the prices of the span's project, if it has any.
    """
    usage = span.usage
    reported = _plausible(span.cost.reported_usd)
    if not usage.known:
        return _without_price(reported, "no_usage" if span.category in MODEL_CATEGORIES else "")
    raw = span.raw
    # A span without times is priced as of today's list: 1970 had no prices.
    time_ns = raw.start_ns or raw.end_ns
    find = _find_summed if span.category in ROLL_UP_CATEGORIES else find_rates
    rates, source, lacking = find(span, time_ns, own)
    if rates is None:
        return _without_price(reported, lacking)
    charge = rates.charge(usage)
    if charge.input_usd is None and charge.output_usd is None:
        return _without_price(reported, charge.reason)
    input_usd, output_usd = _rounded(charge.input_usd), _rounded(charge.output_usd)
    total_usd = EXACT.add(input_usd or Decimal(0), output_usd or Decimal(0))
    if total_usd >= LIMIT_USD:
        return _without_price(reported, "no_price_for: implausible usage")
    reason = _joined(charge.reason, lacking)
    if reason and not total_usd:
        return _without_price(reported, reason)
    return Cost(total_usd, input_usd, output_usd, reported, "partial" if reason else "priced", reason, source)


def find_rates(span: Span, time_ns: int, own: OwnPrices | None) -> tuple[Rates | None, str, str]:
    """Return the rates of a call, whose they are, and what they lack; the project's own go first.

    Of the span provider, models, attributes, service tier and the number of input tokens are read.
    """
    if own is not None and (mine := own.find(span, time_ns)):
        return mine[0], "own:" + mine[1], ""
    tariff, reason = find_tariff(span.provider, span.response_model, span.request_model, span.raw.attributes)
    if tariff is not None:
        tier = span.usage.service_tier
        return tariff.find(time_ns, tier) if tier else (tariff.at(time_ns), "list", "")
    if own is not None and (mine := own.find_asked(span, time_ns)):
        return mine[0], "own:" + mine[1], ""
    return None, "", reason


def _find_summed(span: Span, time_ns: int, own: OwnPrices | None) -> tuple[Rates | None, str, str]:
    """Return the same for the sum of several calls: the rates that hold whatever their number and length."""
    usage = span.usage
    # Prices for long inputs are those of one call, and none of these may have been so long.
    short = replace(span, usage=Usage(service_tier=usage.service_tier))
    rates, source, lacking = find_rates(short, time_ns, own)
    if rates is None:
        return None, source, lacking
    flat, unsure = rates.of_several_calls(usage.input_tokens or 0)
    if own is not None and not unsure and find_rates(span, time_ns, own)[0] != rates:
        unsure = "no_price_for: calls with long inputs"
    return flat, source, _joined(unsure, lacking)


def _joined(of_tokens: str, of_tier: str) -> str:
    """Return in one reason what of the tokens and of the tier has no price."""
    if not of_tokens or not of_tier:
        return of_tokens or of_tier
    return of_tokens if of_tokens.startswith("no_usage") else f"{of_tier}, {of_tokens.removeprefix('no_price_for: ')}"


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
