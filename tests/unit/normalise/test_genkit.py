"""Genkit: models, tools, retrievers, embedders and flows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


def action(subtype: str, name: str, given: Any, result: Any, **extra: Any) -> Any:
    """Return the canonical span of an action."""
    attributes = {
        "genkit:type": "action",
        "genkit:metadata:subtype": subtype,
        "genkit:name": name,
        "genkit:input": orjson.dumps(given).decode(),
        "genkit:output": orjson.dumps(result).decode(),
    }
    return normalise(raw_span(attributes | extra, name=name, scope="genkit-tracer"))


def test_model() -> None:
    given = {
        "messages": [
            {"role": "system", "content": [{"text": "Be brief."}]},
            {
                "role": "user",
                "content": [
                    {"text": "Look."},
                    {"media": {"url": "data:image/png;base64,AAA", "contentType": "image/png"}},
                ],
            },
            {"role": "model", "content": [{"toolRequest": {"ref": "c1", "name": "look", "input": {"at": "it"}}}]},
            {"role": "tool", "content": [{"toolResponse": {"ref": "c1", "name": "look", "output": {"saw": "it"}}}]},
        ],
        "config": {"temperature": 0.5},
        "tools": [{"name": "look", "description": "Look", "inputSchema": {"type": "object"}}],
    }
    result = {
        "message": {"role": "model", "content": [{"reasoning": "Hm."}, {"text": "Done."}]},
        "finishReason": "stop",
        "usage": {
            "inputTokens": 10.0,
            "outputTokens": 2,
            "thoughtsTokens": 5,
            "totalTokens": 17,
            "cachedContentTokens": 3,
        },
    }
    span = action("model", "googleai/gemini-2.5-flash", given, result)
    assert (span.dialect, span.category, span.provider, span.request_model) == (
        "genkit",
        "llm",
        "gcp.gemini",
        "gemini-2.5-flash",
    )
    assert [message["role"] for message in span.input_messages] == ["system", "user", "assistant", "tool"]
    assert span.input_messages[1]["parts"][1] == {
        "type": "blob",
        "modality": "image",
        "content": "AAA",
        "mime_type": "image/png",
    }
    assert span.input_messages[2]["parts"][0]["id"] == span.input_messages[3]["parts"][0]["id"] == "c1"
    assert [part["type"] for part in span.output_messages[0]["parts"]] == ["reasoning", "text"]
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens, usage.cache_read_tokens) == (10, 7, 5, 3)
    assert (span.parameters, span.finish_reasons) == ({"temperature": 0.5}, ["stop"])
    assert span.tool_definitions == [
        {"type": "function", "name": "look", "description": "Look", "parameters": {"type": "object"}}
    ]


def test_a_model_that_does_not_count() -> None:
    result = {"message": {"role": "model", "content": [{"text": "x"}]}, "usage": {"inputTokens": 0, "outputTokens": 0}}
    assert not action("model", "mine/echo", {"messages": []}, result).usage.known


def test_tool_flow_and_agent() -> None:
    tool = action("tool", "look", {"at": "it"}, {"saw": "it"})
    assert (tool.category, tool.tool_name, tool.tool_arguments, tool.tool_result) == (
        "tool",
        "look",
        {"at": "it"},
        {"saw": "it"},
    )
    flow = action("flow", "answer", "Why?", "Because.", **{"genkit:metadata:flow:id": "f1"})
    assert (flow.category, flow.input_preview, flow.output_preview) == ("workflow", "Why?", "Because.")
    assert flow.metadata == {"flow:id": "f1"}
    failed = action("flow", "answer", "Why?", None, **{"genkit:state": "error"})
    assert (failed.error_type, failed.raw.status_code) == ("error", "error")


def test_retriever_and_embedder() -> None:
    found = {"documents": [{"content": [{"text": "first"}], "metadata": {"page": 1, "id": "d"}}]}
    retriever = action("retriever", "shelf", {"query": {"content": [{"text": "what?"}]}}, found)
    assert (retriever.category, retriever.input_preview) == ("retriever", "what?")
    assert retriever.documents == [{"content": "first", "metadata": {"page": 1, "id": "d"}}]
    embedder = action(
        "embedder", "vertexai/text-embedding-005", {"input": [{"content": [{"text": "one"}]}]}, {"embeddings": [{}]}
    )
    assert (embedder.category, embedder.provider, embedder.input_preview) == ("embedding", "gcp.vertex_ai", "one")
    assert embedder.output_messages == []


@pytest.mark.parametrize(("kind", "category"), [("flowStep", "workflow"), ("util", "workflow"), ("odd", "other")])
def test_kinds_without_subtype(kind: str, category: str) -> None:
    assert normalise(raw_span({"genkit:type": kind, "genkit:name": "x"})).category == category
