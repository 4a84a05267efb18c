"""OpenInference where the recorded payloads do not reach: flattened shapes, rerankers, costs, bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.steps import steps
from tests.unit.normalise.make import event, raw_span


def read(kind: str, attributes: dict[str, Any], **more: Any) -> Span:
    """Return the canonical span of an OpenInference span of this kind."""
    return normalise(raw_span({"openinference.span.kind": kind} | attributes, **more))


@pytest.mark.parametrize(
    ("kind", "category", "operation"),
    [
        ("LLM", "llm", "chat"),
        ("EMBEDDING", "embedding", "embeddings"),
        ("CHAIN", "workflow", ""),
        ("RETRIEVER", "retriever", "retrieval"),
        ("RERANKER", "reranker", "rerank"),
        ("TOOL", "tool", "execute_tool"),
        ("AGENT", "agent", "invoke_agent"),
        ("GUARDRAIL", "guardrail", ""),
        ("EVALUATOR", "evaluator", ""),
        ("PROMPT", "other", ""),
        ("UNKNOWN", "other", ""),
        ("llm", "llm", "chat"),
    ],
)
def test_kinds(kind: str, category: str, operation: str) -> None:
    span = read(kind, {})
    assert (span.dialect, span.category, span.operation) == ("openinference", category, operation)


def test_flattened_messages() -> None:
    m = "llm.input_messages."
    span = read(
        "LLM",
        {
            m + "10.message.content": "last",
            m + "10.message.role": "user",
            m + "2.message.role": "assistant",
            m + "2.message.tool_calls.1.tool_call.function.name": "second",
            m + "2.message.tool_calls.0.tool_call.id": "c0",
            m + "2.message.tool_calls.0.tool_call.function.name": "first",
            m + "2.message.tool_calls.0.tool_call.function.arguments": '{"a": 1}',
            m + "0.message.role": "system",
            m + "0.message.contents.0.message_content.type": "text",
            m + "0.message.contents.0.message_content.text": "Be brief.",
            m + "1.message.role": "user",
            m + "1.message.name": "ann",
            m + "1.message.contents.1.message_content.type": "image",
            m + "1.message.contents.1.message_content.image.image.url": "https://x/y.png",
            m + "1.message.contents.0.message_content.type": "text",
            m + "1.message.contents.0.message_content.text": "Look",
            m + "3.message.role": "tool",
            m + "3.message.tool_call_id": "c0",
            m + "3.message.content": '{"seen": true}',
            m + "4.message.role": "assistant",
            m + "4.message.function_call_name": "old",
            m + "4.message.function_call_arguments_json": '{"b": 2}',
        },
    )
    assert span.input_messages == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "name": "ann",
            "parts": [
                {"type": "text", "content": "Look"},
                {"type": "uri", "modality": "image", "uri": "https://x/y.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "c0", "name": "first", "arguments": {"a": 1}},
                {"type": "tool_call", "name": "second", "arguments": None},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c0", "response": {"seen": True}}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "old", "arguments": {"b": 2}}]},
        {"role": "user", "parts": [{"type": "text", "content": "last"}]},
    ]


def test_completions_api() -> None:
    span = read("LLM", {"llm.prompts.0.prompt.text": "Once upon", "llm.choices.0.completion.text": " a time"})
    assert (span.operation, span.input_preview, span.output_preview) == ("text_completion", "Once upon", "a time")
    older = read("LLM", {"llm.prompts": ["Once upon"]})
    assert older.input_preview == "Once upon"


def test_structured_messages_win_over_raw_values() -> None:
    span = read(
        "LLM",
        {
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "words",
            "input.value": '{"messages": [{"role": "user", "content": "raw"}]}',
            "output.value": "raw answer",
        },
    )
    assert (span.input_preview, span.output_preview) == ("words", "raw answer")


def test_raw_values() -> None:
    text = read("CHAIN", {"input.value": '{"a": 1}', "input.mime_type": "text/plain", "output.value": "done"})
    assert text.input_messages[0]["parts"][0]["content"] == '{"a": 1}'
    chat = read("CHAIN", {"input.value": '{"messages": [{"role": "user", "content": "Hi"}]}'})
    assert chat.input_messages == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    single = read("CHAIN", {"input.value": '{"question": "Why?"}', "output.value": '{"answer": "So.", "n": 1}'})
    assert (single.input_preview, single.output_preview) == ("Why?", '{"answer":"So.","n":1}')


def test_tool() -> None:
    span = read(
        "TOOL", {"tool.name": "look", "tool.id": "c1", "input.value": '{"city": "Paris"}', "output.value": "blue sky"}
    )
    assert (span.tool_name, span.tool_call_id) == ("look", "c1")
    assert (span.tool_arguments, span.tool_result) == ({"city": "Paris"}, "blue sky")
    assert span.input_messages == []
    named = read("TOOL", {"tool.parameters": '{"a": 1}'}, name="my_tool")
    assert (named.tool_name, named.tool_arguments) == ("my_tool", {"a": 1})


def test_documents() -> None:
    d = "retrieval.documents."
    attributes = {
        d + "1.document.content": "second",
        d + "0.document.id": "d0",
        d + "0.document.score": 0.5,
        d + "0.document.content": "first",
        d + "0.document.metadata": '{"page": 1}',
    }
    span = read("RETRIEVER", attributes | {"input.value": "what?"})
    assert span.documents == [
        {"id": "d0", "score": 0.5, "content": "first", "metadata": {"page": 1}},
        {"content": "second"},
    ]
    assert (span.input_preview, span.output_preview) == ("what?", "first")


def test_reranker() -> None:
    span = read(
        "RERANKER",
        {
            "reranker.query": "what?",
            "reranker.model_name": "rerank-3",
            "reranker.top_k": 1,
            "reranker.input_documents.0.document.content": "a",
            "reranker.input_documents.1.document.content": "b",
            "reranker.output_documents.0.document.content": "b",
            "reranker.output_documents.0.document.score": "0.75",
        },
    )
    assert span.documents == [{"content": "b", "score": 0.75}]
    assert (span.request_model, span.parameters, span.input_preview) == ("rerank-3", {"top_k": 1}, "what?")


def test_embeddings() -> None:
    e = "embedding.embeddings."
    span = read(
        "EMBEDDING",
        {
            "embedding.model_name": "embed-3",
            e + "0.embedding.text": "one",
            e + "0.embedding.vector": [0.1] * 8,
            e + "1.embedding.text": "two",
            "llm.token_count.prompt": 2,
        },
    )
    assert [part["content"] for part in span.input_messages[0]["parts"]] == ["one", "two"]
    assert (span.request_model, span.output_messages, span.usage.input_tokens) == ("embed-3", [], 2)


def test_usage_and_cost() -> None:
    c = "llm.token_count."
    span = read(
        "LLM",
        {
            c + "prompt": 100,
            c + "completion": 20,
            c + "total": 120,
            c + "prompt_details.cache_read": 60,
            c + "prompt_details.cache_write": 10,
            c + "prompt_details.audio": 5,
            c + "completion_details.reasoning": 8,
            c + "completion_details.audio": 2,
            "llm.cost.total": 0.0123,
            "llm.cost.prompt": 0.01,
        },
    )
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (100, 20, "inclusive")
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (60, 10, 8)
    assert (usage.audio_input_tokens, usage.audio_output_tokens) == (5, 2)
    assert span.cost.reported_usd == Decimal("0.0123")
    assert read("LLM", {"llm.cost.prompt": 0.1, "llm.cost.completion": 0.2}).cost.reported_usd == Decimal("0.3")
    assert read("LLM", {"llm.cost.total": -1.0}).cost.reported_usd is None
    assert read("LLM", {"llm.cost.total": True}).cost.reported_usd is None


def test_models_and_parameters() -> None:
    span = read(
        "LLM",
        {
            "llm.model_name": "gpt-4o-2024-08-06",
            "llm.invocation_parameters": '{"model": "gpt-4o", "temperature": 0.1, "tools": [], "api_key": "abc"}',
            "llm.provider": "azure",
            "llm.system": "openai",
            "llm.prompt_template.version": "v3",
            "llm.prompt_template.variables": '{"city": "Paris"}',
        },
    )
    assert (span.request_model, span.response_model, span.provider) == (
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "azure.ai.openai",
    )
    assert span.parameters == {
        "temperature": 0.1,
        "api_key": "[redacted]",
        "prompt_template.variables": {"city": "Paris"},
    }
    assert span.prompt_version == "v3"
    new = read("LLM", {"llm.request.model_name": "a", "llm.response.model_name": "b", "llm.model_name": "b"})
    assert (new.request_model, new.response_model) == ("a", "b")
    assert read("LLM", {"llm.provider": "google", "llm.system": "vertexai"}).provider == "gcp.vertex_ai"


def test_first_token_event_and_tools() -> None:
    tool = '{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}'
    span = read("LLM", {"llm.tools.0.tool.json_schema": tool}, events=[event("First Token Stream Event", 40_000_000)])
    assert (span.ttft_ns, span.ttft_source) == (40_000_000, "event")
    assert span.tool_definitions == [{"type": "function", "name": "look", "parameters": {"type": "object"}}]


def test_huge_indices_cost_nothing() -> None:
    attributes = {
        f"llm.input_messages.{index}.message.content": "x"
        for index in ("999999999", "10000", "9" * 400, "-1", "1e3", "٣", "", "00000000001")
    }
    attributes["llm.input_messages.9999.message.content"] = "the last that counts"
    attributes["llm.output_messages.0.message.tool_calls.999999999.tool_call.id"] = "x"
    attributes["llm.output_messages.0.message.contents.999999999.message_content.text"] = "x"
    attributes["retrieval.documents.999999999.document.content"] = "x"
    span = read("LLM", attributes)
    small = {name.replace("9" * 9, "7").replace("9999.", "9."): value for name, value in attributes.items()}
    read("LLM", small)
    assert steps(lambda: read("LLM", attributes)) <= steps(lambda: read("LLM", small)) + 100
    assert span.input_messages == [{"role": "user", "parts": [{"type": "text", "content": "the last that counts"}]}]
    assert span.documents == []


def test_context() -> None:
    span = read(
        "CHAIN",
        {
            "session.id": "s",
            "user.id": "u",
            "metadata": '{"plan": "pro", "seats": 3}',
            "tag.tags": '["a", "b"]',
            "agent.name": "helper",
        },
        resource={"openinference.project.name": "shop"},
    )
    assert (span.session_id, span.user_id, span.tags, span.agent_name) == ("s", "u", ["a", "b"], "helper")
    assert span.metadata == {"plan": "pro", "seats": "3", "openinference.project.name": "shop"}
