"""MLflow: everything in JSON, texts included; providers' requests and answers; functions' arguments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


def mlflow_span(kind: str, name: str = "work", events: Any = None, **attributes: Any) -> Span:
    """Return the canonical span; every value is sent as JSON, ``__`` in a name stands for a dot."""
    sent = {
        "mlflow." + key.replace("__", "."): orjson.dumps(value).decode()
        for key, value in {"spanType": kind, **attributes}.items()
    }
    return normalise(raw_span(sent, scope="mlflow.tracing.provider", name=name, events=events))


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        *(("LLM", "llm"), ("CHAT_MODEL", "llm"), ("AGENT", "agent"), ("TOOL", "tool"), ("CHAIN", "workflow")),
        *(("RETRIEVER", "retriever"), ("EMBEDDING", "embedding"), ("RERANKER", "reranker"), ("PARSER", "other")),
        *(("EVALUATOR", "evaluator"), ("GUARDRAIL", "guardrail"), ("UNKNOWN", "other"), ("", "other")),
    ],
)
def test_kinds(kind: str, category: str) -> None:
    span = mlflow_span(kind)
    assert (span.dialect, span.category) == ("mlflow", category)
    assert normalise(raw_span({"mlflow.spanType": kind}, scope="mine")).category == category


def test_chat() -> None:
    span = mlflow_span(
        "CHAT_MODEL",
        events=[event("mlflow.chunk.item.1", 90), event("mlflow.chunk.item.0", 50)],
        message__format="openai",
        spanInputs={"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "top_p": 0.5, "tools": []},
        spanOutputs={
            "id": "r",
            "object": "chat.completion",
            "model": "gpt-4o-2024-08-06",
            "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Ho"}}],
            "usage": {
                "prompt_tokens": 12,
                "completion_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
        },
        chat__tokenUsage={"input_tokens": 12, "output_tokens": 3, "total_tokens": 15, "cache_read_input_tokens": 5},
        llm__cost={"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3},
        llm__model="gpt-4o-2024-08-06",
        trace__session="s",
        trace__user="u",
        chat__tools=[{"type": "function", "function": {"name": "look"}}],
    )
    assert (span.provider, span.request_model, span.response_model) == ("openai", "gpt-4o", "gpt-4o-2024-08-06")
    assert (span.response_id, span.finish_reasons, span.parameters) == ("r", ["stop"], {"top_p": 0.5})
    assert (span.input_preview, span.output_preview) == ("Hi", "Ho")
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens) == (12, 3, 5, 2)
    assert span.cost.reported_usd == Decimal("0.3")
    assert (span.session_id, span.user_id) == ("s", "u")
    assert (span.ttft_ns, span.ttft_source) == (50, "event")
    assert span.tool_definitions == [{"type": "function", "name": "look"}]


def test_anthropic_answer_and_named_provider() -> None:
    span = mlflow_span(
        "LLM",
        llm__provider="bedrock",
        message__format="langchain",
        spanInputs={"model": "claude", "system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]},
        spanOutputs={
            "id": "m",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Ho"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 4, "output_tokens": 6, "cache_read_input_tokens": 7},
        },
    )
    assert (span.provider, span.system_instructions) == ("aws.bedrock", [{"type": "text", "content": "Be kind."}])
    assert [part["type"] for part in span.output_messages[0]["parts"]] == ["reasoning", "text"]
    assert (span.usage.input_tokens, span.usage.basis, span.finish_reasons) == (11, "exclusive", ["stop"])
    assert mlflow_span("LLM", message__format="langchain").provider == ""


def test_functions() -> None:
    tool = mlflow_span("TOOL", name="look", spanInputs={"city": "Paris"}, spanOutputs="blue")
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"city": "Paris"}, "blue")
    agent = mlflow_span("AGENT", name="helper", spanInputs={"question": "Why?"}, spanOutputs="So.")
    assert (agent.agent_name, agent.input_preview, agent.output_preview) == ("helper", "Why?", "So.")
    found = mlflow_span("RETRIEVER", spanInputs="q", spanOutputs=[{"page_content": "text", "metadata": {"page": 7}}])
    assert found.documents == [{"content": "text", "metadata": {"page": 7}}]
    embedded = mlflow_span(
        "EMBEDDING",
        spanInputs={"model": "e", "input": ["one"]},
        spanOutputs={"model": "e-1", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 5}},
    )
    assert (embedded.input_preview, embedded.output_messages, embedded.usage.input_tokens) == ("one", [], 5)
    assert (embedded.request_model, embedded.response_model) == ("e", "e-1")


def test_conventions_beside_its_own_names() -> None:
    attributes = {"mlflow.spanType": '"LLM"', "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    span = normalise(raw_span(attributes, scope="mlflow"))
    assert (span.dialect, span.category, span.request_model) == ("mlflow", "llm", "m")


def test_cache_writes_for_an_hour() -> None:
    counts = {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25, "cache_creation_input_tokens": 10}
    span = mlflow_span("CHAT_MODEL", chat__tokenUsage={**counts, "cache_creation_input_tokens_above_1hr": 4})
    assert (span.usage.input_tokens, span.usage.cache_write_tokens, span.usage.cache_write_1h_tokens) == (20, 10, 4)
