"""What one model costs: rates per token bucket, and which rates hold at which time.

Buckets are disjoint. Input: cache reads, cache writes, audio, the rest; output: reasoning, audio, the
rest. Some prices stand in for others, because that is how providers bill:

- a cache write without a price of its own costs what uncached input costs;
- reasoning without a price of its own costs what output costs;
- cache reads and audio without a price of their own have none: the result is partial.

``Usage`` does not say how much of the audio was read from a cache, whether a cache write lives five
minutes or an hour, or which part of input were images: those are taken as uncached, five minutes and
text. A fee per request counts as input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache

from spanhouse_server.model.span import Usage

#: Wide enough that no product or sum of prices and counts is ever rounded on the way.
EXACT = Context(prec=60)

NS_PER_DAY = 86_400 * 1_000_000_000
PER_MILLION = -6
PER_THOUSAND = -3


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


@dataclass(frozen=True, slots=True)
class Charge:
    """The unrounded result; ``reason`` is empty when every token known was priced."""

    input_usd: Decimal | None
    output_usd: Decimal | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of a model at one time; ``None`` where there is none.

    ``request_usd`` is a fee per thousand requests.
    """

    input: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    audio_input: Rate | None = None
    output: Rate | None = None
    reasoning: Rate | None = None
    audio_output: Rate | None = None
    request_usd: Decimal | None = None

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
        read = min(usage.cache_read_tokens or 0, total)
        written = min(usage.cache_write_tokens or 0, total - read)
        audio = min(usage.audio_input_tokens or 0, total - read - written)
        buckets = (
            ("cache_read_tokens", read, self.cache_read),
            ("cache_write_tokens", written, self.cache_write or self.input),
            ("audio_input_tokens", audio, self.audio_input),
            ("input_tokens", total - read - written - audio, self.input),
        )
        amount = _sum(buckets, total, missing)
        if self.request_usd is None:
            return amount
        return EXACT.add(amount or Decimal(0), self.request_usd.scaleb(PER_THOUSAND, EXACT))

    def _output(self, usage: Usage, total: int, input_tokens: int, missing: list[str]) -> Decimal | None:
        audio = min(usage.audio_output_tokens or 0, total)
        reasoning = min(usage.reasoning_tokens or 0, total - audio) if self.reasoning is not None else 0
        buckets = (
            ("audio_output_tokens", audio, self.audio_output),
            ("reasoning_tokens", reasoning, self.reasoning),
            ("output_tokens", total - audio - reasoning, self.output),
        )
        return _sum(buckets, input_tokens, missing)


def _sum(buckets: Sequence[tuple[str, int, Rate | None]], input_tokens: int, missing: list[str]) -> Decimal | None:
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
        return Decimal(0)
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
class Tariff:
    """All rates a model ever had; later periods win, and the first holds where none does."""

    periods: tuple[Period, ...]

    def at(self, time_ns: int) -> Rates:
        """Return the rates at a time; the newest for 0, which stands for a time unknown."""
        if len(self.periods) == 1 or time_ns <= 0:
            return self.periods[-1].rates
        return next((period.rates for period in reversed(self.periods) if period.holds(time_ns)), self.periods[0].rates)


@lru_cache(maxsize=1)
def free_rates() -> Rates:
    """Return the rates of a model that is given away."""
    nothing = Rate(Decimal(0))
    return Rates(input=nothing, cache_read=nothing, audio_input=nothing, output=nothing, audio_output=nothing)
