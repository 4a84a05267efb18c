"""Vercel's AI SDK: its two layers, its message parts, usage before and after SDK 6, and SDK 7's spans."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


def ai_span(operation: str, **attributes: Any) -> Span:
    """Return the canonical span of a legacy operation; ``__`` in a name stands for a dot."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return normalise(raw_span({"ai.operationId": operation, **named}, scope="ai"))


@pytest.mark.parametrize(
    ("operation", "category", "name"),
    [
        ("ai.generateText", "agent", "invoke_agent"),
        ("ai.streamObject", "agent", "invoke_agent"),
        ("ai.generateText.doGenerate", "llm", "chat"),
        ("ai.streamText.doStream", "llm", "chat"),
        ("ai.streamObject.doStream", "llm", "chat"),
        ("ai.toolCall", "tool", "execute_tool"),
        ("ai.embed", "embedding", "embeddings"),
        ("ai.embedMany.doEmbed", "embedding", "embeddings"),
        ("ai.rerank.doRerank", "reranker", "rerank"),
        ("ai.somethingNew", "other", ""),
    ],
)
def test_operations(operation: str, category: str, name: str) -> None:
    span = ai_span(operation)
    assert (span.dialect, span.category, span.operation) == ("vercel_ai_legacy", category, name)
    old = normalise(raw_span({"operation.name": operation + " helper"}, scope="my-tracer"))
    assert (old.dialect, old.category) == ("vercel_ai_legacy", category)


def test_parts() -> None:
    messages = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look."},
                {"type": "file", "mediaType": "image/png", "data": "iVBO"},
                {"type": "image", "image": "https://x/y.png"},
                {"type": "file", "mediaType": "application/pdf", "data": "data:application/pdf;base64,JVBE"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "reasoning", "text": "Hm."},
                {"type": "tool-call", "toolCallId": "c1", "toolName": "look", "input": {"at": "it"}},
                {"type": "tool-call", "toolCallId": "c2", "toolName": "look", "args": '{"at": "that"}'},
            ],
        },
        {
            "role": "tool",
            "content": [
                {"type": "tool-result", "toolCallId": "c1", "output": {"type": "json", "value": {"seen": True}}},
                {"type": "tool-result", "toolCallId": "c2", "result": "blue"},
            ],
        },
    ]
    span = ai_span("ai.generateText.doGenerate", ai__prompt__messages=orjson.dumps(messages).decode())
    user, assistant, tool = span.input_messages
    assert user["parts"] == [
        {"type": "text", "content": "Look."},
        {"type": "blob", "modality": "image", "content": "iVBO", "mime_type": "image/png"},
        {"type": "uri", "modality": "image", "uri": "https://x/y.png"},
        {"type": "blob", "modality": "document", "content": "JVBE", "mime_type": "application/pdf"},
    ]
    assert assistant["parts"][0] == {"type": "reasoning", "content": "Hm."}
    assert [part["arguments"] for part in assistant["parts"][1:]] == [{"at": "it"}, {"at": "that"}]
    assert tool == {
        "role": "tool",
        "parts": [
            {"type": "tool_call_response", "id": "c1", "response": {"seen": True}},
            {"type": "tool_call_response", "id": "c2", "response": "blue"},
        ],
    }


