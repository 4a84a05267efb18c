"""Calls of models with every kind of token, priced by the price room as the pipeline does."""

from __future__ import annotations

import random
from decimal import Decimal

from spanhouse_server.model.prices import OwnPrice
from spanhouse_server.model.span import Cost, Span, Usage
from spanhouse_server.price import OwnPrices, price
from tests.stored import T0, span

OWN = (
    OwnPrice("o1", "default", "house-*", {"input_usd_per_mtok": Decimal("0.1"), "output_usd_per_mtok": Decimal("0.3"),
                                          "request_usd_per_k": Decimal("0.5")}, above_input_tokens=500),
    OwnPrice("o2", "default", "house-*", {"input_usd_per_mtok": Decimal("0.07"), "output_usd_per_mtok": Decimal("0.2"),
                                          "cache_read_usd_per_mtok": Decimal("0.01")}, from_ns=T0 + 3600 * 10**9),
)  # fmt: skip
MODELS = (
    ("openai", "gpt-4o-mini"), ("openai", "gpt-5.1"), ("anthropic", "claude-sonnet-4-5"), ("gcp.gemini", "gemini-2.5-pro"),
    ("", "house-large"),
)  # fmt: skip
TIERS = ("", "", "", "batch", "priority", "flex")


def calls(count: int, seed: int, model: tuple[str, str] | None = None) -> list[Span]:
    """Return calls over two hours by several users, some of them failed, silent or without a price."""
    dice = random.Random(seed)
    made = []
    for number in range(count):
        provider, name = model or dice.choice(MODELS)
        call = span(
            f"{seed}-{number}", "chat", start_s=dice.randrange(7200), category="llm", operation="chat",
            provider=provider, request_model=name, response_model=name, user_id=dice.choice(["ann", "bob", ""]),
            tags=dice.sample(["x", "y", "z"], dice.randrange(3)), metadata={"team": dice.choice(["a", "b"])},
        )  # fmt: skip
        given, gave = dice.choice([10, 900, 40_000, 250_000]) + dice.randrange(100), dice.randrange(2000)
        usage = Usage(given, gave, basis="inclusive", service_tier=dice.choice(TIERS))
        if dice.random() < 0.5:
            usage.cache_read_tokens = dice.randrange(given)
            usage.cache_write_tokens = dice.randrange(given)
            usage.cache_write_1h_tokens = dice.randrange(given)
        if dice.random() < 0.2:
            usage.audio_input_tokens, usage.audio_output_tokens = dice.randrange(50), dice.randrange(50)
            usage.image_input_tokens = dice.randrange(50)
        if dice.random() < 0.5:
            usage.reasoning_tokens = dice.randrange(gave + 1)
        if dice.random() < 0.1:
            usage.output_tokens = None
        if dice.random() < 0.05:
            usage = Usage()
        call.usage = usage
        call.cost = Cost()
        call.cost = price(call, OwnPrices(OWN))
        made.append(call)
    return made


def total(spans: list[Span]) -> Decimal:
    """Return what calls cost by their own figures."""
    return sum((each.cost.total_usd or Decimal(0) for each in spans), Decimal(0))
