"""What the same traffic would have cost with another model.

The tokens of every call go through the bucket arithmetic that prices calls (``price.tariff``): cached, written, audio,
image, reasoning and other tokens each at their rate, of the service tier, the length and the day of the call. Calls
between whose rates there is no difference are added up first, which gives the same sum to the last decimal, since
prices are linear in tokens; only a rate of more than six decimals per million tokens would have been rounded per call.

Tokens are taken as they are. Another model's tokenizer would count others, it may answer at another length, and its
cache may hit at another rate: that is not known, and not guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from spanhouse_server.clock import rfc3339
from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.model.span import Usage
from spanhouse_server.price import QUANTUM_USD, OwnPrices
from spanhouse_server.price.tariff import EXACT, NS_PER_DAY, PER_THOUSAND
from spanhouse_server.query.cost.selection import CostQuery, counted_rows
from spanhouse_server.query.cost.spend import share
from spanhouse_server.query.cost.tariffs import Bounds, Target, bounds_of, flat, rates_for, target_of
from spanhouse_server.query.rows import Row, dollars
from spanhouse_server.store.contract import ColumnarStore

MAX_TARGETS = 10

_TIME = "if(start_ns > 0, start_ns, end_ns)"
_LEFT_INPUT = "toInt64(ifNull(input_tokens, 0))"
_LEFT_OUTPUT = "toInt64(ifNull(output_tokens, 0))"


def _of(column: str) -> str:
    return f"toInt64(ifNull({column}, 0))"


#: The disjoint buckets of ``Rates.charge``, one after the other, each cut to what those before it left.
_BUCKETS = (
    f"least({_of('cache_read_tokens')}, {_LEFT_INPUT}) AS b_read,"
    f" least({_of('cache_write_tokens')}, {_LEFT_INPUT} - b_read) AS b_write,"
    f" least(greatest({_of('audio_input_tokens')} - {_of('audio_cache_read_tokens')}, 0),"
    f" {_LEFT_INPUT} - b_read - b_write) AS b_audio,"
    f" least({_of('image_input_tokens')}, {_LEFT_INPUT} - b_read - b_write - b_audio) AS b_image,"
    f" {_LEFT_INPUT} - b_read - b_write - b_audio - b_image AS b_input,"
    f" least({_of('audio_cache_read_tokens')}, b_read) AS b_audio_read,"
    f" least({_of('cache_write_1h_tokens')}, b_write) AS b_write_1h,"
    f" least({_of('audio_output_tokens')}, {_LEFT_OUTPUT}) AS b_spoken,"
    f" least({_of('image_output_tokens')}, {_LEFT_OUTPUT} - b_spoken) AS b_drawn,"
    f" least({_of('reasoning_tokens')}, {_LEFT_OUTPUT} - b_spoken - b_drawn) AS b_thought,"
    f" {_LEFT_OUTPUT} - b_spoken - b_drawn - b_thought AS b_output,"
    f" {_of('web_search_requests')} AS b_search"
)
_NAMES = (
    *("b_read", "b_write", "b_audio", "b_image", "b_input", "b_audio_read", "b_write_1h"),
    *("b_spoken", "b_drawn", "b_thought", "b_output", "b_search"),
)


@dataclass(slots=True)
class _Tally:
    """What one target adds up to; money not rounded yet."""

    what_if_usd: Decimal = Decimal(0)
    comparable_usd: Decimal = Decimal(0)
    comparable_actual_usd: Decimal = Decimal(0)
    calls: int = 0
    priced: int = 0
    partial: int = 0
    unpriced: int = 0
    unpriced_tokens: int = 0
    tokens: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def what_if(
    store: ColumnarStore,
    project_id: str,
    query: CostQuery,
    models: Sequence[str],
    own: Sequence[OwnPrice] = (),
    category: str = "llm",
) -> dict[str, Any]:
    """Return what the selected calls cost, and would have cost with each of ``models``; raise ``BadQuery``.

    ``models`` are names such as ``gpt-4o-mini`` or ``anthropic/claude-haiku-4-5``. Only calls of ``category`` take
    part (empty: all): an embedding has no price by a chat model. ``own`` are the project's own prices, which go
    before the public list.
    """
    query = query.bounded()
    prices = OwnPrices(own) if own else None
    selected = counted_rows(project_id, query)
    parameters = selected.parameters | {"category": category}
    where = f"{selected.where} AND ({{category:String}} = '' OR category = {{category:String}})"
    actual = store.select(
        "SELECT count() AS call_n, sum(cost_usd) AS cost_sum, countIf(isNull(cost_usd)) AS unpriced_n,"
        " countIf(isNull(input_tokens) AND isNull(output_tokens)) AS silent_n"
        f" FROM span_index FINAL WHERE {where}",
        parameters,
    )[0]
    targets = []
    for written in models:
        target = target_of(written, prices)
        rows = _rows(store, where, parameters, bounds_of(target, own))
        targets.append(_shown(written, target, _tally(rows, target, prices)))
    return {
        "from_time": rfc3339(query.window.from_ns or 0),
        "to_time": rfc3339(query.window.to_ns or 0),
        "actual": {
            "requests": actual["call_n"],
            "cost_usd": dollars(actual["cost_sum"] or Decimal(0)),
            "unpriced_requests": actual["unpriced_n"],
            "requests_without_usage": actual["silent_n"],
        },
        "models": targets,
    }


def _rows(store: ColumnarStore, where: str, parameters: dict[str, Any], bounds: Bounds) -> list[Row]:
    """Return the calls added up as far as they have the same rates and the same filled buckets."""
    filled = " + ".join(f"({name} > 0) * {1 << bit}" for bit, name in enumerate(_NAMES))
    sums = ", ".join(f"sum({name}) AS s_{name}" for name in _NAMES)
    return store.select(
        "SELECT service_tier, at_class, day_class, length_class, said, has_cost, filled,"
        " min(at_ns) AS first_ns, min(length) AS shortest, count() AS call_n, sum(paid) AS paid_sum, "
        f"{sums} FROM (SELECT service_tier, {_BUCKETS},"
        f" {_TIME} AS at_ns, {_LEFT_INPUT} AS length,"
        " if(at_ns <= 0, -1, toInt64(arrayCount(x -> at_ns >= x, {bound_times:Array(Int64)}))) AS at_class,"
        f" arrayCount(x -> at_ns % {NS_PER_DAY} >= x, {{bound_days:Array(Int64)}}) AS day_class,"
        " arrayCount(x -> length > x, {bound_lengths:Array(Int64)}) AS length_class,"
        " isNotNull(input_tokens) + 2 * isNotNull(output_tokens) AS said,"
        f" isNotNull(cost_usd) AS has_cost, ifNull(cost_usd, toDecimal64(0, 12)) AS paid, {filled} AS filled"
        " FROM spans FINAL WHERE project_id = {project:String} AND (trace_id, span_id) IN"
        f" (SELECT trace_id, span_id FROM span_index FINAL WHERE {where})"
        " AND (isNotNull(input_tokens) OR isNotNull(output_tokens)))"
        " GROUP BY service_tier, at_class, day_class, length_class, said, has_cost, filled",
        parameters
        | {
            "bound_times": list(bounds.times_ns),
            "bound_days": list(bounds.of_day_ns),
            "bound_lengths": list(bounds.input_tokens),
        },
    )


def _tally(rows: Sequence[Row], target: Target, own: OwnPrices | None) -> _Tally:
    tally = _Tally()
    for row in rows:
        calls = row["call_n"]
        usage = _usage(row)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        tally.calls += calls
        tally.tokens += tokens
        one = Usage(input_tokens=row["shortest"], service_tier=row["service_tier"])
        rates, reason = rates_for(target, max(row["first_ns"], 0), one, own)
        amount = None
        if rates is not None:
            fee_usd = rates.request_usd
            charge = replace(flat(rates, row["shortest"]), request_usd=None).charge(usage)
            reason = charge.reason or reason
            if charge.input_usd is not None or charge.output_usd is not None:
                amount = EXACT.add(charge.input_usd or Decimal(0), charge.output_usd or Decimal(0))
            if fee_usd is not None and usage.input_tokens is not None:
                fees = EXACT.multiply(fee_usd, calls).scaleb(PER_THOUSAND, EXACT)
                amount = EXACT.add(amount or Decimal(0), fees)
        if amount is None:
            tally.unpriced += calls
            tally.unpriced_tokens += tokens
            tally.reasons[reason] = tally.reasons.get(reason, 0) + calls
            continue
        if reason:
            tally.partial += calls
            tally.reasons[reason] = tally.reasons.get(reason, 0) + calls
        else:
            tally.priced += calls
        tally.what_if_usd = EXACT.add(tally.what_if_usd, amount)
        if row["has_cost"]:
            tally.comparable_usd = EXACT.add(tally.comparable_usd, amount)
            tally.comparable_actual_usd = EXACT.add(tally.comparable_actual_usd, row["paid_sum"])
    return tally


def _usage(row: Row) -> Usage:
    """Return the tokens of many calls as those of one: its buckets are their sums."""
    usage = Usage(
        cache_read_tokens=row["s_b_read"],
        cache_write_tokens=row["s_b_write"],
        reasoning_tokens=row["s_b_thought"],
        audio_input_tokens=row["s_b_audio"] + row["s_b_audio_read"],
        audio_output_tokens=row["s_b_spoken"],
        cache_write_1h_tokens=row["s_b_write_1h"],
        audio_cache_read_tokens=row["s_b_audio_read"],
        image_input_tokens=row["s_b_image"],
        image_output_tokens=row["s_b_drawn"],
        web_search_requests=row["s_b_search"],
        service_tier=row["service_tier"],
    )
    if row["said"] & 1:
        inputs = ("s_b_read", "s_b_write", "s_b_audio", "s_b_image", "s_b_input")
        usage.input_tokens = sum(row[name] for name in inputs)
    if row["said"] & 2:
        outputs = ("s_b_spoken", "s_b_drawn", "s_b_thought", "s_b_output")
        usage.output_tokens = sum(row[name] for name in outputs)
    return usage


def _shown(written: str, target: Target, tally: _Tally) -> dict[str, Any]:
    amount, comparable, paid = (
        value.quantize(QUANTUM_USD, ROUND_HALF_EVEN, EXACT)
        for value in (tally.what_if_usd, tally.comparable_usd, tally.comparable_actual_usd)
    )
    calls = tally.calls
    has_price = bool(tally.priced or tally.partial)
    priced_tokens = tally.tokens - tally.unpriced_tokens
    return {
        "asked": written,
        "provider": target.provider,
        "model": target.model,
        "cost_usd": dollars(amount) if has_price else None,
        "usd_per_mtok": float(amount * 1_000_000 / priced_tokens) if has_price and priced_tokens else None,
        "requests": calls,
        "priced_requests": tally.priced,
        "partial_requests": tally.partial,
        "unpriceable_requests": tally.unpriced,
        "unpriceable_share_of_tokens": tally.unpriced_tokens / tally.tokens if tally.tokens else 0.0,
        "reasons": dict(sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0]))[:10]),
        "comparable": {
            "actual_usd": dollars(paid),
            "what_if_usd": dollars(comparable),
            "change_usd": dollars(comparable - paid),
            "change_share": share(comparable - paid, paid),
        },
    }
