"""OpenTelemetry's newest operations: MCP, memories, per-modality counts; and Gemini's shapes in old log events."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import log, raw_span


@pytest.mark.parametrize(
    ("attributes", "category", "tool"),
    [
        ({"mcp.method.name": "tools/call", "gen_ai.tool.name": "look"}, "tool", "look"),
        ({"mcp.method.name": "tools/list"}, "other", ""),
        ({"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "greet"}, "other", ""),
        ({"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}, "tool", ""),
    ],
)
def test_mcp(attributes: dict[str, Any], category: str, tool: str) -> None:
    span = normalise(raw_span(attributes | {"mcp.session.id": "s"}, scope="mcp"))
    assert (span.dialect, span.category, span.tool_name) == ("otel", category, tool)


def test_memory_search() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.operation.name": "search_memory",
                "gen_ai.memory.query.text": "who?",
                "gen_ai.memory.records": '[{"id": "m1", "content": "Ada", "score": 0.5}]',
            }
        )
    )
    assert (span.category, span.input_preview) == ("retriever", "who?")
    assert span.documents == [{"id": "m1", "score": 0.5, "content": "Ada"}]


def test_null_fields_of_the_newest_writers() -> None:
    messages = '[{"role":"user","parts":[{"content":"Hi","type":"text"}],"name":null}]'
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": messages}))
    assert span.input_messages == [{"role": "user", "parts": [{"content": "Hi", "type": "text"}]}]


def test_gemini_contents_in_log_events() -> None:
    nothing = {"video_metadata": None, "inline_data": None, "function_call": None, "function_response": None}
    call = {"id": "c1", "name": "look", "args": {"at": "it"}}
    answer = {"id": "c1", "name": "look", "response": {"saw": "it"}}
    logs = [
        log("gen_ai.system.message", {"content": "Be brief."}, 0),
        log("gen_ai.user.message", {"content": {"role": "user", "parts": [nothing | {"text": "Look."}]}}, 1),
        log("gen_ai.user.message", {"content": {"role": "model", "parts": [nothing | {"function_call": call}]}}, 2),
        log(
            "gen_ai.user.message", {"content": {"role": "user", "parts": [nothing | {"function_response": answer}]}}, 3
        ),
        log(
            "gen_ai.choice",
            {"index": 0, "finish_reason": "STOP", "content": {"role": "model", "parts": [nothing | {"text": "Done."}]}},
            4,
        ),
    ]
    span = normalise(raw_span({"gen_ai.operation.name": "generate_content"}), logs)
    assert [message["role"] for message in span.input_messages] == ["system", "user", "assistant", "tool"]
    assert span.input_messages[2]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}}
    ]
    assert span.input_messages[3]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": {"saw": "it"}}]
    assert span.output_preview == "Done."
