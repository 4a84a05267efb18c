"""What one model costs: rates per token bucket, and which rates hold at which time and service tier.

Buckets are disjoint. Input: cache reads (text, audio), cache writes (five minutes, an hour), audio,
images, the rest; output: reasoning, audio, images, the rest. Some prices stand in for others, because
that is how providers bill:

- a cache write without a price of its own costs what uncached input costs, an hour's what five minutes' do;
- reasoning without a price of its own costs what output costs; tool-use prompts cost what input costs;
- images without a price of their own were turned into ordinary tokens and cost what text costs;
- cached audio without a price of its own costs what a cache read costs;
- cache reads, audio and web searches without a price of their own have none: the result is partial;
- so it is where a model that speaks or draws has a price for that, and the emitter does not tell such tokens apart.

Fees per request and per web search count as input.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from spanhouse_server.model.span import Usage

#: Wide enough that no product or sum of prices and counts is ever rounded on the way.
EXACT = Context(prec=60)

NS_PER_DAY = 86_400 * 1_000_000_000
PER_MILLION = -6
PER_THOUSAND = -3

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Rate:
    """A price in USD per million tokens, and higher ones for long inputs.

    ``tiers`` are (input tokens that must be exceeded, price), ascending; the tier reached holds
    for all tokens of the call.
    """

    base_usd: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, input_tokens: int) -> Decimal:
        """Return the price for a call with this many input tokens."""
        for start, price_usd in reversed(self.tiers):
            if input_tokens > start:
                return price_usd
        return self.base_usd

    def times(self, factor: Decimal) -> Rate:
        """Return the rate multiplied by a factor."""
        return Rate(
            EXACT.multiply(self.base_usd, factor),
            tuple((start, EXACT.multiply(price_usd, factor)) for start, price_usd in self.tiers),
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """The unrounded result; ``reason`` is empty when every token known was priced."""

    input_usd: Decimal | None
    output_usd: Decimal | None
    reason: str


#: A bucket to be priced: its name, its tokens, its rate.
_Bucket = tuple[str, int, Rate | None]


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of a model at one time; ``None`` where there is none.

    ``request_usd`` and ``web_search_usd`` are fees per thousand.
    """

    input: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    audio_input: Rate | None = None
    output: Rate | None = None
    reasoning: Rate | None = None
    audio_output: Rate | None = None
    request_usd: Decimal | None = None
    cache_write_1h: Rate | None = None
    audio_cache_read: Rate | None = None
    image_input: Rate | None = None
    image_output: Rate | None = None
    web_search_usd: Decimal | None = None

    def over(self, below: Rates) -> Rates:
        """Return these rates, completed by those of ``below`` where there is none here."""
        given = {each.name: getattr(self, each.name) for each in fields(Rates)}
        return replace(below, **{name: value for name, value in given.items() if value is not None})

    def of_several_calls(self, input_tokens: int) -> tuple[Rates, str]:
        """Return the rates for the sum of an unknown number of calls, and what of it they cannot price.

        ``input_tokens`` is the sum: where it stays below all prices for long inputs, so did every call.
        """
        changed: dict[str, Any] = {"request_usd": None}
        longest = input_tokens
        for each in fields(Rates):
            rate = getattr(self, each.name)
            if isinstance(rate, Rate) and rate.tiers:
                changed[each.name] = Rate(rate.base_usd)
                longest = min(longest, *(start for start, _ in rate.tiers))
        missing = ["requests"] if self.request_usd is not None else []
        if input_tokens > longest:
            missing.append(f"calls of more than {longest} input tokens")
        return replace(self, **changed), "no_price_for: " + ", ".join(missing) if missing else ""

    def charge(self, usage: Usage) -> Charge:
        """Return what this usage costs at these rates."""
        missing: list[str] = []
        unsaid: list[str] = []
        input_usd = output_usd = None
        input_tokens = usage.input_tokens
        if input_tokens is None:
            unsaid.append("input_tokens")
        else:
            input_usd = self._input(usage, input_tokens, missing)
        if usage.output_tokens is not None:
            output_usd = self._output(usage, usage.output_tokens, input_tokens or 0, missing)
            unsaid += self._untold(usage)
        elif self.output is not None:
            unsaid.append("output_tokens")
        if not missing and not unsaid:
            return Charge(input_usd, output_usd, "")
        reason = "no_price_for: " + ", ".join(missing) if missing else "no_usage: " + ", ".join(unsaid)
        if not input_usd and not output_usd:
            # What is known comes to nothing, and something is unknown: that is not a price of zero.
            return Charge(None, None, reason)
        return Charge(input_usd, output_usd, reason)

    def _input(self, usage: Usage, total: int, missing: list[str]) -> Decimal | None:
        rest = total
        buckets: list[_Bucket] = []
        if usage.cache_read_tokens:
            rest -= self._cache_reads(usage, min(usage.cache_read_tokens, rest), buckets)
        if usage.cache_write_tokens:
            rest -= self._cache_writes(usage, min(usage.cache_write_tokens, rest), buckets)
        if usage.audio_input_tokens:
            heard = min(max(usage.audio_input_tokens - (usage.audio_cache_read_tokens or 0), 0), rest)
            buckets.append(("audio_input_tokens", heard, self.audio_input))
            rest -= heard
        if usage.image_input_tokens and self.image_input is not None:
            seen = min(usage.image_input_tokens, rest)
            buckets.append(("image_input_tokens", seen, self.image_input))
            rest -= seen
        buckets.append(("input_tokens", rest, self.input))
        amount = _sum(buckets, total, missing)
        if self.request_usd is not None:
            amount = EXACT.add(amount or _ZERO, self.request_usd.scaleb(PER_THOUSAND, EXACT))
        if usage.web_search_requests:
            amount = self._web_searches(usage.web_search_requests, amount, missing)
        return amount

    def _cache_reads(self, usage: Usage, read: int, buckets: list[_Bucket]) -> int:
        heard = min(usage.audio_cache_read_tokens or 0, read)
        if heard and self.audio_cache_read is not None:
            buckets.append(("audio_cache_read_tokens", heard, self.audio_cache_read))
        else:
            heard = 0
        buckets.append(("cache_read_tokens", read - heard, self.cache_read))
        return read

    def _cache_writes(self, usage: Usage, written: int, buckets: list[_Bucket]) -> int:
        five_minutes = self.cache_write or self.input
        hour = min(usage.cache_write_1h_tokens or 0, written)
        if hour:
            buckets.append(("cache_write_1h_tokens", hour, self.cache_write_1h or five_minutes))
        buckets.append(("cache_write_tokens", written - hour, five_minutes))
        return written

    def _web_searches(self, searches: int, amount: Decimal | None, missing: list[str]) -> Decimal | None:
        if self.web_search_usd is None:
            missing.append("web_search_requests")
            return amount
        fee = EXACT.multiply(self.web_search_usd, searches).scaleb(PER_THOUSAND, EXACT)
        return EXACT.add(amount or _ZERO, fee)

    def _untold(self, usage: Usage) -> list[str]:
        """Return what of the output has a price of its own and may be in the total without being told apart."""
        if not usage.output_tokens:
            return []
        kinds = (("audio_output_tokens", self.audio_output), ("image_output_tokens", self.image_output))
        return [name for name, rate in kinds if rate not in (None, self.output) and getattr(usage, name) is None]

    def _output(self, usage: Usage, total: int, input_tokens: int, missing: list[str]) -> Decimal | None:
        rest = total
        buckets: list[_Bucket] = []
        if usage.audio_output_tokens:
            spoken = min(usage.audio_output_tokens, rest)
            buckets.append(("audio_output_tokens", spoken, self.audio_output))
            rest -= spoken
        if usage.image_output_tokens and self.image_output is not None:
            drawn = min(usage.image_output_tokens, rest)
            buckets.append(("image_output_tokens", drawn, self.image_output))
            rest -= drawn
        if usage.reasoning_tokens and self.reasoning is not None:
            thought = min(usage.reasoning_tokens, rest)
            buckets.append(("reasoning_tokens", thought, self.reasoning))
            rest -= thought
        buckets.append(("output_tokens", rest, self.output))
        return _sum(buckets, input_tokens, missing)


