"""Traceloop: vector databases, function calls of old, parameters and prompt templates."""

from __future__ import annotations

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import RawEvent, event, raw_span


def test_vector_database() -> None:
    found = RawEvent(
        "db.query.result",
        0,
        {
            "db.query.result.id": "d1",
            "db.query.result.score": 0.9,
            "db.query.result.document": "first",
            "db.query.result.metadata": "{'page': 7}",
        },
    )
    far = event("db.query.result", db__query__result__id="d2", db__query__result__distance=1.5)
    span = normalise(
        raw_span(
            {"traceloop.workflow.name": "w", "db.system": "chroma", "db.vector.query.top_k": 2},
            name="chroma.query",
            events=[found, far],
        )
    )
    assert (span.dialect, span.category, span.operation, span.parameters) == (
        "openllmetry",
        "retriever",
        "retrieval",
        {"top_k": 2},
    )
    assert span.documents == [
        {"id": "d1", "score": 0.9, "content": "first", "metadata": {"page": 7}},
        {"id": "d2", "metadata": {"distance": 1.5}},
    ]


def test_old_call_parameters_and_template() -> None:
    span = normalise(
        raw_span(
            {
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Look.",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.function_call.name": "look",
                "gen_ai.completion.0.function_call.arguments": '{"at": "it"}',
                "llm.top_k": 4,
                "llm.chat.stop_sequences": '["a"]',
                "llm.is_streaming": False,
                "gen_ai.request.temperature": 0.5,
                "traceloop.prompt.key": "greet",
                "traceloop.prompt.version": 3,
                "traceloop.prompt.template": "Hi {{name}}",
                "gen_ai.user": "u1",
            }
        )
    )
    assert span.output_messages[0]["parts"] == [{"type": "tool_call", "name": "look", "arguments": {"at": "it"}}]
    assert span.parameters == {
        "temperature": 0.5,
        "top_k": 4,
        "stop_sequences": ["a"],
        "stream": False,
        "prompt_template.template": "Hi {{name}}",
    }
    assert (span.prompt_name, span.prompt_version, span.user_id) == ("greet", "3", "u1")


def test_langchain_callbacks() -> None:
    """LangChain's are tools and retrievers inside the callback that told of them; metadata of a run is not theirs."""
    given = '{"input_str": "{\'city\': \'Paris\'}", "tags": [], "metadata": {}, "inputs": %s, "kwargs": {}}'
    said = '{"output": {"type": "tool", "content": "Fine.", "tool_call_id": "call-1"}, "kwargs": {"name": "weather"}}'
    for inputs in ("null", '{"city": "Paris"}'):
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.arguments": given % inputs,
            "gen_ai.tool.call.result": said,
            "traceloop.span.kind": "tool",
            "traceloop.entity.name": "weather",
        }
        tool = normalise(raw_span(attributes))
        assert (tool.category, tool.tool_name, tool.tool_arguments) == ("tool", "weather", {"city": "Paris"})
        assert (tool.tool_result, tool.tool_call_id) == ("Fine.", "call-1")
    attributes = {
        "gen_ai.operation.name": "vector_db_retrieve",
        "traceloop.span.kind": "task",
        "traceloop.entity.input": '{"query": "What?", "tags": [], "kwargs": {}}',
        "traceloop.entity.output": '{"documents": [{"page_content": "This.", "metadata": {"page": 7}}], "count": 1}',
    }
    found = normalise(raw_span(attributes))
    assert (found.category, found.operation, found.input_preview) == ("retriever", "retrieval", "What?")
    assert found.documents == [{"content": "This.", "metadata": {"page": 7}}]


def test_a_tasks_query_is_part_of_its_input() -> None:
    attributes = {"traceloop.span.kind": "task", "traceloop.entity.input": '{"query": "What?", "top": 3}'}
    assert normalise(raw_span(attributes)).input_preview == '{"query":"What?","top":3}'
