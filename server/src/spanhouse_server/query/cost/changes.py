"""Why the cost of two periods differs: an exact split into five factors, by model.

What a model cost is, for input, output and the rest (fees, costs reported without their parts), the product

    volume x mix x tokens per request x caching x price

- volume: priced calls of all models; mix: the model's share of them;
- tokens per request: input or output tokens per call;
- caching: what cached reads and writes make of the input price, ``1 - hit rate x discount + write rate x premium``,
  with discount and premium of the model's tariff held fixed, so that this moves with the rates alone;
- price: dollars per token before caching. Whatever else moves the bill is in here: list prices, service tiers, long
  inputs, tools.

``shapley.product_shares`` splits the change of each product among its factors; the parts of all models and factors
add up to the change of the bill to the last decimal. A model that is absent from one period has the other's tokens,
caching and price there, so that its coming or going is mix. Calls without a price are no part of this; how many
there were is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from spanhouse_server.clock import rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.price import QUANTUM_USD, OwnPrices, find_rates
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.cost.selection import CostQuery
from spanhouse_server.query.cost.shapley import product_shares, to_decimals
from spanhouse_server.query.cost.spend import SUMS, share, spent
from spanhouse_server.query.cost.tariffs import model_span
from spanhouse_server.query.rows import dollars
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

FACTORS = ("volume", "model_mix", "tokens_per_request", "cache_hit_rate", "price")
#: Further models are taken together as one.
MAX_MODELS = 100
OTHER_MODELS = ("", "(other models)")

_WORDS = {
    "volume": "the number of calls",
    "model_mix": "the mix of models",
    "tokens_per_request": "the tokens per call",
    "cache_hit_rate": "the cache hit rate",
    "price": "the price per token",
}
_ONE, _NONE = Fraction(1), Fraction(0)
_MTOK = 1_000_000

ModelKey = tuple[str, str]
"""(provider, model)"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The priced calls of one model in one period; ``input_usd`` and ``output_usd`` are parts of ``cost_usd``."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    input_usd: Decimal = Decimal(0)
    output_usd: Decimal = Decimal(0)

    def plus(self, other: Traffic) -> Traffic:
        """Return both together."""
        return Traffic(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cost_usd + other.cost_usd,
            self.input_usd + other.input_usd,
            self.output_usd + other.output_usd,
        )


@dataclass(frozen=True, slots=True)
class CacheTerms:
    """What a tariff does for cached input, relative to its input price: off for reads, on top for writes."""

    read_discount: Fraction = _NONE
    write_premium: Fraction = _NONE


@dataclass(frozen=True, slots=True)
class _Part:
    """One product of a model's cost in one period: tokens per call, caching, price per token."""

    quantity: Fraction
    caching: Fraction
    price: Fraction


def explain_change(
    store: ColumnarStore, project_id: str, current: CostQuery, baseline: Window, own: OwnPrices | None = None
) -> dict[str, Any]:
    """Return the change of cost from ``baseline`` to ``current`` and what it is made of; raise ``BadQuery``.

    An open baseline is the period of the same length just before. ``own`` holds the project's own prices.
    """
    current = current.bounded()
    start_ns, end_ns = current.window.from_ns or 0, current.window.to_ns or 0
    before = CostQuery(_baseline(baseline, start_ns, end_ns), current.q)
    new, names = _traffic(store, project_id, current)
    old, old_names = _traffic(store, project_id, before)
    terms = {key: cache_terms(*(names.get(key) or old_names[key]), key[0], end_ns, own) for key in new | old}
    old, new = _bounded(old, new)
    cells = decompose(old, new, terms)
    by_factor = {name: sum((cell[name] for cell in cells.values()), Decimal(0)) for name in FACTORS}
    change_usd = _cost(new) - _cost(old)
    ranked = sorted(cells, key=lambda key: (-abs(sum(cells[key].values(), Decimal(0))), key))
    return {
        "baseline": _period(store, project_id, before),
        "current": _period(store, project_id, current),
        "change_usd": dollars(change_usd),
        "factors": [
            {
                "factor": name,
                "contribution_usd": dollars(amount),
                "share_of_change": share(amount, change_usd),
            }
            for name, amount in sorted(by_factor.items(), key=lambda item: (-abs(item[1]), FACTORS.index(item[0])))
        ],
        "top": _top(by_factor, cells, change_usd),
        "models": [
            {
                "provider": key[0],
                "model": key[1],
                "baseline": _shown(old.get(key, Traffic())),
                "current": _shown(new.get(key, Traffic())),
                "change_usd": dollars(sum(cells[key].values(), Decimal(0))),
                "factors": {name: dollars(amount) for name, amount in cells[key].items()},
            }
            for key in ranked
        ],
    }