def _sum(buckets: list[_Bucket], input_tokens: int, missing: list[str]) -> Decimal | None:
    """Return the price of the buckets that have one, nothing if none of the filled ones has; note the others."""
    amount: Decimal | None = None
    unpriced = False
    for name, tokens, rate in buckets:
        if not tokens:
            continue
        if rate is None:
            missing.append(name)
            unpriced = True
            continue
        millions = rate.at(input_tokens) if rate.tiers else rate.base_usd
        part = EXACT.multiply(millions, tokens).scaleb(PER_MILLION, EXACT)
        amount = part if amount is None else EXACT.add(amount, part)
    if amount is None and not unpriced:
        return _ZERO
    return amount


@dataclass(frozen=True, slots=True)
class Period:
    """When some rates hold: from a time on, and, where the price changes by hour, for a part of the day (UTC).

    A part that ends before it begins runs over midnight.
    """

    rates: Rates
    from_ns: int = 0
    day_part_ns: tuple[int, int] | None = None

    def holds(self, time_ns: int) -> bool:
        """Tell whether these rates hold at a time."""
        if self.day_part_ns is None:
            return time_ns >= self.from_ns
        begin, end = self.day_part_ns
        of_day = time_ns % NS_PER_DAY
        return begin <= of_day < end if begin <= end else of_day >= begin or of_day < end


