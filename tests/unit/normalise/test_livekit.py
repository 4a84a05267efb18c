"""LiveKit Agents: turns, model requests, tools and their content under both of its names."""

from __future__ import annotations

import orjson
import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span

CONTEXT = {
    "items": [
        {"type": "message", "role": "system", "content": ["Be brief."]},
        {"type": "message", "role": "user", "content": ["Look."]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": "it"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "seen"},
        {"type": "agent_handoff", "new_agent_id": "x"},
    ]
}


@pytest.mark.parametrize("marker", ["lk.pii.", "lk."])
def test_node(marker: str) -> None:
    span = normalise(
        raw_span(
            {
                marker + "chat_ctx": orjson.dumps(CONTEXT).decode(),
                marker + "response.text": "Done.",
                marker + "response.function_calls": '[{"call_id": "c2", "name": "look", "arguments": "{}"}]',
                "lk.response.ttft": 0.25,
                "lk.function_tools": ["look"],
                "lk.room_sid": "RM_1",
            },
            name="llm_node",
            scope="livekit-agents",
        )
    )
    assert (span.dialect, span.category, span.session_id, span.ttft_ns) == (
        "livekit",
        "workflow",
        "RM_1",
        250_000_000,
    )
    assert [message["role"] for message in span.input_messages] == ["system", "user", "assistant", "tool"]
    assert span.input_messages[2]["parts"][0]["id"] == span.input_messages[3]["parts"][0]["id"] == "c1"
    assert [part["type"] for part in span.output_messages[0]["parts"]] == ["text", "tool_call"]
    assert span.output_messages[0]["parts"][1]["id"] == "c2"
    assert span.tool_definitions == [{"type": "function", "name": "look"}]


def test_request_counts_and_node_does_not() -> None:
    usage = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}
    request = normalise(raw_span(usage, name="llm_request", scope="livekit-agents"))
    assert (request.category, request.operation, request.usage.input_tokens) == ("llm", "chat", 3)
    assert normalise(raw_span(usage, name="llm_node", scope="livekit-agents")).category == "workflow"


def test_tool_and_turns() -> None:
    tool = normalise(
        raw_span(
            {
                "lk.function_tool.id": "c1",
                "lk.function_tool.name": "look",
                "lk.pii.function_tool.arguments": '{"at": "it"}',
                "lk.pii.function_tool.output": "seen",
                "lk.function_tool.is_error": True,
            },
            name="function_tool",
        )
    )
    assert (tool.category, tool.tool_name, tool.tool_call_id) == ("tool", "look", "c1")
    assert (tool.tool_arguments, tool.tool_result, tool.error_type) == ({"at": "it"}, "seen", "tool_error")
    turn = normalise(raw_span({"lk.user_transcript": "Hello?", "lk.agent_name": "bob"}, name="user_turn"))
    assert (turn.category, turn.input_preview, turn.agent_name) == ("workflow", "Hello?", "bob")
    spoken = normalise(raw_span({"lk.pii.user_input": "Hello?", "lk.pii.instructions": "Be kind."}, name="agent_turn"))
    assert (spoken.category, spoken.input_preview) == ("agent", "Hello?")
    assert spoken.system_instructions == [{"type": "text", "content": "Be kind."}]
