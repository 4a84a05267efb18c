"""Tariffs of models as such, without a call: to ask what some traffic would cost with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Span, Usage
from spanhouse_server.price import OwnPrices, find_rates
from spanhouse_server.price.catalogue import find_tariff
from spanhouse_server.price.tariff import Period, Rate, Rates, Tariff


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a provider; an empty provider stands for the one vendor that sells the name."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        """Return the target as it is written."""
        return f"{self.provider}/{self.model}" if self.provider else self.model


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the rates of a target change: calls between the same bounds have the same rates.

    ``times_ns`` are starts of periods, ``of_day_ns`` hours of the day (UTC), ``input_tokens`` lengths to exceed.
    """

    times_ns: tuple[int, ...] = ()
    of_day_ns: tuple[int, ...] = ()
    input_tokens: tuple[int, ...] = ()


def target_of(text: str, own: OwnPrices | None) -> Target:
    """Return the model that ``text`` names, as ``provider/model`` or by its name alone.

    Names of models have slashes too, so the provider is only split off where that gives a price.
    """
    name = text.strip()
    provider, slash, model = name.partition("/")
    if slash and provider and model:
        target = Target(provider.lower(), model)
        if rates_for(target, 0, Usage(), own)[0] is not None:
            return target
    return Target("", name)


def rates_for(target: Target, at_ns: int, usage: Usage, own: OwnPrices | None) -> tuple[Rates | None, str]:
    """Return the rates of a call with this usage at a time, or nothing, and what they lack."""
    span = model_span(target.provider, target.model, target.model, at_ns, usage)
    rates, _, lacking = find_rates(span, at_ns, own)
    return rates, lacking


def model_span(provider: str, request_model: str, response_model: str, at_ns: int, usage: Usage | None = None) -> Span:
    """Return a call of a model with nothing else to it."""
    raw = RawSpan(
        trace_id="", span_id="", parent_span_id="", name="", kind="client", start_ns=at_ns, end_ns=at_ns,
        status_code="unset", status_message="", attributes={}, events=[], links=[], resource={}, scope=Scope(""),
    )  # fmt: skip
    return Span(
        raw=raw,
        category="llm",
        provider=provider,
        request_model=request_model,
        response_model=response_model,
        usage=usage or Usage(),
    )


def bounds_of(target: Target, own: Sequence[OwnPrice]) -> Bounds:
    """Return where the rates of a target may change: by the public list, or by any of the project's own prices."""
    times = {each.from_ns for each in own} | {each.until_ns for each in own if each.until_ns is not None}
    lengths = {each.above_input_tokens for each in own}
    of_day: set[int] = set()
    tariff = find_tariff(target.provider, target.model, target.model, {})[0]
    for period in _periods(tariff):
        times.add(period.from_ns)
        of_day.update(period.day_part_ns or ())
        for each in fields(Rates):
            rate = getattr(period.rates, each.name)
            if isinstance(rate, Rate):
                lengths.update(start for start, _ in rate.tiers)
    return Bounds(_sorted(times), _sorted(of_day), _sorted(lengths))


def flat(rates: Rates, input_tokens: int) -> Rates:
    """Return the rates that hold for calls of this length, without tiers."""
    values: dict[str, Any] = {}
    for each in fields(Rates):
        rate = getattr(rates, each.name)
        values[each.name] = Rate(rate.at(input_tokens)) if isinstance(rate, Rate) else rate
    return Rates(**values)


def _periods(tariff: Tariff | None) -> list[Period]:
    if tariff is None:
        return []
    return [*tariff.periods, *(variant.period for variant in tariff.variants)]


def _sorted(values: set[int]) -> tuple[int, ...]:
    return tuple(sorted(value for value in values if value > 0))