def test_outer_prompt_answer_tools_and_settings() -> None:
    span = ai_span(
        "ai.streamText",
        ai__prompt='{"system": "Be kind.", "prompt": "Hi"}',
        ai__response__text="Ho",
        ai__response__reasoning="Hm.",
        ai__response__toolCalls='[{"toolCallId": "c", "toolName": "look", "args": "{}"}]',
        ai__response__files='[{"type": "file", "mediaType": "audio/wav", "data": "UklG"}]',
        ai__response__finishReason="stop",
        ai__settings__maxOutputTokens=9,
        ai__settings__maxRetries=2,
        ai__telemetry__functionId="greeter",
        ai__model__provider="anthropic.messages",
        ai__response__msToFirstChunk=12.5,
    )
    assert span.system_instructions == [{"type": "text", "content": "Be kind."}]
    [answer] = span.output_messages
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "blob", "tool_call"]
    assert (span.input_preview, answer["finish_reason"], span.agent_name) == ("Hi", "stop", "greeter")
    assert span.parameters == {"max_tokens": 9, "max_retries": 2}
    assert (span.provider, span.ttft_ns, span.ttft_source) == ("anthropic", 12_500_000, "client_chunk")
    first = ai_span(
        "ai.generateText", ai__prompt='{"messages": [{"role": "user", "content": "Hi"}]}', ai__result__text="Ho"
    )
    assert (first.input_preview, first.output_preview) == ("Hi", "Ho")


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        ({"ai.usage.promptTokens": 7, "ai.usage.completionTokens": 3}, (7, 3, None, None)),
        ({"ai.usage.inputTokens": 12, "ai.usage.cachedInputTokens": 5, "ai.usage.outputTokens": 3}, (12, 3, 5, None)),
        (  # before SDK 6 Anthropic's cached tokens stood beside the input
            {
                "ai.model.provider": "anthropic.messages",
                "ai.usage.inputTokens": 40,
                "ai.usage.outputTokens": 3,
                "ai.usage.cachedInputTokens": 5,
                "ai.response.providerMetadata": '{"anthropic": {"cacheCreationInputTokens": 2}}',
            },
            (47, 3, 5, 2),
        ),
        (
            {
                "ai.model.provider": "anthropic.messages",
                "ai.usage.inputTokens": 47,
                "ai.usage.inputTokenDetails.cacheReadTokens": 5,
                "ai.usage.inputTokenDetails.cacheWriteTokens": 2,
                "ai.usage.outputTokens": "3",
            },
            (47, 3, 5, 2),
        ),
    ],
)
def test_usage(attributes: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    usage = normalise(raw_span({"ai.operationId": "ai.generateText.doGenerate", **attributes}, scope="ai")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == counts


def test_rerank_embed_and_tool() -> None:
    span = ai_span(
        "ai.rerank",
        ai__documents=['"first"', '{"text": "second"}'],
        ai__ranking=['{"originalIndex": 1, "relevanceScore": 0.9}', '{"originalIndex": 7}', '{"originalIndex": 0}'],
    )
    assert span.documents == [{"content": '{"text": "second"}', "score": 0.9}, {"content": "first"}]
    embed = ai_span("ai.embed", ai__value='"text"', ai__usage__tokens=3, ai__embedding="[0.5]")
    assert (embed.input_preview, embed.usage.input_tokens, embed.output_messages) == ("text", 3, [])
    tool = ai_span("ai.toolCall", ai__toolCall__name="look", ai__toolCall__args='{"a": 1}', ai__toolCall__result='"ok"')
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"a": 1}, "ok")


def test_sdk_7() -> None:
    step = normalise(raw_span({"gen_ai.operation.name": "agent_step"}, scope="my-tracer", name="step 1"))
    assert (step.dialect, step.category) == ("vercel_ai", "agent")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.client.operation.time_to_first_chunk": 0.25,
        "ai.settings.context.userId": "u",
        "ai.settings.context.sessionId": "s",
        "ai.settings.context.plan": "pro",
    }
    chat = normalise(raw_span(attributes, scope="my-tracer"))
    assert (chat.dialect, chat.ttft_ns, chat.user_id, chat.session_id) == ("vercel_ai", 250_000_000, "u", "s")
    assert chat.metadata == {"plan": "pro"}


def test_scopes_that_only_look_alike() -> None:
    assert normalise(raw_span({}, scope="aiohttp")).dialect == "generic"
    assert normalise(raw_span({}, scope="ai.other")).dialect == "generic"
    assert normalise(raw_span({"operation.name": "ai"}, scope="x")).dialect == "generic"
    with_event = raw_span({"gen_ai.system": "openai"}, scope="x", events=[event("ai.stream.firstChunk", 5)])
    assert normalise(with_event).dialect == "otel"


