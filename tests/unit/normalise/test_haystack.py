"""Haystack: components by class name, version 2's fields, embedders, tools, times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import START_NS, raw_span


def component(kind: str, given: Any, result: Any, **extra: Any) -> Any:
    """Return the canonical span of a component's run."""
    attributes = {
        "haystack.component.name": "it",
        "haystack.component.type": kind,
        "haystack.component.input": orjson.dumps(given).decode(),
        "haystack.component.output": orjson.dumps(result).decode(),
    }
    return normalise(raw_span(attributes | extra, name="haystack.component.run", scope="anything"))


@pytest.mark.parametrize(
    ("kind", "category", "provider"),
    [
        ("OpenAIChatGenerator", "llm", "openai"),
        ("AzureOpenAIGenerator", "llm", "azure.ai.openai"),
        ("AnthropicChatGenerator", "llm", "anthropic"),
        ("SentenceTransformersTextEmbedder", "embedding", ""),
        ("InMemoryBM25Retriever", "retriever", ""),
        ("CohereRanker", "reranker", "cohere"),
        ("ToolInvoker", "tool", ""),
        ("PromptBuilder", "workflow", ""),
        ("FaithfulnessEvaluator", "evaluator", ""),
        ("MyOwnThing", "other", ""),
    ],
)
def test_components(kind: str, category: str, provider: str) -> None:
    span = component(kind, {}, {})
    assert (span.dialect, span.category, span.provider) == ("haystack", category, provider)


def test_version_2_messages_and_time() -> None:
    begun = datetime.fromtimestamp(START_NS / 1e9, UTC) + timedelta(milliseconds=250)
    call = {"tool_call": {"id": "c1", "tool_name": "look", "arguments": {"at": "it"}}}
    answer = {"tool_call_result": {"result": "seen", "origin": {"id": "c1", "tool_name": "look"}, "error": False}}
    meta = {
        "model": "claude-x",
        "stop_reason": "end_turn",
        "completion_start_time": begun.isoformat(),
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 7},
    }
    span = component(
        "AnthropicChatGenerator",
        {
            "messages": [
                {"_role": "user", "_content": [{"text": "Look."}], "_meta": {}},
                {"_role": "assistant", "_content": [call], "_meta": {}},
                {"_role": "tool", "_content": [answer], "_meta": {}},
            ],
            "generation_kwargs": {"temperature": 0.5},
        },
        {"replies": [{"_role": "assistant", "_content": [{"text": "Done."}], "_meta": meta}]},
    )
    assert [message["role"] for message in span.input_messages] == ["user", "assistant", "tool"]
    assert span.input_messages[1]["parts"][0] == {
        "type": "tool_call",
        "id": "c1",
        "name": "look",
        "arguments": {"at": "it"},
    }
    assert span.input_messages[2]["parts"][0] == {"type": "tool_call_response", "id": "c1", "response": "seen"}
    assert (span.usage.input_tokens, span.usage.cache_read_tokens, span.usage.basis) == (10, 7, "exclusive")
    assert (span.ttft_ns, span.finish_reasons, span.parameters) == (250_000_000, ["stop"], {"temperature": 0.5})


def test_generator_of_plain_text() -> None:
    span = component(
        "OpenAIGenerator",
        {"prompt": "Why?"},
        {"replies": ["Because."], "meta": [{"model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}]},
    )
    assert (span.input_preview, span.output_preview, span.response_model) == ("Why?", "Because.", "gpt-4o")
    assert span.usage.input_tokens == 1


def test_embedder() -> None:
    meta = {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    span = component("OpenAITextEmbedder", {"text": "three small words"}, {"embedding": [0.1], "meta": meta})
    assert (span.category, span.response_model, span.usage.input_tokens) == ("embedding", "text-embedding-3-small", 3)
    assert (span.input_preview, span.output_messages) == ("three small words", [])
    documents = component("OpenAIDocumentEmbedder", {"documents": [{"content": "a"}, {"content": "b"}]}, {"meta": meta})
    assert [part["content"] for part in documents.input_messages[0]["parts"]] == ["a", "b"]


@pytest.mark.parametrize("begun", ["2026", "never", "9999-99-99", "2026-01-01T00:00:00"])
def test_bad_times_are_ignored(begun: str) -> None:
    span = component("OpenAIGenerator", {}, {"replies": ["x"], "meta": [{"completion_start_time": begun}]})
    assert (span.ttft_ns, "unmapped" in span.raw.flags) == (None, False)
