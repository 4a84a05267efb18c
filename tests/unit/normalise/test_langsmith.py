"""LangSmith's export: kinds of runs, providers' and LangChain's answers, usage from metadata or Python's repr."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


def run(kind: str, given: Any = None, result: Any = None, name: str = "work", **fields: Any) -> Span:
    """Return the canonical span of a run; ``attributes`` in ``fields`` are added to it."""
    attributes = {"langsmith.span.kind": kind, "gen_ai.operation.name": "chat", **fields.pop("attributes", {})}
    for key, value in (("gen_ai.prompt", given), ("gen_ai.completion", result)):
        if value is not None:
            attributes[key] = orjson.dumps(value).decode()
    return normalise(raw_span(attributes, scope="langsmith", name=name, **fields))


@pytest.mark.parametrize(
    ("kind", "category", "operation"),
    [
        ("llm", "llm", "chat"),
        ("chain", "workflow", ""),
        ("tool", "tool", "execute_tool"),
        ("retriever", "retriever", "retrieval"),
        ("embedding", "embedding", "embeddings"),
        ("prompt", "other", ""),
        ("parser", "other", ""),
    ],
)
def test_the_kind_of_run_decides(kind: str, category: str, operation: str) -> None:
    span = run(kind)
    assert (span.dialect, span.category, span.operation) == ("langsmith", category, operation)


def test_wrapped_client() -> None:
    span = run(
        "llm",
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5},
        {
            "id": "r",
            "model": "gpt-4o-2024-08-06",
            "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Ho"}}],
            "usage_metadata": {
                "input_tokens": 12,
                "output_tokens": 3,
                "total_tokens": 15,
                "input_token_details": {"cache_read": 5},
                "output_token_details": {"reasoning": 2},
            },
        },
        attributes={"gen_ai.system": "langchain", "langsmith.metadata.ls_provider": "azure_openai"},
    )
    assert (span.provider, span.request_model, span.response_model) == (
        "azure.ai.openai",
        "gpt-4o",
        "gpt-4o-2024-08-06",
    )
    assert (span.response_id, span.finish_reasons, span.parameters) == ("r", ["stop"], {"temperature": 0.5})
    assert (span.input_preview, span.output_preview) == ("Hi", "Ho")
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens) == (12, 3, 5, 2)


def test_langchain_generations() -> None:
    message = {
        "lc": 1,
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {
            "content": "Ho",
            "response_metadata": {"id": "r", "model_name": "m-1"},
            "tool_calls": [{"name": "look", "args": {"a": 1}, "id": "c", "type": "tool_call"}],
        },
    }
    human = {"lc": 1, "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "Hi"}}
    generation = {"text": "Ho", "generation_info": {"finish_reason": "tool_calls"}, "message": message}
    span = run("llm", {"messages": [[human]]}, {"generations": [[generation]]})
    assert (span.input_preview, span.output_preview) == ("Hi", "Ho look(a=1)")
    assert (span.response_id, span.response_model, span.finish_reasons) == ("r", "m-1", ["tool_call"])


def test_functions() -> None:
    chain = run("chain", {"question": "Why?"}, {"output": "So."})
    assert (chain.input_preview, chain.output_preview) == ("Why?", "So.")
    tool = run("tool", {"city": "Paris"}, {"output": "blue"}, name="look")
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"city": "Paris"}, "blue")
    found = run("retriever", {"query": "q"}, {"output": [{"page_content": "text", "metadata": {"page": 7}}]})
    assert (found.input_preview, found.documents) == ("q", [{"content": "text", "metadata": {"page": 7}}])


def test_usage_in_metadata() -> None:
    counts = '{"input_tokens": 12, "output_tokens": 3, "input_token_details": {"cache_read": 5}}'
    span = run("llm", attributes={"langsmith.metadata.usage_metadata": counts})
    assert (span.usage.input_tokens, span.usage.cache_read_tokens) == (12, 5)
    assert span.metadata == {}
    shown = {
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.input_token_details": "{'audio': 0, 'cache_read': 5, 'cost': 0.5}",
        "gen_ai.usage.output_token_details": "{'reasoning': 2}",
    }
    usage = run("llm", attributes=shown).usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.reasoning_tokens) == (12, 5, 2)


def test_context_and_metadata() -> None:
    span = run(
        "chain",
        attributes={
            "langsmith.metadata.thread_id": "s",
            "langsmith.metadata.user_id": "u",
            "langsmith.metadata.plan": "pro",
            "langsmith.metadata.ls_method": "traceable",
            "langsmith.metadata.LANGSMITH_PROJECT": "p",
            "langsmith.span.tags": "golden, chain",
        },
    )
    assert (span.session_id, span.user_id, span.tags, span.metadata) == ("s", "u", ["golden", "chain"], {"plan": "pro"})


@pytest.mark.parametrize(
    ("message", "error_type"),
    [
        ("RateLimitError('slow down')\n\nTraceback …", "RateLimitError"),
        ("openai.RateLimitError: slow down", "openai.RateLimitError"),
        ("it failed", "Exception"),
    ],
)
def test_error_type(message: str, error_type: str) -> None:
    exception = event("exception", exception__type="Exception", exception__message=message)
    assert run("llm", status_code="error", events=[exception]).error_type == error_type
