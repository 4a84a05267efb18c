"""Spring AI: everything is text, and the kind says what a span is."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


@pytest.mark.parametrize(
    ("attributes", "category"),
    [
        ({"spring.ai.kind": "chat_client"}, "workflow"),
        ({"spring.ai.kind": "advisor", "spring.ai.advisor.name": "memory"}, "workflow"),
        ({"spring.ai.kind": "tool_call"}, "tool"),
        ({"spring.ai.kind": "vector_store", "db.operation.name": "query"}, "retriever"),
        ({"spring.ai.kind": "vector_store", "db.operation.name": "add"}, "other"),
    ],
)
def test_kinds(attributes: dict[str, Any], category: str) -> None:
    common = {"gen_ai.system": "spring_ai", "gen_ai.operation.name": "framework"}
    span = normalise(raw_span(common | attributes, scope="org.springframework.boot"))
    assert (span.dialect, span.category, span.provider) == ("spring_ai", category, "")


def test_vector_store() -> None:
    span = normalise(
        raw_span(
            {
                "spring.ai.kind": "vector_store",
                "db.operation.name": "query",
                "db.vector.query.content": "what?",
                "db.vector.query.top_k": "4",
                "db.vector.query.response.documents": '["first", "second"]',
            }
        )
    )
    assert (span.operation, span.input_preview, span.parameters) == ("retrieval", "what?", {"top_k": "4"})
    assert span.documents == [{"content": "first"}, {"content": "second"}]


def test_tool_and_client() -> None:
    tool = normalise(
        raw_span(
            {
                "spring.ai.kind": "tool_call",
                "spring.ai.tool.definition.name": "look",
                "spring.ai.tool.call.arguments": '{"at": "it"}',
                "spring.ai.tool.call.result": '"seen"',
            }
        )
    )
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"at": "it"}, '"seen"')
    client = normalise(
        raw_span(
            {
                "spring.ai.kind": "chat_client",
                "spring.ai.chat.client.system.text": "Be brief.",
                "spring.ai.chat.client.user.text": "Why?",
                "spring.ai.chat.client.conversation.id": "s1",
                "spring.ai.chat.client.tool.names": '["look"]',
            }
        )
    )
    assert (client.input_preview, client.session_id) == ("Why?", "s1")
    assert client.tool_definitions == [{"type": "function", "name": "look"}]


def test_chat_model_with_text_counts() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": "12",
                "gen_ai.usage.output_tokens": "3",
                "gen_ai.usage.total_tokens": "15",
                "gen_ai.response.finish_reasons": '["STOP"]',
            },
            scope="org.springframework.boot",
        )
    )
    assert (span.category, span.usage.input_tokens, span.usage.output_tokens) == ("llm", 12, 3)
    assert span.finish_reasons == ["stop"]