def decompose(
    old: Mapping[ModelKey, Traffic], new: Mapping[ModelKey, Traffic], terms: Mapping[ModelKey, CacheTerms]
) -> dict[ModelKey, dict[str, Decimal]]:
    """Return, by model and factor, what it added to the change of the bill.

    The amounts of a model sum to the change of its cost, and so those of all models to that of the bill.
    """
    calls = [sum(each.calls for each in side.values()) for side in (old, new)]
    cells = {}
    for key in sorted({*old, *new}):
        sides = [old.get(key, Traffic()), new.get(key, Traffic())]
        mixes = [Fraction(side.calls, total) if total else None for side, total in zip(sides, calls, strict=True)]
        # Nothing ran at all in one period: its mix is the other's, and all of the change is volume.
        before = mixes[0] if mixes[0] is not None else mixes[1] or _NONE
        after = mixes[1] if mixes[1] is not None else mixes[0] or _NONE
        sums = [_NONE] * len(FACTORS)
        for left, right in _parts(sides[0], sides[1], terms.get(key, CacheTerms())):
            shares = product_shares(
                [Fraction(calls[0]), before, left.quantity, left.caching, left.price],
                [Fraction(calls[1]), after, right.quantity, right.caching, right.price],
            )
            sums = [total + part for total, part in zip(sums, shares, strict=True)]
        change = sides[1].cost_usd - sides[0].cost_usd
        cells[key] = dict(zip(FACTORS, to_decimals(sums, change, QUANTUM_USD), strict=True))
    return cells


def cache_terms(
    request_model: str, response_model: str, provider: str, at_ns: int, own: OwnPrices | None
) -> CacheTerms:
    """Return what caching does to a model's input price; nothing where its tariff does not say."""
    span = model_span(provider, request_model, response_model, at_ns)
    rates = find_rates(span, at_ns, own)[0]
    if rates is None or rates.input is None or not rates.input.base_usd:
        return CacheTerms()
    base = Fraction(rates.input.base_usd)
    read = _NONE if rates.cache_read is None else 1 - Fraction(rates.cache_read.base_usd) / base
    write = _NONE if rates.cache_write is None else Fraction(rates.cache_write.base_usd) / base - 1
    return CacheTerms(read, write)


def _parts(old: Traffic, new: Traffic, terms: CacheTerms) -> list[tuple[_Part, _Part]]:
    """Return the products of a model's cost in both periods; a side without calls takes the other's values."""
    pairs = []
    for name in ("input", "output", "rest"):
        left, right = _part(old, name, terms), _part(new, name, terms)
        if left is None and right is None:
            continue
        if left is None or not old.calls:
            left = right
        if right is None or not new.calls:
            right = left
        assert left is not None, "one of the two is there"
        assert right is not None, "one of the two is there"
        # Without tokens there is no price per token: the other's, so that the change is one of tokens.
        left, right = (
            left if left.quantity else replace(left, price=right.price),
            right if right.quantity else replace(right, price=left.price),
        )
        pairs.append((left, right))
    return pairs


def _part(traffic: Traffic, name: str, terms: CacheTerms) -> _Part | None:
    """Return one product of what a model cost, nothing for a model without calls."""
    if not traffic.calls:
        return None
    calls = traffic.calls
    priced_input = traffic.input_tokens > 0
    priced_output = traffic.output_tokens > 0
    if name == "input":
        caching = _caching(traffic, terms)
        price = Fraction(traffic.input_usd) / (traffic.input_tokens * caching) if priced_input else _NONE
        return _Part(Fraction(traffic.input_tokens, calls), caching, price)
    if name == "output":
        price = Fraction(traffic.output_usd) / traffic.output_tokens if priced_output else _NONE
        return _Part(Fraction(traffic.output_tokens, calls), _ONE, price)
    rest = traffic.cost_usd
    rest -= traffic.input_usd if priced_input else Decimal(0)
    rest -= traffic.output_usd if priced_output else Decimal(0)
    tokens = traffic.input_tokens + traffic.output_tokens
    quantity = Fraction(tokens, calls) if tokens else _ONE
    return _Part(quantity, _ONE, Fraction(rest) / (calls * quantity))


def _caching(traffic: Traffic, terms: CacheTerms) -> Fraction:
    if not traffic.input_tokens:
        return _ONE
    read = Fraction(min(traffic.cache_read_tokens, traffic.input_tokens), traffic.input_tokens)
    written = Fraction(min(traffic.cache_write_tokens, traffic.input_tokens), traffic.input_tokens)
    factor = 1 - read * terms.read_discount + written * terms.write_premium
    return factor if factor > 0 else _ONE


def _baseline(asked: Window, start_ns: int, end_ns: int) -> Window:
    if asked.from_ns is None and asked.to_ns is None:
        return Window(max(start_ns - (end_ns - start_ns), 0), start_ns)
    if asked.from_ns is None or asked.to_ns is None:
        raise BadQuery("the baseline has only one end", "give baseline_from and baseline_to, or neither")
    return asked


