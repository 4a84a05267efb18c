"""The golden sums once more, by prices typed from the providers' pages and plain decimals: no list, no tariff."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.golden.case import Truth, truth_of
from tests.golden.test_golden import settled_traces

#: US dollars per million tokens: plain input, output, cached input, input written to the cache (five minutes).
PRICES = {
    "claude-sonnet-4-5-20250929": ("3", "15", "0.30", "3.75"),
    "gemini-2.5-flash": ("0.30", "2.50", "0.03", "0"),
    "gpt-4o-2024-08-06": ("2.50", "10", "1.25", "0"),
    "gpt-4o-mini-2024-07-18": ("0.15", "0.60", "0.075", "0"),
    "gpt-5-2025-08-07": ("1.25", "10", "0.125", "0"),
    "text-embedding-3-small": ("0.02", "0", "0", "0"),
}


def bill(truth: Truth) -> Decimal:
    """Return what a provider's own invoice would say of a call, in US dollars."""
    plain, output, read, written = map(Decimal, PRICES[truth.model])
    rest = (truth.input_tokens or 0) - truth.cache_read_tokens - truth.cache_write_tokens
    millionths = rest * plain + (truth.output_tokens or 0) * output
    millionths += truth.cache_read_tokens * read + truth.cache_write_tokens * written
    return millionths / 1_000_000


CASES = (
    *("google_genai_chat", "google_genai_tools", "langfuse_tools", "logfire_anthropic_chat", "logfire_responses"),
    *("openai_v2_latest_embeddings", "genai_openai_chat", "pydantic_ai_anthropic_chat", "pydantic_ai_v6_tools"),
    *("openinference_openai_responses", "vercel_latest_anthropic_chat", "vercel_latest_tools"),
)


@pytest.mark.parametrize("case", CASES)
def test_golden_sums(case: str) -> None:
    traces = [trace for _, trace in settled_traces(case)]
    billed = sum(bill(truth) for truth in truth_of(case))
    assert billed > 0
    assert sum(trace.cost_usd or 0 for trace in traces) == billed


def test_every_model_of_the_list_above_is_billed_and_so_are_cached_tokens() -> None:
    truths = [truth for case in CASES for truth in truth_of(case)]
    assert {truth.model for truth in truths} == set(PRICES)
    assert any(truth.cache_read_tokens for truth in truths)
    assert any(truth.cache_write_tokens for truth in truths)
