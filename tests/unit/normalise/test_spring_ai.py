"""Spring AI: everything is text, and the kind says what a span is."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


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
    assert (span.operation, span.input_preview, span.parameters) == ("retrieval", "what?", {"top_k": 4})
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
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"at": "it"}, "seen")
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


def chat(system: str, **counts: str) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": system,
        "gen_ai.request.model": "asked",
        "gen_ai.response.model": "none",
        "gen_ai.request.temperature": "0.8",
        "gen_ai.request.max_tokens": "100",
        "gen_ai.request.stream": "true",
        "spring.ai.model.request.tool.names": '["look", "ask"]',
        **{f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in counts.items()},
    }


def test_models_are_known_by_the_scope_and_none_is_no_model() -> None:
    attributes = chat("openai", input_tokens="9")
    del attributes["spring.ai.model.request.tool.names"]
    span = normalise(raw_span(attributes, scope="org.springframework.boot"))
    assert (span.dialect, span.request_model, span.response_model, span.model) == ("spring_ai", "asked", "", "asked")
    assert span.parameters == {"temperature": 0.8, "max_tokens": 100, "stream": True}
    other = normalise(raw_span({"http.url": "/", "exception": "none"}, scope="org.springframework.boot"))
    assert other.dialect == "generic"


def test_tools_offered_to_a_model() -> None:
    span = normalise(raw_span(chat("openai"), scope="org.springframework.boot"))
    assert [tool["name"] for tool in span.tool_definitions] == ["look", "ask"]


@pytest.mark.parametrize(
    ("system", "provider", "input_tokens", "basis"),
    [
        ("anthropic", "anthropic", 1400, "exclusive"),
        ("bedrock_converse", "aws.bedrock", 1400, "exclusive"),
        ("openai", "openai", 1000, "inclusive"),
        ("google_genai", "gcp.gen_ai", 1000, "inclusive"),
        ("azure-openai", "azure.ai.openai", 1000, "inclusive"),
    ],
)
def test_cached_tokens_stand_beside_the_input_where_the_provider_counts_so(
    system: str, provider: str, input_tokens: int, basis: str
) -> None:
    counts = {"cache_read__input_tokens": "300", "cache_creation__input_tokens": "100"}
    attributes = chat(system, input_tokens="1000", output_tokens="10", total_tokens="1010", **counts)
    span = normalise(raw_span(attributes, scope="org.springframework.boot"))
    usage = span.usage
    assert (span.provider, usage.input_tokens, usage.basis) == (provider, input_tokens, basis)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens) == (300, 100, 10)


def test_images_are_made_by_a_model() -> None:
    attributes = {"gen_ai.operation.name": "image", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-image-1"}
    span = normalise(
        raw_span(attributes | {"gen_ai.request.image.size": "1024x1024"}, scope="org.springframework.boot")
    )
    assert (span.category, span.operation, span.parameters["output_type"]) == ("llm", "generate_content", "image")
    embedding = normalise(
        raw_span(
            {"gen_ai.operation.name": "embedding", "gen_ai.system": "openai", "gen_ai.usage.input_tokens": "7"},
            scope="org.springframework.boot",
        )
    )
    assert (embedding.category, embedding.operation, embedding.usage.input_tokens) == ("embedding", "embeddings", 7)


def test_content_on_the_span_as_each_version_puts_it() -> None:
    newest = chat("openai") | {
        "gen_ai.input.messages": '[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}]',
        "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"So."}],"finish_reason":"STOP"}]',
    }
    span = normalise(raw_span(newest, scope="org.springframework.boot"))
    assert (span.input_preview, span.output_preview) == ("Why?", "So.")
    first = normalise(
        raw_span(
            chat("dashscope"),
            scope="org.springframework.boot",
            events=[
                event("gen_ai.content.completion", **{"gen_ai.completion": ["So."]}),
                event("gen_ai.content.prompt", **{"gen_ai.prompt": ["Be brief.", "Why?"]}),
            ],
        )
    )
    assert first.output_preview == "So."
    assert [part["content"] for message in first.input_messages for part in message["parts"]] == ["Be brief.", "Why?"]
