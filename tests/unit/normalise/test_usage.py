"""Token counts: tolerant of types, never invented, inclusive in the end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.model.span import Usage
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects.otel import USAGE
from spanhouse_server.normalise.dialects.provider_json import read_provider_usage
from spanhouse_server.normalise.usage import REPORTED_COST, read_usage
from spanhouse_server.normalise.values import count_of
from tests.unit.normalise.make import raw_span

PREFIX = "gen_ai.usage."


def usage_of(**counts: Any) -> Usage:
    """Return the usage read from ``gen_ai.usage.*`` counts; ``__`` stands for a dot."""
    return normalise(raw_span({PREFIX + key.replace("__", "."): value for key, value in counts.items()})).usage


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (5, 5),
        ("5", 5),
        (" 12 ", 12),
        (7.0, 7),
        ("7.0", 7),
        (0, 0),
        (True, None),
        (-1, None),
        ("-1", None),
        (1.5, None),
        ("NaN", None),
        ("Infinity", None),
        (float("nan"), None),
        ("1_000", None),
        ("five", None),
        ("", None),
        ([5], None),
        ({"a": 5}, None),
        (10**30, None),
        ("9" * 40, None),
        ("٥", None),
    ],
)
def test_counts(value: Any, count: int | None) -> None:
    assert count_of(value) == count
    assert usage_of(input_tokens=value).input_tokens == count


def test_missing_is_not_zero() -> None:
    assert usage_of() == Usage()
    assert usage_of(cache_read__input_tokens=5) == Usage()
    assert usage_of(output_tokens=0) == Usage(output_tokens=0, basis="inclusive")


def test_duplicate_keys_are_chosen_not_added() -> None:
    usage = usage_of(
        prompt_tokens=9,
        input_tokens=10,
        output_tokens=3,
        completion_tokens=3,
        cache_read__input_tokens=4,
        cache_read_input_tokens=4,
        cache_write__input_tokens=2,
        cache_creation__input_tokens=2,
    )
    assert usage == Usage(10, 3, 4, 2, basis="inclusive")


def test_an_unusable_first_choice_gives_way() -> None:
    assert usage_of(input_tokens=True, prompt_tokens=9).input_tokens == 9


def test_details_beyond_the_total_were_left_out_of_it() -> None:
    assert usage_of(input_tokens=10, output_tokens=5, cache_read__input_tokens=90) == Usage(
        100, 5, 90, basis="exclusive"
    )
    assert usage_of(input_tokens=1, output_tokens=5, reasoning__output_tokens=6) == Usage(
        1, 11, None, None, 6, basis="exclusive"
    )


def test_the_emitters_own_total_tells_what_it_left_out() -> None:
    counts = {"input_tokens": 50, "output_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 10}
    assert usage_of(**counts, total_tokens=85) == Usage(80, 5, 20, 10, basis="exclusive")
    assert usage_of(**counts, total_tokens=55) == Usage(50, 5, 20, 10, basis="inclusive")


def test_an_emitter_known_to_leave_cached_tokens_out() -> None:
    attributes = {PREFIX + "input_tokens": 50, PREFIX + "output_tokens": 5, PREFIX + "cache_read.input_tokens": 20}
    usage = normalise(raw_span(attributes, scope="openlit.instrumentation.anthropic")).usage
    assert usage == Usage(70, 5, 20, basis="exclusive")


def test_fine_buckets() -> None:
    usage = usage_of(
        input_tokens="1000",
        output_tokens=500,
        cache_write__input_tokens=300,
        cache_creation__ephemeral_1h_input_tokens="100",
        audio__input_tokens=50,
        audio__cache_read__input_tokens=20,
        image__input_tokens=60,
        image__output_tokens=70,
        tool_use__input_tokens=40,
        server_tool_use__web_search_requests=2,
        service_tier="Priority",
    )
    assert usage == Usage(
        1000,
        500,
        cache_write_tokens=300,
        cache_write_1h_tokens=100,
        audio_input_tokens=50,
        audio_cache_read_tokens=20,
        image_input_tokens=60,
        image_output_tokens=70,
        tool_use_tokens=40,
        web_search_requests=2,
        service_tier="priority",
        basis="inclusive",
    )


def test_cache_writes_told_only_by_how_long_they_live() -> None:
    usage = usage_of(input_tokens=1000, details__ephemeral_5m_input_tokens=30, details__ephemeral_1h_input_tokens=12)
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (42, 12)


@pytest.mark.parametrize("bad", [-1, "NaN", float("nan"), True, "many", 1.5, [1]])
@pytest.mark.parametrize("key", ["cache_write__1h__input_tokens", "image__input_tokens", "web_search_requests"])
def test_fine_counts_that_are_none(key: str, bad: Any) -> None:
    assert usage_of(input_tokens=5, **{key: bad}) == Usage(5, basis="inclusive")


@pytest.mark.parametrize(
    ("attributes", "tier"),
    [
        ({"openai.response.service_tier": "default", "openai.request.service_tier": "flex"}, ""),
        ({"openai.request.service_tier": "flex"}, "flex"),
        ({"gen_ai.openai.response.service_tier": "priority"}, "priority"),
        ({"anthropic.response.service_tier": "batch"}, "batch"),
        ({"anthropic.response.service_tier": "standard"}, ""),
        ({"openai.response.service_tier": 7, "gen_ai.request.service_tier": "batch"}, "batch"),
    ],
)
def test_the_tier_served_goes_before_the_one_asked_for(attributes: dict[str, Any], tier: str) -> None:
    usage = normalise(raw_span({PREFIX + "input_tokens": 1, **attributes})).usage
    assert usage.service_tier == tier


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        # Gemini as it comes: thoughts and tool-use prompts stand beside candidates and prompt.
        (175, (100, 50)),
        (100 + 50 + 25, (100, 50)),
        (100 + 50 + 30, (100, 80)),
        (100 + 50 + 40, (140, 50)),
        (100 + 50 + 30 + 40, (140, 80)),
        (100 + 50 + 30 + 40 + 20, (160, 80)),
        (150, (100, 50)),
        (10, (100, 50)),
    ],
)
def test_the_total_explains_what_stands_beside_it(total: int, expected: tuple[int, int]) -> None:
    usage = usage_of(
        input_tokens=100,
        output_tokens=50,
        reasoning_tokens=30,
        tool_use__input_tokens=40,
        cache_read_input_tokens=20,
        total_tokens=total,
    )
    assert (usage.input_tokens, usage.output_tokens) == expected
    assert usage.basis == ("inclusive" if expected == (100, 50) else "exclusive")


@given(
    counts=st.dictionaries(st.sampled_from(sorted(USAGE.places)), st.integers(-5, 10**18) | st.text(max_size=8)),
)
def test_details_never_exceed_what_they_are_part_of(counts: dict[str, Any]) -> None:
    usage = read_usage(counts, USAGE)
    for name in Usage.__slots__:
        value = getattr(usage, name)
        assert value is None or isinstance(value, str) or value >= 0
    if usage.input_tokens is not None:
        assert (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0) <= usage.input_tokens
    if usage.output_tokens is not None:
        assert (usage.reasoning_tokens or 0) + (usage.audio_output_tokens or 0) <= usage.output_tokens


@pytest.mark.parametrize(
    ("value", "cost"),
    [(0.25, "0.25"), ("0.1", "0.1"), (0, "0.0"), (-1, None), ("NaN", None), (True, None), ("free", None), ([1], None)],
)
@pytest.mark.parametrize("key", REPORTED_COST)
def test_reported_cost(key: str, value: Any, cost: str | None) -> None:
    span = normalise(raw_span({"gen_ai.request.model": "m", key: value}))
    assert span.cost.reported_usd == (None if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("scope", "input_tokens"),
    [
        ("opentelemetry.instrumentation.bedrock", 140),
        ("opentelemetry.instrumentation.botocore", 140),
        ("opentelemetry.instrumentation.botocore.bedrock-runtime", 140),
        ("opentelemetry.instrumentation.bedrocks", 100),
        ("opentelemetry.instrumentation.openai_v2", 100),
    ],
)
def test_bedrocks_converse_counts_cached_tokens_beside_the_input(scope: str, input_tokens: int) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.total_tokens": 105,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    assert normalise(raw_span(attributes, scope=scope)).usage.input_tokens == input_tokens


@pytest.mark.parametrize(
    ("usage", "input_tokens"),
    [
        # Anthropic's own words, and the same renamed with cached tokens added (Haystack).
        ({"input_tokens": 100, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 10}, 140),
        ({"prompt_tokens": 140, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 10}, 140),
        # Bedrock's Converse renamed: its total has the cached ones.
        (
            {"prompt_tokens": 100, "total_tokens": 145, "cache_read_input_tokens": 30, "cache_write_input_tokens": 10},
            140,
        ),
    ],
)
def test_usage_as_providers_tell_it(usage: dict[str, int], input_tokens: int) -> None:
    read = read_provider_usage({"completion_tokens": 5, **usage})
    assert (read.input_tokens, read.cache_read_tokens, read.cache_write_tokens) == (input_tokens, 30, 10)
