"""LiteLLM: kinds of calls, usage kept as Python shows it, cache hits, failures, context."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span

CALL = {
    "gen_ai.operation.name": "acompletion",
    "gen_ai.request.model": "router-alias",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.system": "openai",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 13,
    "litellm.call_id": "call-1",
}
USAGE = (
    "{'completion_tokens': 13, 'prompt_tokens': 12, 'total_tokens': 25, 'completion_tokens_details': "
    "{'reasoning_tokens': 4, 'audio_tokens': None}, 'prompt_tokens_details': {'cached_tokens': 5}}"
)


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({"hidden_params": "{}"}, "my_tracer"),
        ({"gen_ai.cost.total_cost": 0.5}, "my_tracer"),
        ({"metadata.user_api_key_hash": "h"}, "my_tracer"),
        ({"litellm.call_id": "x"}, "my_tracer"),
        ({}, "litellm"),
    ],
)
def test_choice(attributes: dict[str, Any], scope: str) -> None:
    assert normalise(raw_span(attributes, scope=scope)).dialect == "litellm"


@pytest.mark.parametrize(
    ("call_type", "category", "operation"),
    [
        ("acompletion", "llm", "chat"),
        ("completion", "llm", "chat"),
        ("atext_completion", "llm", "text_completion"),
        ("aembedding", "embedding", "embeddings"),
        ("arerank", "reranker", "rerank"),
        ("aresponses", "llm", "chat"),
        ("anthropic_messages", "llm", "chat"),
        ("agenerate_content", "llm", "generate_content"),
        ("call_mcp_tool", "tool", "execute_tool"),
        ("invoke_agent", "agent", "invoke_agent"),
        ("litellm.passthrough", "other", "litellm.passthrough"),
    ],
)
def test_call_types(call_type: str, category: str, operation: str) -> None:
    span = normalise(raw_span(CALL | {"gen_ai.operation.name": call_type}, scope="litellm"))
    assert (span.category, span.operation) == (category, operation)


@pytest.mark.parametrize(
    ("name", "kind", "attributes", "category"),
    [
        ("Received Proxy Server Request", "internal", {}, "server"),
        ("POST /v1/chat/completions", "server", {"litellm.call_id": "x"}, "server"),
        ("execute_guardrail pii", "internal", {"litellm.guardrail.name": "pii"}, "guardrail"),
        ("redis.get llm_response", "client", {"litellm.service.name": "redis"}, "other"),
        ("auth /v1/chat/completions", "internal", {}, "other"),
    ],
)
def test_steps_of_the_gateway(name: str, kind: str, attributes: dict[str, Any], category: str) -> None:
    assert normalise(raw_span(attributes, name=name, kind=kind, scope="litellm")).category == category


def test_usage_as_python_shows_it() -> None:
    span = normalise(raw_span(CALL | {"metadata.usage_object": USAGE, "gen_ai.cost.total_cost": 9.225e-06}))
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens) == (12, 13)
    assert (usage.cache_read_tokens, usage.reasoning_tokens) == (5, 4)
    assert span.cost.reported_usd == Decimal("0.000009225")
    assert (span.request_model, span.response_model) == ("router-alias", "gpt-4o-2024-08-06")
    other = normalise(raw_span(CALL | {"metadata.usage_object": USAGE.replace("12", "99")}))
    assert other.usage.input_tokens == 12  # figures that disagree are not mixed


def test_nothing_was_served() -> None:
    hit = normalise(raw_span(CALL | {"litellm.cache_hit": True, "litellm.cost.total": 0.0}))
    assert (hit.usage.known, hit.cost.reported_usd, hit.metadata["litellm.cache_hit"]) == (False, Decimal(0), "true")
    zeros = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0, "litellm.cost.total": 0.0}
    failed = normalise(raw_span(CALL | zeros, status_code="error"))
    assert (failed.usage.known, failed.cost.reported_usd) == (False, None)


def test_context_and_ids() -> None:
    span = normalise(
        raw_span(
            CALL
            | {
                "gen_ai.response.id": "call-1",
                "llm.user": "u1",
                "metadata.user_api_key_team_alias": "blue",
                "metadata.requester_metadata": "{'plan': 'pro', 'seats': 3}",
                "litellm.metadata.region": "eu",
                "gen_ai.conversation.id": "s1",
            }
        )
    )
    assert (span.response_id, span.user_id, span.session_id) == ("", "u1", "s1")
    assert span.metadata == {
        "user_api_key_team_alias": "blue",
        "litellm.call_id": "call-1",
        "plan": "pro",
        "seats": "3",
        "region": "eu",
    }


def test_system_instructions_as_messages_and_v2_tools() -> None:
    span = normalise(
        raw_span(
            CALL
            | {
                "gen_ai.system_instructions": '[{"role": "system", "parts": [{"type": "text", "content": "Brief."}]}]',
                "gen_ai.tool.0.name": "look",
                "gen_ai.tool.0.parameters": '{"type": "object"}',
            }
        )
    )
    assert span.system_instructions == [{"type": "text", "content": "Brief."}]
    assert span.tool_definitions == [{"type": "function", "name": "look", "parameters": {"type": "object"}}]


def test_raw_request_of_a_stream() -> None:
    attributes = {"llm.anthropic.messages": "[{'role': 'user', 'content': 'Hi'}]", "llm.anthropic.model": "claude"}
    span = normalise(raw_span(attributes, name="raw_gen_ai_request", scope="litellm"))
    assert (span.category, span.input_preview, span.output_messages) == ("other", "Hi", [])


def test_the_gateway_answers_in_its_own_name() -> None:
    """As the proxy does: the alias as the model that answered, and its own request among the caller's metadata."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "small",
        "litellm.model_group": "small",
        "metadata.user_api_key_user_id": "default_user_id",
        "metadata.requester_metadata": "{'headers': {'host': 'x'}, 'trace_id': 'y', 'team': 'blue'}",
    }
    span = normalise(raw_span(attributes, scope="litellm"))
    assert (span.request_model, span.response_model, span.user_id) == ("gpt-4o-mini", "", "")
    assert span.metadata == {"litellm.model_group": "small", "team": "blue"}
    routed = normalise(raw_span(attributes | {"gen_ai.response.model": "gpt-4o-mini-2024-07-18"}, scope="litellm"))
    assert routed.response_model == "gpt-4o-mini-2024-07-18"