def test_what_the_provider_says_of_caches_searches_and_tiers() -> None:
    """SDK 6 tells totals with cached tokens; how long these live stands in the provider's own figures."""
    raw = {
        "input_tokens": 4, "output_tokens": 6, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5},
        "server_tool_use": {"web_search_requests": 3}, "service_tier": "batch",
    }  # fmt: skip
    details = {"noCacheTokens": 4, "cacheReadTokens": 0, "cacheWriteTokens": 7}
    attributes = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "anthropic.messages",
        "ai.usage.inputTokens": 11,
        "ai.usage.outputTokens": 6,
        **{f"ai.usage.inputTokenDetails.{name}": count for name, count in details.items()},
        "ai.response.providerMetadata": orjson.dumps({"anthropic": {"usage": raw}}).decode(),
    }
    usage = normalise(raw_span(attributes, scope="ai")).usage
    assert (usage.input_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens) == (11, 7, 5)
    assert (usage.web_search_requests, usage.service_tier, usage.basis) == (3, "batch", "inclusive")
    told = {**attributes, "ai.model.provider": "openai.chat"}
    told["ai.response.providerMetadata"] = '{"openai": {"serviceTier": "flex"}}'
    assert normalise(raw_span(told, scope="ai")).usage.service_tier == "flex"
    for odd in (
        '"x"',
        "[1]",
        '{"anthropic": 7}',
        '{"anthropic": {"usage": []}}',
        '{"anthropic": {"usage": {"a": -1}}}',
    ):
        told = {**attributes, "ai.response.providerMetadata": odd}
        assert normalise(raw_span(told, scope="ai")).usage.input_tokens == 11


@pytest.mark.parametrize(
    ("provider", "folded", "metadata"),
    [
        ("vertex.anthropic.messages", "gcp.vertex_ai", {"anthropic": {"cacheCreationInputTokens": 2}}),
        ("vertex.anthropic.messages", "gcp.vertex_ai", {"vertex": {"cacheCreationInputTokens": 2}}),
        ("amazon-bedrock", "aws.bedrock", {"bedrock": {"usage": {"cacheWriteInputTokens": 2}}}),
        ("gateway", "gateway", {"anthropic": {"cacheCreationInputTokens": 2}, "gateway": {"cost": "0.0045"}}),
    ],
)
def test_claude_sold_by_others_counted_cached_tokens_beside_the_input_before_6(
    provider: str, folded: str, metadata: dict[str, Any]
) -> None:
    attributes = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": provider,
        "ai.usage.inputTokens": 100,
        "ai.usage.outputTokens": 5,
        "ai.usage.cachedInputTokens": 30,
        "ai.response.providerMetadata": orjson.dumps(metadata).decode(),
    }
    span = normalise(raw_span(attributes, scope="ai"))
    usage = span.usage
    assert (span.provider, usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (
        folded,
        132,
        30,
        2,
    )
    newer = attributes | {"ai.usage.inputTokenDetails.cacheReadTokens": 30}
    assert normalise(raw_span(newer, scope="ai")).usage.input_tokens == 100


@pytest.mark.parametrize(
    ("metadata", "cost"),
    [
        ({"gateway": {"cost": "0.0045405", "routing": {}}}, Decimal("0.0045405")),
        ({"openrouter": {"usage": {"promptTokens": 3, "cost": 0.000136764}}}, Decimal("0.000136764")),
        ({"openrouter": {"usage": {"cost": -1}}}, None),
        ({"gateway": {"cost": "NaN"}}, None),
        ({"gateway": 7, "openrouter": []}, None),
    ],
)
def test_what_a_gateway_charged(metadata: dict[str, Any], cost: Decimal | None) -> None:
    attributes = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "openrouter.chat",
        "ai.usage.inputTokens": 3,
        "ai.response.providerMetadata": orjson.dumps(metadata).decode(),
    }
    assert normalise(raw_span(attributes, scope="ai")).cost.reported_usd == cost
