"""Finer buckets, service tiers and published discounts: figures worked out by hand from the vendors' lists."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import types
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.model.span import Usage
from spanhouse_server.model.tiers import fold_tier
from spanhouse_server.price import QUANTUM_USD, price
from tests.unit.price.test_price import NOVEMBER_2026_NS, span

MARCH_2026_NS = 1_773_000_000 * 10**9
BATCHED = [
    (provider.id, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if isinstance(model.match, types.ClauseEquals)
    and any(variant.when == {"processing": "batch"} for variant in model.price_variants or ())
]


def usage(given: int, made: int, **more: object) -> Usage:
    return Usage(given, made, **more)  # type: ignore[arg-type]


def test_cache_writes_for_an_hour_cost_more_than_for_five_minutes():
    cost = price(
        span("anthropic", "claude-sonnet-4-5", usage(4000, 0, cache_write_tokens=3000, cache_write_1h_tokens=2000))
    )
    # 1000 at $3, 1000 at $3.75, 2000 at $6 per million.
    assert (cost.input_usd, cost.status) == (Decimal("0.01875"), "priced")


def test_an_hours_cache_write_of_claude_is_twice_the_input_where_no_list_says():
    info = get_snapshot().find_provider_model("claude-opus-5", None, "github-copilot", None)[1]
    assert info.prices.cache_write_1h_mtok is None
    cost = price(
        span("github-copilot", "claude-opus-5", usage(1000, 0, cache_write_tokens=1000, cache_write_1h_tokens=1000))
    )
    assert cost.input_usd == 2 * info.prices.input_mtok / 1000


def test_an_hours_cache_write_elsewhere_costs_what_five_minutes_cost():
    cost = price(span(usage=usage(1000, 0, cache_write_tokens=1000, cache_write_1h_tokens=1000)))
    assert cost.input_usd == Decimal("0.0025")


def test_more_of_a_part_than_there_is_of_the_whole():
    cost = price(span("anthropic", "claude-sonnet-4-5", usage(10, 0, cache_write_tokens=5, cache_write_1h_tokens=99)))
    assert cost.input_usd == (5 * Decimal(3) + 5 * Decimal(6)) / 1_000_000


def test_cached_audio_has_its_own_price():
    given = usage(1000, 0, cache_read_tokens=500, audio_input_tokens=400, audio_cache_read_tokens=300)
    cost = price(span("gcp.gemini", "gemini-2.5-flash", given))
    # 300 cached audio at $0.10, 200 cached text at $0.03, 100 audio at $1, 400 text at $0.30 per million.
    assert cost.input_usd == Decimal("0.000256")


def test_images_cost_their_own_price_or_what_text_costs():
    own = price(span("gcp.gemini", "gemini-2.5-flash-image", usage(100, 1300, image_output_tokens=1290)))
    assert own.output_usd == (1290 * Decimal(30) + 10 * Decimal("2.5")) / 1_000_000
    as_text = price(span(usage=usage(1000, 0, image_input_tokens=765)))
    assert (as_text.input_usd, as_text.status) == (Decimal("0.0025"), "priced")


def test_web_searches_are_a_fee_and_never_free():
    cost = price(span("anthropic", "claude-sonnet-4-5", usage(1000, 0, web_search_requests=3)))
    assert cost.input_usd == Decimal("0.003") + Decimal("0.03")
    unknown = price(span("mistral_ai", "mistral-large-latest", usage(1000, 10, web_search_requests=3)))
    assert (unknown.status, unknown.reason) == ("partial", "no_price_for: web_search_requests")


def test_tool_use_prompts_cost_what_input_costs():
    assert price(span(usage=usage(1000, 0, tool_use_tokens=400))).input_usd == Decimal("0.0025")


@pytest.mark.parametrize(
    ("tier", "time_ns", "total", "source"),
    [
        ("", NOVEMBER_2026_NS, "0.00625", "list"),
        ("flex", NOVEMBER_2026_NS, "0.003125", "list"),
        ("priority", NOVEMBER_2026_NS, "0.0125", "list"),
        ("batch", NOVEMBER_2026_NS, "0.003125", "list"),
        # Before the list knew of it, the published half.
        ("batch", MARCH_2026_NS, "0.003125", "rule"),
        ("flex", MARCH_2026_NS, "0.003125", "rule"),
    ],
)
def test_service_tiers(tier, time_ns, total, source):
    cost = price(span(model="gpt-5", usage=usage(1000, 500, service_tier=tier), start_ns=time_ns))
    assert (cost.total_usd, cost.source, cost.status) == (Decimal(total), source, "priced")


def test_a_tier_without_a_published_price_is_charged_as_standard_and_says_so():
    early = price(span(model="gpt-5", usage=usage(1000, 500, service_tier="priority"), start_ns=MARCH_2026_NS))
    assert (early.status, early.reason) == ("partial", "no_price_for: service tier priority")
    assert early.total_usd == Decimal("0.00625")
    both = price(span(model="gpt-5", usage=usage(1000, 500, service_tier="scale", audio_input_tokens=5)))
    assert both.reason == "no_price_for: service tier scale, audio_input_tokens"
    unsaid = price(span(model="gpt-5", usage=Usage(1000, service_tier="scale")))
    assert unsaid.reason == "no_usage: output_tokens"


def test_batch_halves_claudes_cache_prices_but_not_its_searches():
    given = usage(
        4000, 1000, cache_read_tokens=1000, cache_write_tokens=1000, web_search_requests=1, service_tier="batch"
    )
    standard = price(
        span("anthropic", "claude-sonnet-4-5", usage(4000, 1000, cache_read_tokens=1000, cache_write_tokens=1000))
    )
    for time_ns, source in ((NOVEMBER_2026_NS, "list"), (MARCH_2026_NS, "rule")):
        cost = price(span("anthropic", "claude-sonnet-4-5", given, start_ns=time_ns))
        assert cost.total_usd == standard.total_usd / 2 + Decimal("0.01")
        assert cost.source == source


def test_batch_leaves_geminis_cached_input_at_its_price():
    given = usage(2000, 0, cache_read_tokens=1000, service_tier="batch")
    cost = price(span("gcp.gemini", "gemini-2.5-flash", given, start_ns=MARCH_2026_NS))
    assert cost.input_usd == (1000 * Decimal("0.15") + 1000 * Decimal("0.03")) / 1_000_000


def test_context_and_service_tier_together():
    given = usage(200_001, 10, service_tier="batch")
    cost = price(span("anthropic", "claude-sonnet-4-5", given))
    assert cost.input_usd == Decimal("0.600003")


@settings(max_examples=150, deadline=None)
@given(
    pick=st.sampled_from(BATCHED),
    second=st.integers(1_792_300_000, 1_800_000_000),
    tokens=st.tuples(*[st.integers(0, 300_000)] * 3),
)
def test_batch_prices_agree_with_the_library(pick, second, tokens):
    provider_id, model = pick
    plain, read, output = tokens
    got = price(
        span(
            provider_id,
            model.match.equals,
            usage(plain + read, output, cache_read_tokens=read, service_tier="batch"),
            start_ns=second * 10**9,
        )
    )
    if got.status != "priced" or got.source != "list":
        return
    expected = get_snapshot().calc(
        types.Usage(input_tokens=plain + read, output_tokens=output, cache_read_tokens=read),
        model.match.equals, provider_id, None, datetime.fromtimestamp(second, UTC), {"processing": "batch"},
    )  # fmt: skip
    assert abs(got.total_usd - expected.total_price) <= QUANTUM_USD


@pytest.mark.parametrize(
    ("written", "tier"),
    [
        ("default", ""), ("auto", ""), ("STANDARD", ""), ("on-demand", ""), ("", ""), (None, ""), (5, ""),
        ("Flex", "flex"), ("priority", "priority"), ("ON_DEMAND_PRIORITY", "priority"), (" batch ", "batch"),
        ("x" * 99, "x" * 40),
    ],
)  # fmt: skip
def test_tiers_fold(written, tier):
    assert fold_tier(written) == tier
