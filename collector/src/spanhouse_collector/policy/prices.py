"""What a call cost, for budgets in money: what the provider says, the operator's prices, the public list.

The public list is the ``genai-prices`` package, used when it is installed. A budget wants to know early
and about, not to the last digit: batch and priority tiers are not told apart here (the server does that
for what it shows). What cannot be priced is ``None``, never zero.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

_PER_TOKENS = Decimal(1_000_000)
#: Our names of upstreams, where the list has another.
_PROVIDER_IDS = {"gemini": "google", "vertex": "google", "bedrock": "aws", "xai": "x-ai"}


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The operator's own price of a model, USD per million tokens."""

    input_usd: Decimal
    output_usd: Decimal


class Prices:
    """Prices calls by the summary the recorder gives (models, tokens, the provider's own cost)."""

    def __init__(self, own: Mapping[str, ModelPrice] | None = None) -> None:
        self._own = dict(own or {})
        self._has_list = importlib.util.find_spec("genai_prices") is not None
        self._list: Any = None

    @property
    def any(self) -> bool:
        """Tell whether calls can be priced at all, beyond what providers say themselves."""
        return bool(self._own) or self._has_list

    def load(self) -> None:
        """Load the public list (a quarter of a second, once); else the first call that is priced does."""
        if self._has_list and self._list is None:
            self._list = importlib.import_module("genai_prices")

    def cost_usd(self, provider: str, summary: Mapping[str, Any]) -> Decimal | None:
        """Return the cost of a call, ``None`` when it is not known."""
        said = _decimal(summary.get("cost_usd"))
        if said is not None:
            return said
        tokens_in, tokens_out = summary.get("input_tokens"), summary.get("output_tokens")
        if tokens_in is None and tokens_out is None:
            return None
        models = [name for name in (summary.get("response_model"), summary.get("request_model")) if name]
        for model in models:
            price = self._own.get(model)
            if price is not None:
                return (price.input_usd * (tokens_in or 0) + price.output_usd * (tokens_out or 0)) / _PER_TOKENS
        for model in models:
            listed = self._listed(provider, model, summary)
            if listed is not None:
                return listed
        return None

    def _listed(self, provider: str, model: str, summary: Mapping[str, Any]) -> Decimal | None:
        self.load()
        if self._list is None:
            return None
        usage = self._list.Usage(
            input_tokens=summary.get("input_tokens") or 0,
            output_tokens=summary.get("output_tokens") or 0,
            cache_read_tokens=summary.get("cache_read_tokens"),
            cache_write_tokens=summary.get("cache_write_tokens"),
        )
        try:
            found = self._list.calc_price(usage, model, provider_id=_PROVIDER_IDS.get(provider, provider))
        except (LookupError, ValueError):
            return None
        return _decimal(found.total_price)


def _decimal(value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(value)) if value is not None else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and amount >= 0 else None