V2 = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "small",
    "gen_ai.response.model": "small",
    "litellm.metadata.user_api_key_end_user_id": "user-1",
    "litellm.metadata.user_api_key_user_id": "default_user_id",
}


@pytest.mark.parametrize(
    ("provider_model", "asked", "group"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini", "small"),
        ("gpt-4o-mini", "gpt-4o-mini", "small"),
        ("small", "small", None),
        ("openai/small", "small", None),
        ("some_host/small", "small", None),
        ("meta-llama/Llama-3", "meta-llama/Llama-3", "small"),  # a slash of the model's own
        ("", "small", None),
        (["openai/gpt-4o-mini"], "small", None),
    ],
)
def test_v2_goes_by_the_gateways_names(provider_model: Any, asked: str, group: str | None) -> None:
    span = normalise(raw_span(V2 | {"litellm.provider.model": provider_model}, scope="litellm"))
    assert (span.request_model, span.metadata.get("litellm.model_group")) == (asked, group)
    assert span.response_model == ("" if group else "small")
    assert span.user_id == "user-1"
    assert "user_api_key_user_id" not in span.metadata  # nobody's


def test_steps_keep_the_name_they_were_routed_by() -> None:
    """Steps beside a call carry its group by baggage, not what the provider is asked for."""
    span = normalise(raw_span({"gen_ai.request.model": "small"}, name="route small", scope="litellm"))
    assert (span.category, span.request_model, span.metadata) == ("other", "small", {})


def test_empty_system_instructions_say_nothing() -> None:
    blocks = '[{"role": "user", "parts": [{"type": "text", "content": ""}]}]'
    assert normalise(raw_span(CALL | {"gen_ai.system_instructions": blocks})).system_instructions == []


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("{'id': 'a', 'model': 'm', 'choices': [{'message': {'role': 'assistant', 'content': 'Hi'}}]}", "Hi"),
        ("{'data': [{'embedding': [0.5]}]}", ""),
        ("plain text", "plain text"),
    ],
)
def test_raw_answer_from_the_cache(stored: str, said: str) -> None:
    attributes = {"llm.openai.stringified_raw_response": stored}
    span = normalise(raw_span(attributes, name="raw_gen_ai_request", scope="litellm"))
    assert (span.category, span.output_preview) == ("other", said)


def test_failure_is_named() -> None:
    failed = {"exception": "litellm.RateLimitError: RateLimitError: too fast"}
    named = normalise(raw_span(failed, name="Failed Proxy Server Request", status_code="error", scope="litellm"))
    assert named.error_type == "RateLimitError"
    other = normalise(raw_span({"exception": "boom"}, status_code="error", scope="litellm"))
    assert other.error_type == "unknown"
