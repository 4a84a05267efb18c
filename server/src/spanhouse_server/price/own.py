"""A project's own prices at work: which of them holds for a call.

They go before the public lists. Of several that fit, the most specific holds: a whole name before a
beginning of one (and a longer beginning before a shorter), then a named provider, then a named
service tier, then the larger number of input tokens exceeded, then the later date, then the one
made last. The model served decides; the one asked for does where nothing was served, or a dated
snapshot of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from spanhouse_server.model.names import is_snapshot_of
from spanhouse_server.model.prices import OwnPrice, PriceBook
from spanhouse_server.model.span import Span
from spanhouse_server.price.tariff import Rate, Rates

_RATE = {
    "input_usd_per_mtok": "input",
    "output_usd_per_mtok": "output",
    "cache_read_usd_per_mtok": "cache_read",
    "cache_write_usd_per_mtok": "cache_write",
    "cache_write_1h_usd_per_mtok": "cache_write_1h",
    "reasoning_usd_per_mtok": "reasoning",
    "audio_input_usd_per_mtok": "audio_input",
    "audio_cache_read_usd_per_mtok": "audio_cache_read",
    "audio_output_usd_per_mtok": "audio_output",
    "image_input_usd_per_mtok": "image_input",
    "image_output_usd_per_mtok": "image_output",
}
_FEE = {"web_search_usd_per_k": "web_search_usd", "request_usd_per_k": "request_usd"}


@dataclass(frozen=True, slots=True)
class _Entry:
    rank: tuple[bool, int, bool, bool, int, int, int, str]
    model: str
    whole: bool
    price: OwnPrice
    rates: Rates

    def fits(self, name: str) -> bool:
        return name == self.model if self.whole else name.startswith(self.model)

    def holds(self, span: Span, time_ns: int) -> bool:
        price = self.price
        if price.provider and price.provider != span.provider:
            return False
        if price.service_tier and price.service_tier != span.usage.service_tier:
            return False
        if price.above_input_tokens and (span.usage.input_tokens or 0) <= price.above_input_tokens:
            return False
        # A span without times is priced as of now, as the public lists do.
        if time_ns <= 0:
            return price.until_ns is None
        return price.from_ns <= time_ns and (price.until_ns is None or time_ns < price.until_ns)


class OwnPrices:
    """The own prices of one project, most specific first."""

    def __init__(self, prices: Iterable[OwnPrice]) -> None:
        self._entries = sorted((_entry(price) for price in prices), key=lambda each: each.rank, reverse=True)

    def find(self, span: Span, time_ns: int) -> tuple[Rates, str] | None:
        """Return the rates that hold for the model served and the id of their price, if there are any."""
        served, asked = span.response_model.lower(), span.request_model.lower()
        found = self._named(served or asked, span, time_ns)
        if found is None and is_snapshot_of(served, asked):
            found = self._named(asked, span, time_ns)
        return found

    def find_asked(self, span: Span, time_ns: int) -> tuple[Rates, str] | None:
        """Return the rates of the model asked for: the last resort, when what was served has no price at all."""
        return self._named(span.request_model.lower(), span, time_ns)

    def _named(self, name: str, span: Span, time_ns: int) -> tuple[Rates, str] | None:
        if not name:
            return None
        for entry in self._entries:
            if entry.fits(name) and entry.holds(span, time_ns):
                return entry.rates, entry.price.id
        return None


def _entry(price: OwnPrice) -> _Entry:
    model = price.model.lower()
    whole = not model.endswith("*")
    model = model.removesuffix("*")
    rank = (
        whole,
        len(model),
        bool(price.provider),
        bool(price.service_tier),
        price.above_input_tokens,
        price.from_ns,
        price.created_ns,
        price.id,
    )
    return _Entry(rank, model, whole, price, _rates(price))


def _rates(price: OwnPrice) -> Rates:
    rates = {_RATE[name]: Rate(value) for name, value in price.rates.items() if name in _RATE}
    fees: dict[str, Decimal] = {_FEE[name]: value for name, value in price.rates.items() if name in _FEE}
    return Rates(**rates, **fees)  # type: ignore[arg-type]


_compiled: tuple[PriceBook, dict[str, OwnPrices]] | None = None


def own_prices(book: PriceBook, project_id: str) -> OwnPrices | None:
    """Return the own prices of a project, ready for use; nothing where it has none."""
    global _compiled
    if project_id not in book.prices:
        return None
    compiled = _compiled
    if compiled is None or compiled[0] is not book:
        compiled = _compiled = (book, {})
    ready = compiled[1].get(project_id)
    if ready is None:
        ready = compiled[1][project_id] = OwnPrices(book.prices[project_id])
    return ready
