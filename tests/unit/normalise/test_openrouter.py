"""OpenRouter's broadcast: what the gateway counted and charged, by its own names."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import normalise
from spanhouse_server.price import price
from tests.unit.normalise.make import raw_span

CALL: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "anthropic/claude-sonnet-4.5",
    "gen_ai.response.model": "anthropic/claude-sonnet-4.5",
    "gen_ai.response.id": "gen-1",
    "gen_ai.response.finish_reason": "tool_calls",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.input_tokens.cached": 400,
    "gen_ai.usage.input_tokens.cache_write": 100,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.output_tokens.reasoning": 20,
    "gen_ai.usage.total_tokens": 1050,
    "gen_ai.usage.input_cost": 0.002,
    "gen_ai.usage.output_cost": 0.00075,
    "gen_ai.usage.total_cost": 0.00275,
    "gen_ai.prompt": orjson.dumps({"messages": [{"role": "user", "content": "Where?"}]}).decode(),
    "gen_ai.completion": orjson.dumps(
        {
            "completion": "Let me look.",
            "reasoning": "Hm.",
            "toolCalls": [{"id": "c1", "function": {"name": "look", "arguments": '{"at": "it"}'}}],
        }
    ).decode(),
    "session.id": "s1",
    "user.id": "u1",
    "trace.metadata.openrouter.provider_name": "Amazon Bedrock",
    "trace.metadata.openrouter.first_token_ms": 250,
    "trace.metadata.feature": "search",
}


def test_call_with_its_reported_cost() -> None:
    span = normalise(raw_span(CALL, name="LLM Generation", scope="openrouter"))
    assert (span.dialect, span.category, span.provider) == ("openrouter", "llm", "openrouter")
    usage = span.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (1000, 400, 100)
    assert (usage.output_tokens, usage.reasoning_tokens, usage.basis) == (50, 20, "inclusive")
    cost = price(span)
    assert cost.reported_usd == Decimal("0.00275")
    # The list's prices of OpenRouter: 3 and 15 dollars a million, cache reads 0.3, writes 3.75.
    expected = (500 * Decimal(3) + 400 * Decimal("0.3") + 100 * Decimal("3.75") + 50 * Decimal(15)) / 1_000_000
    assert (cost.status, cost.total_usd) == ("priced", expected)


def test_content_and_context() -> None:
    span = normalise(raw_span(CALL, scope="openrouter"))
    assert (span.input_preview, span.session_id, span.user_id, span.ttft_ns) == ("Where?", "s1", "u1", 250_000_000)
    [message] = span.output_messages
    assert [part["type"] for part in message["parts"]] == ["reasoning", "text", "tool_call"]
    assert message["parts"][2]["arguments"] == {"at": "it"}
    assert span.finish_reasons == ["tool_call"]
    assert (span.metadata["feature"], span.metadata["openrouter.provider_name"]) == ("search", "Amazon Bedrock")


def test_steps_below_count_nothing() -> None:
    step = {
        "span.type": "span",
        "gen_ai.response.id": "gen-1:attempt-0",
        "trace.metadata.openrouter.provider_slug": "x",
    }
    span = normalise(raw_span(step, name="provider attempt 1: x"))
    assert (span.dialect, span.category, span.usage.known, price(span).status) == ("openrouter", "other", False, "")


def test_other_senders_total_cost_is_a_reported_cost_too() -> None:
    span = normalise(raw_span({"gen_ai.request.model": "in-house", "gen_ai.usage.total_cost": "0.5"}))
    assert (span.dialect, span.cost.reported_usd) == ("otel", Decimal("0.5"))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": 0.000136764}, Decimal("0.000136764")),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": {"total_cost": 0.816}}, Decimal("0.816")),  # Perplexity
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": -1}, None),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": {"total_cost": "NaN"}}, None),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cost": [1]}, None),
    ],
)
def test_what_its_api_charged_is_read_from_a_whole_answer(usage: dict[str, Any], cost: Decimal | None) -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": "So."}}], "usage": usage}
    span = normalise(raw_span({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": orjson.dumps(answer).decode()}))
    assert (span.usage.input_tokens, span.cost.reported_usd) == (9, cost)