@dataclass(frozen=True, slots=True)
class Variant:
    """Prices that a service tier has in place of the standard ones, for as long as ``period`` holds."""

    tier: str
    period: Period


@dataclass(frozen=True, slots=True)
class Discount:
    """A published rule: in this tier the named rates are the standard ones times ``factor``."""

    tier: str
    factor: Decimal
    rates: tuple[str, ...]

    def of(self, standard: Rates) -> Rates:
        """Return the discounted rates."""
        named = {name: getattr(standard, name) for name in self.rates}
        return replace(standard, **{name: rate.times(self.factor) for name, rate in named.items() if rate})


@dataclass(frozen=True, slots=True)
class Tariff:
    """All rates a model ever had; later periods win, and the first holds where none does."""

    periods: tuple[Period, ...]
    variants: tuple[Variant, ...] = ()
    discounts: tuple[Discount, ...] = ()

    def at(self, time_ns: int) -> Rates:
        """Return the standard rates at a time; the newest for 0, which stands for a time unknown."""
        if len(self.periods) == 1 or time_ns <= 0:
            return self.periods[-1].rates
        return next((period.rates for period in reversed(self.periods) if period.holds(time_ns)), self.periods[0].rates)

    def find(self, time_ns: int, tier: str) -> tuple[Rates, str, str]:
        """Return the rates of a service tier at a time, their source (``list``, ``rule``) and what they lack.

        A tier that nobody published a price for is charged as standard, and the last tells so.
        """
        standard = self.at(time_ns)
        holding = [
            each.period.rates
            for each in self.variants
            if each.tier == tier and (time_ns <= 0 or each.period.holds(time_ns))
        ]
        if holding:
            # The first variant wins, so it is laid on last.
            for rates in reversed(holding):
                standard = rates.over(standard)
            return standard, "list", ""
        for discount in self.discounts:
            if discount.tier == tier:
                return discount.of(standard), "rule", ""
        return standard, "list", f"no_price_for: service tier {tier}"


@lru_cache(maxsize=1)
def free_rates() -> Rates:
    """Return the rates of a model that is given away."""
    nothing = Rate(Decimal(0))
    return Rates(input=nothing, cache_read=nothing, audio_input=nothing, output=nothing, audio_output=nothing)
