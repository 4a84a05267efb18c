"""Logfire's instrumentations: today's attributes, request and response data before, and streams in two records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


def logfire_span(attributes: dict[str, Any], scope: str = "logfire.openai", **fields: Any) -> Span:
    """Return the canonical span of these attributes; dicts and lists of data are sent as JSON."""
    sent = {
        key: orjson.dumps(value).decode() if isinstance(value, dict) else value for key, value in attributes.items()
    }
    return normalise(raw_span(sent, scope=scope, **fields))


@pytest.mark.parametrize(
    ("attributes", "scope", "dialect"),
    [
        ({}, "logfire", "logfire"),
        ({}, "logfire.anthropic", "logfire"),
        ({}, "logfires", "generic"),
        ({"request_data": "{}", "logfire.msg": "m"}, "mine", "logfire"),
        ({"request_data": "{}"}, "mine", "generic"),
        ({"logfire.msg": "GET /", "http.route": "/"}, "opentelemetry.instrumentation.fastapi", "generic"),
        ({"logfire.msg": "m", "gen_ai.system": "openai"}, "opentelemetry.instrumentation.openai_v2", "otel"),
        ({"logfire.msg": "m", "gen_ai.prompt.0.role": "user"}, "opentelemetry.instrumentation.cohere", "openllmetry"),
    ],
)
def test_only_its_own_spans(attributes: dict[str, Any], scope: str, dialect: str) -> None:
    assert logfire_span(attributes, scope).dialect == dialect


def test_request_and_response_data() -> None:
    span = logfire_span(
        {
            "request_data": {
                "model": "gpt-4o",
                "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
                "temperature": 0.5,
                "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            },
            "response_data": {
                "message": {
                    "role": "assistant",
                    "content": "Ho",
                    "tool_calls": [{"id": "c", "function": {"name": "look", "arguments": '{"a": 1}'}}],
                },
                "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
            },
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "operation.cost": 0.25,
        }
    )
    assert (span.category, span.operation, span.request_model) == ("llm", "chat", "gpt-4o")
    assert [message["role"] for message in span.input_messages] == ["system", "user"]
    assert (span.output_preview, span.parameters) == ("Ho look(a=1)", {"temperature": 0.5})
    assert span.tool_definitions == [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    assert (span.usage.input_tokens, span.usage.output_tokens, span.usage.cache_read_tokens) == (12, 3, 5)
    assert (span.response_model, span.cost.reported_usd) == ("gpt-4o-2024-08-06", Decimal("0.25"))


def test_stream_in_two_records() -> None:
    request = {
        "request_data": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
        "gen_ai.system": "openai",
    }
    opening = logfire_span(request | {"gen_ai.operation.name": "chat", "logfire.span_type": "span"})
    assert (opening.category, opening.input_preview) == ("other", "Hi")
    answer = {"combined_chunk_content": "Ho", "chunk_count": 2}
    answered = logfire_span(request | {"response_data": answer, "logfire.span_type": "log"})
    assert (answered.category, answered.input_preview, answered.output_preview) == ("llm", "Hi", "Ho")
    running = logfire_span(request | {"gen_ai.operation.name": "chat", "logfire.span_type": "pending_span"})
    assert running.category == "llm"
    failed = logfire_span(request | {"gen_ai.operation.name": "chat", "logfire.span_type": "span"}, status_code="error")
    assert failed.category == "llm"


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        ({"input_tokens": 4, "output_tokens": 6, "cache_creation_input_tokens": 7}, (11, 6, None, 7)),
        (
            {"prompt_tokens": 11, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 5}},
            (11, 6, 5, None),
        ),
        (
            {"prompt_tokens": 99, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 5}},
            (11, 6, None, None),
        ),
    ],
)
def test_raw_usage_adds_details_where_it_says_the_same(raw: dict[str, Any], counts: tuple[int | None, ...]) -> None:
    attributes = {"gen_ai.usage.input_tokens": 11, "gen_ai.usage.output_tokens": 6, "gen_ai.usage.raw": raw}
    usage = logfire_span({"gen_ai.operation.name": "chat", **attributes}).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == counts


def test_feedback_and_plain_spans() -> None:
    feedback = {"logfire.feedback.name": "helpful", "helpful": 1, "logfire.span_type": "annotation"}
    assert logfire_span(feedback, "logfire.feedback").category == "evaluator"
    plain = logfire_span({"logfire.msg": "hello", "logfire.tags": ["a"], "request_data": {"path": "/"}}, "logfire")
    assert (plain.category, plain.tags, plain.usage.known) == ("other", ["a"], False)
    embedding = logfire_span({"request_data": {"model": "m", "input": "x"}}, name="Embedding Creation with …")
    assert (embedding.category, embedding.input_preview) == ("embedding", "x")


def test_a_call_of_the_first_version_is_a_chat_or_an_embedding() -> None:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    for attributes in ({}, {"gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}):
        span = logfire_span({"request_data": request, **attributes})
        assert (span.category, span.operation) == ("llm", "chat")
    embedding = logfire_span(
        {"request_data": {"model": "text-embedding-3-small", "input": "Hi"}}, name="Embedding Creation with 'x'"
    )
    assert (embedding.category, embedding.operation) == ("embedding", "embeddings")
