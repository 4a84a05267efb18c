"""Google's ADK: version 1 with whole requests in JSON of its own."""

from __future__ import annotations

import orjson

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span

OWN = "gcp.vertex.agent."
REQUEST = {
    "model": "gemini-2.5-flash",
    "config": {
        "system_instruction": "You know the weather.",
        "temperature": 0.5,
        "tools": [{"function_declarations": [{"name": "look", "parameters": {"type": "OBJECT"}}]}],
    },
    "contents": [
        {"role": "user", "parts": [{"text": "Look."}]},
        {"role": "model", "parts": [{"function_call": {"id": "c1", "name": "look", "args": {"at": "it"}}}]},
        {"role": "user", "parts": [{"function_response": {"id": "c1", "name": "look", "response": {"saw": "it"}}}]},
    ],
}
ANSWER = {
    "content": {"role": "model", "parts": [{"text": "Done."}]},
    "finish_reason": "STOP",
    "usage_metadata": {
        "prompt_token_count": 10,
        "candidates_token_count": 2,
        "thoughts_token_count": 5,
        "cached_content_token_count": 4,
        "total_token_count": 17,
    },
}


def test_version_1_call() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.system": "gcp.vertex.agent",
                "gen_ai.request.model": "gemini-2.5-flash",
                OWN + "session_id": "s1",
                OWN + "llm_request": orjson.dumps(REQUEST).decode(),
                OWN + "llm_response": orjson.dumps(ANSWER).decode(),
            },
            name="call_llm",
            scope="gcp.vertex.agent",
        )
    )
    assert (span.dialect, span.category, span.operation, span.provider) == (
        "google_adk",
        "llm",
        "generate_content",
        "",
    )
    assert [message["role"] for message in span.input_messages] == ["user", "assistant", "tool"]
    assert span.input_messages[1]["parts"] == [
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}}
    ]
    assert span.input_messages[2]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": {"saw": "it"}}]
    assert (span.output_preview, span.finish_reasons, span.session_id) == ("Done.", ["stop"], "s1")
    assert span.system_instructions == [{"type": "text", "content": "You know the weather."}]
    assert span.tool_definitions == [{"type": "function", "name": "look", "parameters": {"type": "OBJECT"}}]
    assert span.parameters == {"temperature": 0.5}
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens, usage.cache_read_tokens) == (10, 7, 5, 4)


def test_version_1_steps_and_content_switched_off() -> None:
    root = normalise(raw_span({}, name="invocation", scope="gcp.vertex.agent"))
    assert root.category == "workflow"
    agent = normalise(raw_span({}, name="agent_run [helper]", scope="gcp.vertex.agent"))
    assert (agent.category, agent.agent_name) == ("agent", "helper")
    attributes = {OWN + "tool_call_args": "N/A", OWN + "tool_response": '{"saw": "it"}'}
    tool = normalise(raw_span(attributes, name="execute_tool [look]", scope="x"))
    assert (tool.dialect, tool.category, tool.tool_name) == ("google_adk", "tool", "look")
    assert (tool.tool_arguments, tool.tool_result) == (None, {"saw": "it"})
    quiet = normalise(raw_span({OWN + "llm_request": "{}", OWN + "llm_response": "{}"}, name="call_llm", scope="x"))
    assert (quiet.category, quiet.input_messages, quiet.output_messages) == ("llm", [], [])
    assert not quiet.usage.known
