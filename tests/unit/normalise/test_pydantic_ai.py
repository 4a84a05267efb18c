"""pydantic-ai: what its formats before today's named otherwise, and what its agents sum up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


def ai_span(attributes: dict[str, Any], name: str = "work", scope: str = "pydantic-ai") -> Span:
    """Return the canonical span of these attributes."""
    return normalise(raw_span(attributes, scope=scope, name=name))


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({}, "pydantic-ai"),
        ({"pydantic_ai.all_messages": "[]"}, "logfire.pydantic_ai"),
        ({"gen_ai.agent.call.id": "c"}, "mine"),
    ],
)
def test_markers(attributes: dict[str, Any], scope: str) -> None:
    assert ai_span(attributes, scope=scope).dialect == "pydantic_ai"


def test_agent_of_format_1() -> None:
    events = [
        {"event.name": "gen_ai.system.message", "content": "Be kind.", "role": "system"},
        {"event.name": "gen_ai.user.message", "content": "Weather?", "role": "user"},
        {
            "event.name": "gen_ai.assistant.message",
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}],
        },
        {"event.name": "gen_ai.tool.message", "content": "blue", "role": "tool", "id": "c", "name": "look"},
        {"event.name": "gen_ai.assistant.message", "content": "It is blue.", "role": "assistant"},
        {"event.name": "unheard.of"},
        "not an event",
    ]
    span = ai_span(
        {"all_messages_events": orjson.dumps(events).decode(), "model_name": "m", "agent_name": "a"}, "agent run"
    )
    assert (span.category, span.operation, span.agent_name, span.request_model) == ("agent", "invoke_agent", "a", "m")
    assert [message["role"] for message in span.input_messages] == ["system", "user"]
    assert [message["role"] for message in span.output_messages] == ["assistant", "tool", "assistant"]
    assert (span.input_preview, span.output_preview) == ("Weather?", "It is blue.")


def test_model_of_format_1() -> None:
    events = [
        {"event.name": "gen_ai.user.message", "content": "Hi", "role": "user", "gen_ai.message.index": 0},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "Ho"}},
    ]
    span = ai_span({"gen_ai.operation.name": "chat", "events": orjson.dumps(events).decode(), "operation.cost": 0.5})
    assert (span.input_preview, span.output_preview, span.cost.reported_usd) == ("Hi", "Ho", Decimal("0.5"))


def test_tools_of_old() -> None:
    attributes = {"gen_ai.tool.name": "look", "tool_arguments": '{"a": 1}', "tool_response": '"blue"'}
    span = ai_span(attributes, "running tool")
    assert (span.category, span.tool_name, span.tool_arguments, span.tool_result) == ("tool", "look", {"a": 1}, "blue")


@pytest.mark.parametrize("prefix", ["gen_ai.usage.", "gen_ai.aggregated_usage."])
def test_an_agents_sums(prefix: str) -> None:
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        prefix + "input_tokens": 12,
        prefix + "output_tokens": 8,
        prefix + "details.cache_read_tokens": 5,
        prefix + "details.cache_write_tokens": 2,
        prefix + "details.reasoning_tokens": 4,
    }
    usage = ai_span(attributes).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (12, 8, 5)
    assert (usage.cache_write_tokens, usage.reasoning_tokens, usage.basis) == (2, 4, "inclusive")


def test_conversation_and_result() -> None:
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "look", "arguments": {}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "name": "look", "result": "blue"}]},
    ]
    attributes = {"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": orjson.dumps(messages).decode()}
    stopped = ai_span(attributes)
    assert [message["role"] for message in stopped.output_messages] == ["assistant", "tool"]
    assert stopped.output_messages[1]["parts"] == [{"type": "tool_call_response", "id": "c", "response": "blue"}]
    done = ai_span(attributes | {"final_result": '{"colour": "blue"}'})
    assert done.output_preview == "blue"
    assert len(done.input_messages) == 1
    unanswered = ai_span(attributes | {"pydantic_ai.all_messages": orjson.dumps(messages[:1]).decode()})
    assert (unanswered.input_preview, unanswered.output_messages) == ("Hi", [])


def test_media_embeddings_and_metadata() -> None:
    parts = [
        {"type": "binary", "media_type": "audio/wav", "content": "UklG"},
        {"type": "image-url", "url": "https://x/y.png"},
        {"type": "uri", "modality": "image", "uri": "data:image/png;base64,iVBO"},
        {"type": "thinking", "content": "Hm."},
    ]
    span = ai_span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": orjson.dumps([{"role": "user", "parts": parts}]).decode(),
            "metadata": '{"plan": "pro", "seats": 3}',
        }
    )
    assert span.input_messages[0]["parts"] == [
        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "UklG"},
        {"type": "uri", "modality": "image", "uri": "https://x/y.png"},
        {"type": "blob", "modality": "image", "content": "iVBO", "mime_type": "image/png"},
        {"type": "reasoning", "content": "Hm."},
    ]
    assert span.metadata == {"plan": "pro", "seats": "3"}
    embedded = ai_span({"gen_ai.operation.name": "embeddings", "inputs": '["one", "two"]', "embeddings": "[[0.5]]"})
    assert [part["content"] for part in embedded.input_messages[0]["parts"]] == ["one", "two"]
    assert embedded.output_messages == []
