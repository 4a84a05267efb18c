"""What calls cost: figures worked out by hand from the vendors' lists, and every reason not to price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Cost, Span, Usage
from spanhouse_server.price import price

NOVEMBER_2026_NS = 1_795_000_000 * 10**9
DAY_NS = 86_400 * 10**9


def span(
    provider: str = "openai",
    model: str = "gpt-4o",
    usage: Usage | None = None,
    *,
    start_ns: int = NOVEMBER_2026_NS,
    attributes: dict[str, Any] | None = None,
    **fields: Any,
) -> Span:
    raw = RawSpan(
        "t", "s", "", "chat", "client", start_ns, start_ns, "unset", "", attributes or {}, [], [], {}, Scope()
    )
    fields = {"category": "llm", "request_model": model, **fields}
    return Span(raw=raw, provider=provider, usage=usage or Usage(1000, 500), **fields)


def test_plain_call():
    cost = price(span())
    assert cost == Cost(Decimal("0.0075"), Decimal("0.0025"), Decimal("0.005"), None, "priced", "", "list")


def test_buckets_are_disjoint_cached_is_cheaper_and_reasoning_is_output():
    usage = Usage(1000, 500, cache_read_tokens=600, reasoning_tokens=300)
    cost = price(span(usage=usage))
    # 400 at $2.50, 600 at $1.25 and 500 at $10 per million.
    assert (cost.input_usd, cost.output_usd) == (Decimal("0.00175"), Decimal("0.005"))


def test_anthropic_cache_writes_cost_more():
    usage = Usage(10_000, 100, cache_read_tokens=6000, cache_write_tokens=3000)
    cost = price(span("anthropic", "claude-sonnet-4-5", usage))
    # 1000 at $3, 6000 at $0.30, 3000 at $3.75; 100 at $15 per million.
    assert (cost.input_usd, cost.output_usd) == (Decimal("0.01605"), Decimal("0.0015"))
    assert cost.status == "priced"


def test_a_cache_write_without_a_price_of_its_own_is_plain_input():
    cost = price(span(usage=Usage(1000, 0, cache_write_tokens=1000)))
    assert (cost.input_usd, cost.status) == (Decimal("0.0025"), "priced")


def test_long_input_reaches_the_higher_tier_for_all_tokens():
    below = price(span("anthropic", "claude-sonnet-4-5", Usage(200_000, 10)))
    above = price(span("anthropic", "claude-sonnet-4-5", Usage(200_001, 10)))
    assert (below.input_usd, below.output_usd) == (Decimal("0.6"), Decimal("0.00015"))
    assert (above.input_usd, above.output_usd) == (Decimal("1.200006"), Decimal("0.000225"))


def test_audio_has_its_own_price():
    usage = Usage(1000, 200, audio_input_tokens=400, audio_output_tokens=150)
    cost = price(span(model="gpt-4o-realtime-preview", usage=usage))
    # 600 at $5, 400 at $40; 50 at $20, 150 at $80 per million.
    assert (cost.input_usd, cost.output_usd) == (Decimal("0.019"), Decimal("0.013"))


def test_a_model_that_speaks_or_draws_has_a_whole_price_where_it_is_told_how_much():
    assert price(span(model="gpt-audio", usage=Usage(10, 2, audio_output_tokens=0))).status == "priced"
    assert price(span(model="gpt-audio", usage=Usage(10, 0))).status == "priced"
    drawn = Usage(10, 2, image_output_tokens=0)
    assert price(span("gcp.gemini", "gemini-2.5-flash-image", drawn)).status == "priced"


def test_price_of_the_day_and_of_the_hour():
    midnight_ns = NOVEMBER_2026_NS // DAY_NS * DAY_NS
    at_one, at_twenty = midnight_ns + DAY_NS // 24, midnight_ns + DAY_NS // 24 * 20
    million = Usage(1_000_000, 0)
    assert price(span("deepseek", "deepseek-chat", million, start_ns=at_one)).total_usd == Decimal("0.27")
    assert price(span("deepseek", "deepseek-chat", million, start_ns=at_twenty)).total_usd == Decimal("0.135")
    # OpenRouter listed a cheaper cache read for gpt-4o from 19 October 2026 on.
    cached = Usage(1000, 0, cache_read_tokens=1000)
    before = price(span("openrouter", "openai/gpt-4o", cached, start_ns=1_792_367_999 * 10**9))
    after = price(span("openrouter", "openai/gpt-4o", cached, start_ns=1_792_368_000 * 10**9))
    assert (before.status, after.status) == ("unpriced", "priced")
    assert price(span("openrouter", "openai/gpt-4o", cached, start_ns=0)).status == "priced"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("azure.ai.openai", "gpt-4o-2024-08-06"),
        ("aws.bedrock", "us.anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-5-sonnet-20240620-v1:0"),
        ("gcp.gemini", "models/gemini-2.5-flash"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929"),
        ("mistral_ai", "mistral-large-latest"),
        ("x_ai", "grok-3"),
        ("groq", "llama-3.3-70b-versatile"),
        ("cohere", "command-r-plus"),
        ("deepseek", "deepseek-chat"),
        ("perplexity", "sonar"),
        ("openai", "ft:gpt-4o-2024-08-06:acme::abc"),
        ("openai", "gpt-5.2-20251211"),
        ("fireworks_ai", "accounts/fireworks/models/deepseek-v3p2"),
        ("", "claude-sonnet-4-5"),
        ("", "openai/gpt-4o"),
    ],
)
def test_providers_map_to_price_lists(provider, model):
    cost = price(span(provider, model))
    assert cost.status == "priced", cost.reason
    assert cost.total_usd > 0


def test_fee_per_request_is_part_of_input_and_the_parts_add_up():
    cost = price(span("perplexity", "sonar", Usage(1000, 1000)))
    assert (cost.input_usd, cost.output_usd) == (Decimal("0.013"), Decimal("0.001"))
    assert cost.total_usd == cost.input_usd + cost.output_usd


def test_served_model_decides():
    cheap = price(span(response_model="gpt-4o-mini-2024-07-18"))
    assert cheap.total_usd == Decimal("0.00045")
    # Served by something else, unknown: the price asked for would be a guess.
    assert price(span(response_model="in-house-7b")).reason == "unknown_model: in-house-7b"
    # Served by a later snapshot of what was asked for.
    assert price(span(response_model="gpt-4o-2031-01-01")).status == "priced"


def test_embeddings_need_no_output():
    cost = price(span(model="text-embedding-3-small", usage=Usage(1000), category="embedding"))
    assert (cost.total_usd, cost.output_usd, cost.status) == (Decimal("0.00002"), None, "priced")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (span(usage=Usage(1000)), "no_usage: output_tokens"),
        (span(usage=Usage(None, 1000)), "no_usage: input_tokens"),
        (
            span("mistral_ai", "mistral-large-latest", Usage(10, 1, cache_read_tokens=4)),
            "no_price_for: cache_read_tokens",
        ),
        (
            span(model="gpt-4o-audio-preview", usage=Usage(10, 2, audio_input_tokens=5, audio_output_tokens=1)),
            "no_price_for: audio_input_tokens, audio_output_tokens",
        ),
        (span(model="gpt-audio", usage=Usage(10, 2)), "no_usage: audio_output_tokens"),
        (span("gcp.gemini", "gemini-2.5-flash-image", Usage(10, 2)), "no_usage: image_output_tokens"),
    ],
)
def test_partial(made, reason):
    cost = price(made)
    assert (cost.status, cost.reason) == ("partial", reason)
    assert cost.total_usd > 0


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (span(usage=Usage(reasoning_tokens=3)), "no_usage"),
        (span(model=""), "no_model"),
        (span(model="gpt-77-unheard-of"), "unknown_model: gpt-77-unheard-of"),
        (span("ollama", "llama3.2"), "unknown_provider: ollama"),
        (span("", "smollm2:135m"), "unknown_provider"),
        (span("", "gpt-oss-20b"), "unknown_provider"),
        (span("my-openai-compatible", "gpt-4o"), "unknown_provider: my-openai-compatible"),
        (span(model="whisper-1"), "no_price_for: tokens of whisper-1"),
        (span(usage=Usage(10**15, 10**15)), "no_price_for: implausible usage"),
    ],
)
def test_unpriced_says_why_and_never_zero(made, reason):
    assert price(made) == Cost(status="unpriced", reason=reason)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "localhost", "::1", "[::1]:8000", "10.1.2.3", "192.168.0.9:8000", "vllm", "a.svc"]
)
def test_open_weights_on_a_private_address_are_self_hosted(address):
    attributes = {"server.address": address}
    hosted = price(span(model="gpt-oss-20b", attributes=attributes))
    assert (hosted.status, hosted.reason, hosted.total_usd) == ("unpriced", "self_hosted: gpt-oss-20b", None)
    # Only a gateway can serve gpt-4o from there; without a claimed provider it is anyone's alias.
    assert price(span(model="gpt-4o", attributes=attributes)).status == "priced"
    assert price(span("", "gpt-4o", attributes=attributes)).reason == "unknown_provider"


@pytest.mark.parametrize("address", ["api.openai.com", "8.8.8.8", "https://api.groq.com/openai/v1"])
def test_public_addresses_are_not_self_hosted(address):
    assert price(span(model="gpt-oss-20b", attributes={"server.address": address})).status == "priced"


def test_free_models_are_free_by_their_name_only():
    free = price(span("openrouter", "mistralai/mistral-nemo:free"))
    assert free.total_usd == 0
    assert free.status == "priced"


def test_reported_figure_serves_where_nothing_can_be_priced():
    figure = Decimal("0.0123456789012345")
    kept = Decimal("0.012345678901")
    unknown = price(span("ollama", "llama3.2", cost=Cost(reported_usd=figure)))
    assert unknown == Cost(total_usd=kept, reported_usd=kept, status="reported", reason="unknown_provider: ollama")
    no_usage = price(span(usage=Usage(), cost=Cost(reported_usd=figure)))
    assert (no_usage.status, no_usage.total_usd) == ("reported", kept)
    priced = price(span(cost=Cost(reported_usd=figure)))
    assert (priced.status, priced.total_usd, priced.reported_usd) == ("priced", Decimal("0.0075"), kept)


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "-1", "1000000", "1E+50", "999999.9999999999999"])
def test_absurd_reports_are_dropped(figure):
    cost = price(span("ollama", "llama3.2", cost=Cost(reported_usd=Decimal(figure))))
    assert (cost.status, cost.reported_usd) == ("unpriced", None)


@pytest.mark.parametrize("category", ["agent", "workflow"])
def test_what_agents_sum_up_is_priced_like_a_call_where_that_makes_no_difference(category):
    assert price(span(category=category)) == price(span())
    unknown = price(span(model="", category=category))
    assert (unknown.total_usd, unknown.status, unknown.reason) == (None, "unpriced", "no_model")
    assert price(span(category=category, usage=Usage())) == Cost()
    figure = Decimal("0.5")
    reported = price(span(model="", category=category, cost=Cost(reported_usd=figure)))
    assert (reported.total_usd, reported.status) == (figure, "reported")


def test_what_agents_sum_up_is_not_taken_for_one_long_call():
    """Claude's input costs $3 per million, and $6 in calls of more than 200,000 tokens."""
    model = "claude-sonnet-4-5"
    short = price(span("anthropic", model, Usage(200_000, 10), category="agent"))
    assert short == price(span("anthropic", model, Usage(200_000, 10)))
    long = price(span("anthropic", model, Usage(1_000_000, 10), category="agent"))
    assert (long.input_usd, long.status) == (Decimal(3), "partial")
    assert long.reason == "no_price_for: calls of more than 200000 input tokens"


def test_a_fee_per_request_is_unknown_for_what_agents_sum_up():
    one = price(span("perplexity", "sonar", Usage(1000, 10)))
    several = price(span("perplexity", "sonar", Usage(1000, 10), category="agent"))
    assert (one.status, several.status) == ("priced", "partial")
    assert several.reason == "no_price_for: requests"
    assert several.total_usd < one.total_usd


@pytest.mark.parametrize("category", ["tool", "retriever", "other", "server"])
def test_spans_without_usage_cost_nothing_by_nature(category):
    assert price(span(category=category, usage=Usage())) == Cost()


def test_details_beyond_their_total_do_not_go_negative():
    cost = price(span(usage=Usage(10, 10, cache_read_tokens=99, cache_write_tokens=99, reasoning_tokens=99)))
    assert cost.input_usd == Decimal("0.0000125")
    assert cost.output_usd == Decimal("0.0001")
