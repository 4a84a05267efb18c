"""Whole runs of frameworks with telemetry of their own: agents, tools, retrievals, streams, feedback.

As in ``test_golden``, what is compared with is what the provider served and what the application did.
"""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from spanhouse_server.decode.pending import PENDING
from spanhouse_server.model.facts import SettledTrace
from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.context import TRACE_NAME
from spanhouse_server.normalise.settle import settle
from spanhouse_server.store.rows import facts_of
from tests.golden.case import RECEIVED_NS, records, spans_of, truth_of, words

QUESTION = "What is the weather in Paris?"
WEATHER = "It is 21 degrees in Paris."


def by_category(case: str) -> dict[str, list[Span]]:
    """Return the spans of a case by category, each in order of time."""
    found: dict[str, list[Span]] = {}
    for span in spans_of(case):
        found.setdefault(span.category, []).append(span)
    return found


def settled(case: str) -> list[SettledTrace]:
    """Return the traces of a case, settled from all their spans, without prices."""
    traces: dict[str, list[Span]] = {}
    for span in spans_of(case):
        traces.setdefault(span.raw.trace_id, []).append(span)
    return [settle("p", [facts_of(RECEIVED_NS, 0, span) for span in spans], 1) for spans in traces.values()]


@pytest.mark.parametrize(
    "case",
    [
        *("langfuse_agent", "mlflow_agent", "langsmith_pipeline", "langsmith_langchain"),
        *("pydantic_ai_tools", "pydantic_ai_v2_tools", "pydantic_ai_v6_tools", "pydantic_ai_anthropic_chat"),
        *("vercel_legacy_tools", "vercel_latest_tools", "vercel_legacy_embeddings", "vercel_latest_embeddings"),
        *("vercel_legacy_object", "vercel_legacy_chat", "logfire_stream", "logfire_anthropic_chat"),
    ],
)
def test_what_counts_is_what_was_served(case: str) -> None:
    traces, truths = settled(case), truth_of(case)
    assert sum(trace.trace.input_tokens or 0 for trace in traces) == sum(truth.input_tokens or 0 for truth in truths)
    assert sum(trace.trace.output_tokens or 0 for trace in traces) == sum(truth.output_tokens or 0 for truth in truths)
    models = [truth for truth in truths if truth.api != "embeddings"]
    assert sum(trace.trace.llm_count for trace in traces) == len(models)


@pytest.mark.parametrize("case", ["langfuse_agent", "mlflow_agent", "langsmith_pipeline"])
def test_pipeline_of_functions(case: str) -> None:
    [truth] = truth_of(case)
    spans = by_category(case)
    [root] = spans.get("agent") or spans["workflow"]
    assert root.raw.parent_span_id == ""
    assert (root.input_preview, root.output_preview) == (QUESTION, truth.text)
    [search] = spans["retriever"]
    assert search.operation == "retrieval"
    assert (search.input_preview, [document["content"] for document in search.documents]) == (
        QUESTION,
        ["A span is one operation."],
    )
    [tool] = spans["tool"]
    assert (tool.tool_name, tool.tool_result) == ("get_weather", WEATHER)
    assert tool.tool_arguments in ({"city": "Paris"}, "Paris")
    [model] = spans["llm"]
    assert [words(message) for message in model.input_messages] == truth.conversation
    assert (model.usage.input_tokens, model.usage.output_tokens) == (truth.input_tokens, truth.output_tokens)
    if case != "mlflow_agent":  # whose session and user never reach OTLP
        assert {(span.session_id, span.user_id) for span in spans_of(case)} == {("session-1", "user-1")}
        assert all(span.tags == ["golden", "chain"] for span in spans_of(case))


def test_langfuse_usage_by_hand_is_disjoint_and_its_cost_kept() -> None:
    [truth] = truth_of("langfuse_agent")
    [model] = by_category("langfuse_agent")["llm"]
    assert model.usage.basis == "exclusive"
    assert (model.usage.cache_read_tokens, model.usage.reasoning_tokens) == (
        truth.cache_read_tokens,
        truth.reasoning_tokens,
    )
    assert model.cost.reported_usd == Decimal("0.75")
    assert model.parameters == {"temperature": 0.2, "max_tokens": 100}
    assert model.metadata == {"plan": "pro", "seats": "3", TRACE_NAME: "weather question"}
    [search] = by_category("langfuse_agent")["retriever"]
    assert search.documents == [{"id": "doc-1", "score": 0.9, "content": "A span is one operation."}]


