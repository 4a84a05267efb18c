"""CrewAI: steps beside model calls, its phone-home, cut attributes."""

from __future__ import annotations

from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


@pytest.mark.parametrize(
    ("attributes", "category", "given", "result"),
    [
        ({"crewai.flow.inputs": '{"topic": "ai"}', "crewai.flow.result": "done"}, "workflow", "ai", "done"),
        ({"crewai.method.params": "{'a': 1, 'b': 2}", "crewai.method.result": "3"}, "workflow", '{"a":1,"b":2}', "3"),
        ({"crewai.guardrail.description": "No names", "crewai.guardrail.result": "ok"}, "guardrail", "No names", "ok"),
        ({"crewai.reasoning.plan": "first this"}, "agent", "", "first this"),
        ({"crewai.memory.query": "who?", "crewai.memory.results": "[]"}, "other", "who?", "[]"),
    ],
)
def test_steps(attributes: dict[str, Any], category: str, given: str, result: str) -> None:
    span = normalise(raw_span(attributes, scope="crewai"))
    assert (span.dialect, span.category) == ("crewai", category)
    assert (span.input_preview, span.output_preview) == (given, result)


def test_mcp_tool_and_knowledge() -> None:
    tool = normalise(
        raw_span(
            {
                "crewai.mcp.tool_name": "look",
                "crewai.mcp.tool_args": '{"at": "it"}',
                "crewai.mcp.tool_result": "seen",
            }
        )
    )
    assert (tool.category, tool.tool_name, tool.tool_arguments, tool.tool_result) == (
        "tool",
        "look",
        {"at": "it"},
        "seen",
    )
    found = normalise(
        raw_span({"crewai.knowledge.query": "what?", "crewai.knowledge.retrieved_knowledge": "[{'content': 'this'}]"})
    )
    assert (found.category, found.input_preview, found.documents) == ("retriever", "what?", [{"content": "this"}])


def test_cut_content_is_marked() -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.input.messages.truncated": True}
    assert normalise(raw_span(attributes, scope="crewai")).truncated
    assert not normalise(raw_span({"gen_ai.operation.name": "chat"}, scope="crewai")).truncated


def test_phone_home_is_no_crew() -> None:
    attributes = {"crew_key": "x", "crewai_version": "1.0", "gen_ai.request.model": "gpt-4o"}
    span = normalise(raw_span(attributes, name="Crew Created", scope="crewai.telemetry"))
    assert (span.dialect, span.category, span.request_model) == ("crewai", "other", "")
