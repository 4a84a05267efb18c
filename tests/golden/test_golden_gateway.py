"""LiteLLM's gateway, both callbacks: retries, fallbacks, its own cache, bridges between APIs, clients that tell too.

What a caller asked the gateway for and what the gateway asked the provider for are two things; what
counts is what the provider served. ``test_golden`` holds tokens, words and prices of every case to that.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.model.span import Span
from spanhouse_server.price import price
from spanhouse_server.store.rows import facts_of
from tests.golden.case import all_cases, spans_of, truth_of
from tests.golden.test_golden import list_price, model_spans, told_usage
from tests.unit.normalise.settle_facts import settle_all

VERSIONS = ["litellm_proxy", "litellm_proxy_v2"]
CASES = [case for case in all_cases() if case.startswith("litellm_proxy")]
#: What the gateway calls its models, by what it asks the provider for.
GROUPS = {
    "gpt-4o-mini": "small",
    "gpt-4o": "large",
    "gpt-5": "thinker",
    "text-embedding-3-small": "vectors",
    "gpt-error-429": "busy",
    "gpt-error-500": "flaky",
    "claude-sonnet-4-5": "claude",
    "claude-error-529": "busy-claude",
}


def settled(case: str) -> list[SettledTrace]:
    """Return the traces of a case that hold model calls, settled knowing of each other, by when they began."""
    facts = []
    for span in spans_of(case):
        span.cost = price(span)
        facts.append(facts_of(1, 0, span))
    traces = [one for one in settle_all(facts).values() if one.trace.llm_count]
    return sorted(traces, key=lambda one: one.trace.start_ns)


def of_gateway(case: str) -> list[Span]:
    """Return the gateway's spans of model calls."""
    spans = [span for span in spans_of(case) if span.dialect == "litellm"]
    return [span for span in spans if span.category in ("llm", "embedding")]


def scenarios(version: str) -> set[str]:
    """Return what was recorded of a callback."""
    return {case.removeprefix(version + "_") for case in CASES if case.startswith(version + "_")}


def test_both_callbacks_are_recorded_alike() -> None:
    newer = scenarios("litellm_proxy_v2")
    assert {name for name in scenarios("litellm_proxy") if not name.startswith(("latest_", "v2_"))} == newer
    assert len(newer) == 18


@pytest.mark.parametrize("case", CASES)
def test_asked_model_is_the_providers_and_the_group_is_kept(case: str) -> None:
    asked = {truth.request_model for truth in truth_of(case)}
    calls = of_gateway(case)
    assert {span.request_model for span in calls} == asked
    for span in calls:
        assert span.metadata["litellm.model_group"] == GROUPS[span.request_model]
        assert span.response_model not in GROUPS.values()


@pytest.mark.parametrize("case", CASES)
def test_reported_cost_is_ours(case: str) -> None:
    """LiteLLM's own figure of each served call is what its provider's list charges."""
    for cost in (price(span) for span in of_gateway(case) if span.usage.known):
        assert (cost.status, cost.reported_usd) == ("priced", cost.total_usd)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_retried_call_that_another_model_answers_counts_once(version: str) -> None:
    case = f"{version}_fallback"
    *failed, served = truth_of(case)
    assert ([truth.status for truth in failed], served.status) == ([500, 500], 200)
    [trace] = settled(case)
    assert (trace.trace.input_tokens, trace.trace.output_tokens) == (served.input_tokens, served.output_tokens)
    usage = told_usage(case, served)
    assert usage is not None
    assert trace.trace.cost_usd == list_price(served, usage, trace.trace.start_ns)
    attempt, answer = model_spans(case)  # it tells of the first attempt only, not of the retry
    assert (attempt.raw.status_code, attempt.error_type) == ("error", "InternalServerError")
    assert not attempt.usage.known
    assert attempt.cost.reported_usd is None
    assert answer.response_id == served.response_id
    assert answer.response_model == served.model
    assert attempt.metadata["litellm.call_id"] == answer.metadata["litellm.call_id"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_from_its_own_cache_counts_nothing(version: str) -> None:
    case = f"{version}_cache_hit"
    [truth] = truth_of(case)
    first, second = model_spans(case)
    assert (first.usage.input_tokens, first.usage.output_tokens) == (truth.input_tokens, truth.output_tokens)
    assert (second.usage.known, second.cost.reported_usd) == (False, Decimal(0))
    assert second.metadata["litellm.cache_hit"] == "true"
    assert second.output_preview == truth.text
    served, hit = settled(case)
    assert served.trace.cost_usd == first.cost.reported_usd
    assert (hit.trace.input_tokens, hit.trace.output_tokens, hit.trace.cost_usd) == (None, None, Decimal(0))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scenario", ["anthropic_bridged", "responses_bridged"])
def test_a_call_between_two_apis_counts_once(version: str, scenario: str) -> None:
    case = f"{version}_{scenario}"
    truths, traces = truth_of(case), settled(case)
    assert [one.trace.llm_count for one in traces] == [1] * len(truths)
    assert [one.trace.input_tokens for one in traces] == [truth.input_tokens for truth in truths]
    assert [one.trace.output_tokens for one in traces] == [truth.output_tokens for truth in truths]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scenario", ["watched", "watched_joined"])
def test_a_call_that_its_client_tells_of_too_counts_once(version: str, scenario: str) -> None:
    case = f"{version}_{scenario}"
    [truth] = truth_of(case)
    [of_client] = [span for span in spans_of(case) if "genai.openai" in span.raw.scope.name]
    [of_server] = of_gateway(case)
    joined = of_client.raw.trace_id == of_server.raw.trace_id
    assert joined == scenario.endswith("joined")
    assert of_client.response_id == of_server.response_id == truth.response_id
    traces = [one.trace for one in settled(case)]
    assert sum(trace.llm_count for trace in traces) == 1
    assert sum(trace.input_tokens or 0 for trace in traces) == truth.input_tokens
    assert sum(trace.output_tokens or 0 for trace in traces) == truth.output_tokens
    usage = told_usage(case, truth)
    assert usage is not None
    assert sum(trace.cost_usd or 0 for trace in traces) == list_price(truth, usage, traces[0].start_ns)


def test_raw_request_repeats_no_figures_and_names_what_served() -> None:
    for case in ("litellm_proxy_chat", "litellm_proxy_responses", "litellm_proxy_anthropic_chat"):
        raw = [span for span in spans_of(case) if span.raw.name == "raw_gen_ai_request"]
        assert not any(span.usage.known or span.cost.reported_usd is not None for span in raw)
        served = [(truth.model, truth.response_id, truth.text) for truth in truth_of(case)]
        assert [(span.response_model, span.response_id, span.output_preview) for span in raw] == served
    [_, again] = [span for span in spans_of("litellm_proxy_cache_hit") if span.raw.name == "raw_gen_ai_request"]
    [truth] = truth_of("litellm_proxy_cache_hit")
    assert (again.response_id, again.output_preview) == (truth.response_id, truth.text)


def test_failed_request_says_what_failed() -> None:
    [failed] = [span for span in spans_of("litellm_proxy_error") if span.raw.name == "Failed Proxy Server Request"]
    assert failed.error_type == "RateLimitError"


@pytest.mark.parametrize("version", VERSIONS)
def test_end_user_of_the_gateways_caller(version: str) -> None:
    [call] = model_spans(f"{version}_chat")
    assert call.user_id == "user-1"
    [nobody] = model_spans(f"{version}_stream")
    assert nobody.user_id == ""