def _traffic(
    store: ColumnarStore, project_id: str, query: CostQuery
) -> tuple[dict[ModelKey, Traffic], dict[ModelKey, tuple[str, str]]]:
    """Return the priced traffic by model, and a requested and a served name of each."""
    selected = select_rows("spans", project_id, query.window, query.q)
    rows = store.select(
        "SELECT provider, model AS model_name, any(request_model) AS asked, any(response_model) AS served,"
        " count() AS call_n, sum(ifNull(input_tokens, 0)) AS input_n, sum(ifNull(output_tokens, 0)) AS output_n,"
        " sum(ifNull(cache_read_tokens, 0)) AS read_n, sum(ifNull(cache_write_tokens, 0)) AS write_n,"
        " sum(cost_usd) AS cost_sum, sum(cost_input_usd) AS input_sum, sum(cost_output_usd) AS output_sum"
        f" FROM span_index FINAL WHERE {selected.where} AND counted AND isNotNull(cost_usd)"
        " GROUP BY provider, model_name",
        selected.parameters,
    )
    nothing = Decimal(0)
    traffic = {
        (row["provider"], row["model_name"]): Traffic(
            row["call_n"], row["input_n"], row["output_n"], row["read_n"], row["write_n"],
            row["cost_sum"] or nothing, row["input_sum"] or nothing, row["output_sum"] or nothing,
        )
        for row in rows
    }  # fmt: skip
    return traffic, {(row["provider"], row["model_name"]): (row["asked"], row["served"]) for row in rows}


def _bounded(
    old: dict[ModelKey, Traffic], new: dict[ModelKey, Traffic]
) -> tuple[dict[ModelKey, Traffic], dict[ModelKey, Traffic]]:
    """Return both sides with at most ``MAX_MODELS`` models, the dearest, and the others as one."""
    nothing = Traffic()
    keys = sorted(
        {*old, *new}, key=lambda key: (-max(old.get(key, nothing).cost_usd, new.get(key, nothing).cost_usd), key)
    )
    kept = set(keys[:MAX_MODELS])
    sides = []
    for side in (old, new):
        bounded = {key: value for key, value in side.items() if key in kept}
        rest = [value for key, value in side.items() if key not in kept]
        if rest:
            others = rest[0]
            for each in rest[1:]:
                others = others.plus(each)
            bounded[OTHER_MODELS] = others
        sides.append(bounded)
    return sides[0], sides[1]


def _cost(side: Mapping[ModelKey, Traffic]) -> Decimal:
    return sum((each.cost_usd for each in side.values()), Decimal(0))


def _period(store: ColumnarStore, project_id: str, query: CostQuery) -> dict[str, Any]:
    selected = select_rows("spans", project_id, query.window, query.q)
    row = store.select(f"SELECT {SUMS} FROM span_index FINAL WHERE {selected.where}", selected.parameters)[0]
    return {
        "from_time": rfc3339(query.window.from_ns or 0),
        "to_time": rfc3339(query.window.to_ns or 0),
        **spent(row),
    }


def _shown(traffic: Traffic) -> dict[str, Any]:
    calls, tokens = traffic.calls, traffic.input_tokens + traffic.output_tokens
    return {
        "requests": calls,
        "cost_usd": dollars(traffic.cost_usd),
        "input_tokens_per_request": traffic.input_tokens / calls if calls else None,
        "output_tokens_per_request": traffic.output_tokens / calls if calls else None,
        "cache_hit_rate": traffic.cache_read_tokens / traffic.input_tokens if traffic.input_tokens else None,
        "usd_per_mtok": float(traffic.cost_usd * _MTOK / tokens) if tokens else None,
    }


def _top(
    by_factor: Mapping[str, Decimal], cells: Mapping[ModelKey, Mapping[str, Decimal]], change_usd: Decimal
) -> dict[str, Any] | None:
    """Return the factor that did most in the direction of the change, and the model in which it did most."""
    if not change_usd:
        return None
    sign = 1 if change_usd > 0 else -1
    factor = max(FACTORS, key=lambda name: by_factor[name] * sign)
    model = max(sorted(cells), key=lambda key: cells[key][factor] * sign)
    went = "rose" if sign > 0 else "fell"
    mostly = f", most of that with {model[1]}" if model[1] else ""
    return {
        "factor": factor,
        "contribution_usd": dollars(by_factor[factor]),
        "provider": model[0],
        "model": model[1],
        "model_contribution_usd": dollars(cells[model][factor]),
        "sentence": f"Cost {went} by {_cents(change_usd)} USD. What did most is {_WORDS[factor]}:"
        f" {_cents(by_factor[factor])} USD{mostly}.",
    }


def _cents(amount: Decimal) -> str:
    """Return an amount for people: two decimals, or two digits where it is smaller."""
    size = abs(amount)
    return f"{size:.2f}" if size >= Decimal("0.01") else f"{size:.2g}"
