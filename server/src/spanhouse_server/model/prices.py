"""A project's own prices: what someone set by hand, to hold in place of the public lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

#: What an own price may say, and its unit: USD per million tokens, or per thousand of something.
RATE_NAMES = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "reasoning_usd_per_mtok",
    "audio_input_usd_per_mtok",
    "audio_cache_read_usd_per_mtok",
    "audio_output_usd_per_mtok",
    "image_input_usd_per_mtok",
    "image_output_usd_per_mtok",
    "web_search_usd_per_k",
    "request_usd_per_k",
)


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """One price of a project.

    ``model`` is a model's name, or the beginning of one with ``*`` at its end; case is ignored.
    Empty ``provider`` and ``service_tier`` stand for any. The price holds for calls that start in
    ``[from_ns, until_ns)`` (``None``: without end) with more than ``above_input_tokens`` input
    tokens. ``rates`` has keys of ``RATE_NAMES``; what it leaves out has no price.
    """

    id: str
    project_id: str
    model: str
    rates: Mapping[str, Decimal]
    provider: str = ""
    service_tier: str = ""
    above_input_tokens: int = 0
    from_ns: int = 0
    until_ns: int | None = None
    created_ns: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The own prices of some projects. ``version`` changes whenever any of them does."""

    version: str = ""
    prices: Mapping[str, tuple[OwnPrice, ...]] = field(default_factory=dict)

    def only(self, project_ids: Iterable[str]) -> PriceBook:
        """Return the part of the book about these projects: what is worth handing to another process."""
        if not self.prices:
            return self
        return PriceBook(self.version, {each: self.prices[each] for each in set(project_ids) if each in self.prices})


NO_PRICES = PriceBook()
