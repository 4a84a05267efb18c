"""Perplexity: searches, what was read and what was thought stand beside all totals, and only one model bills them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects.provider_json import read_provider_usage
from spanhouse_server.price import price
from spanhouse_server.price.catalogue import find_tariff
from tests.unit.normalise.make import raw_span

_DETAILS = "gen_ai.usage.details."


def call(model: str, **details: int) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "perplexity",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 33,
        "gen_ai.usage.output_tokens": 11395,
        **{_DETAILS + name: count for name, count in details.items()},
    }


@pytest.mark.parametrize("thoughts", [193947, 1000])
def test_deep_research_costs_what_it_searched_read_and_thought(thoughts: int) -> None:
    attributes = call("sonar-deep-research", citation_tokens=19028, num_search_queries=21, reasoning_tokens=thoughts)
    span = normalise(raw_span(attributes))
    usage = span.usage
    assert (usage.input_tokens, usage.tool_use_tokens, usage.web_search_requests) == (33 + 19028, 19028, 21)
    assert (usage.output_tokens, usage.reasoning_tokens, usage.basis) == (11395 + thoughts, thoughts, "exclusive")
    # As Perplexity bills it: 2, 8, 2 and 3 dollars a million, and 5 dollars per thousand searches.
    millionths = 33 * 2 + 11395 * 8 + 19028 * 2 + thoughts * 3 + 21 * 5000
    cost = price(span)
    assert (cost.status, cost.total_usd) == ("priced", Decimal(millionths) / 1_000_000)


def test_the_list_still_bills_citations_like_input() -> None:
    from genai_prices.data_snapshot import get_snapshot

    info = get_snapshot().find_provider_model("sonar-deep-research", None, "perplexity", None)[1]
    prices = info.prices[-1].prices if isinstance(info.prices, list) else info.prices
    assert prices.output_citation_mtok == prices.input_mtok
    tariff, _ = find_tariff("perplexity", "", "sonar-deep-research", {})
    assert tariff is not None
    assert tariff.at(0).web_search_usd == Decimal(5)


def test_a_fee_per_request_covers_searches() -> None:
    span = normalise(raw_span(call("sonar-pro", citation_tokens=4941, num_search_queries=2)))
    assert (span.usage.input_tokens, span.usage.tool_use_tokens, span.usage.web_search_requests) == (33, None, None)
    assert price(span).status == "priced"


def test_as_its_api_tells() -> None:
    usage = read_provider_usage(
        {"prompt_tokens": 33, "completion_tokens": 5, "total_tokens": 38, "citation_tokens": 7, "num_search_queries": 2}
    )
    assert (usage.input_tokens, usage.tool_use_tokens, usage.web_search_requests) == (33, 7, 2)