def test_langsmith_reads_langchain() -> None:
    truths = truth_of("langsmith_langchain")
    spans = by_category("langsmith_langchain")
    models = spans["llm"]
    assert [model.response_id for model in models] == [truth.response_id for truth in truths]
    assert [model.response_model for model in models] == [truth.model for truth in truths]
    assert [model.usage.input_tokens for model in models] == [truth.input_tokens for truth in truths]
    assert [words(message) for message in models[1].input_messages] == truths[1].conversation
    assert models[0].tool_definitions[0]["name"] == "get_weather"
    [tool] = spans["tool"]
    assert (tool.tool_call_id, tool.tool_result) == (truths[0].tool_calls[0]["id"], WEATHER)
    root = spans["workflow"][0]
    assert (root.input_preview, root.output_preview) == (QUESTION, truths[1].text)
    assert not any("LANGSMITH" in key or key.startswith("ls_") for span in models for key in span.metadata)


@pytest.mark.parametrize("case", ["pydantic_ai_tools", "pydantic_ai_v2_tools", "pydantic_ai_v6_tools"])
def test_pydantic_ai_agent(case: str) -> None:
    truths, spans = truth_of(case), by_category(case)
    [agent] = spans["agent"]
    assert (agent.agent_name, agent.operation, agent.request_model) == ("helper", "invoke_agent", "gpt-4o")
    assert agent.usage.input_tokens == sum(truth.input_tokens or 0 for truth in truths)
    assert [words(message) for message in agent.input_messages] == [("user", QUESTION)]
    assert (agent.input_preview, agent.output_preview) == (QUESTION, truths[1].text)
    [tool] = spans["tool"]
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("get_weather", {"city": "Paris"}, WEATHER)
    assert tool.tool_call_id == truths[0].tool_calls[0]["id"]
    assert {span.session_id for span in spans_of(case)} == {agent.session_id} != {""}
    assert all(span.cost.reported_usd is not None for span in spans["llm"])


def test_pydantic_ai_context() -> None:
    [agent] = by_category("pydantic_ai_chat")["agent"]
    assert (agent.session_id, agent.metadata) == ("session-1", {"plan": "pro"})


@pytest.mark.parametrize("case", ["vercel_legacy_tools", "vercel_latest_tools"])
def test_vercel_agent(case: str) -> None:
    truths, spans = truth_of(case), by_category(case)
    agent = spans["agent"][0]
    assert (agent.raw.parent_span_id, agent.agent_name, agent.operation) == ("", "helper", "invoke_agent")
    assert agent.usage.input_tokens == sum(truth.input_tokens or 0 for truth in truths)
    assert agent.input_preview == QUESTION
    assert agent.output_preview.startswith(truths[1].text)
    [tool] = spans["tool"]
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("get_weather", {"city": "Paris"}, WEATHER)
    assert tool.tool_call_id == truths[0].tool_calls[0]["id"]
    assert [words(message) for message in spans["llm"][1].input_messages] == truths[1].conversation
    if case == "vercel_legacy_tools":
        assert {(span.session_id, span.user_id) for span in spans_of(case)} == {("session-1", "user-1")}
        assert all(span.metadata == {"plan": "pro"} and span.tags == ["golden", "chain"] for span in spans_of(case))


def test_vercel_object_is_its_text() -> None:
    [truth] = truth_of("vercel_legacy_object")
    [model] = by_category("vercel_legacy_object")["llm"]
    [message] = model.output_messages
    assert orjson.loads(message["parts"][0]["content"]) == orjson.loads(truth.text)


def test_logfire_stream_is_one_call_with_its_answer() -> None:
    [truth] = truth_of("logfire_stream")
    request, answer = spans_of("logfire_stream")
    assert (request.category, request.usage.known) == ("other", False)
    assert (answer.category, answer.raw.start_ns) == ("llm", answer.raw.end_ns)
    assert (answer.output_preview, answer.usage.output_tokens) == (truth.text, truth.output_tokens)


def test_logfire_pending_spans_are_first_versions_of_the_spans_they_announce() -> None:
    raws, _ = records("logfire_feedback")
    pending = [raw for raw in raws if PENDING in raw.flags]
    finished = {raw.span_id: raw for raw in raws if PENDING not in raw.flags}
    assert [raw.name for raw in sorted(pending, key=lambda raw: raw.start_ns)] == ["answer {question}", "look up"]
    for raw in pending:
        real = finished[raw.span_id]
        assert (raw.parent_span_id, raw.start_ns, raw.name) == (real.parent_span_id, real.start_ns, real.name)
        assert raw.attributes["logfire.span_type"] == "pending_span"
    assert normalise(pending[0]).dialect == "logfire"


def test_logfire_feedback_is_an_evaluation_of_its_parent() -> None:
    judged = spans_of("logfire_feedback")[0]
    feedback = by_category("logfire_feedback")["evaluator"]
    assert [span.raw.attributes["logfire.feedback.name"] for span in feedback] == ["helpfulness", "verdict", "correct"]
    assert {span.raw.parent_span_id for span in feedback} == {judged.raw.span_id}
    assert judged.tags == ["golden"]
