"""Which dialect reads a span, and the smaller dialects: our SDK's, Traceloop's, none at all."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import MAPPER_VERSION, normalise
from spanhouse_server.normalise.dialects import DIALECTS
from tests.unit.normalise.make import event, raw_span


@pytest.mark.parametrize(
    ("attributes", "scope", "dialect"),
    [
        ({"spanhouse.kind": "tool"}, "app", "spanhouse"),
        ({}, "spanhouse", "spanhouse"),
        ({}, "spanhouse.proxy", "spanhouse"),
        (
            {"spanhouse.tags": ["a"], "openinference.span.kind": "LLM"},
            "openinference.instrumentation.x",
            "openinference",
        ),
        ({}, "openinference.instrumentation.langchain", "openinference"),
        ({}, "openinferenceish", "generic"),
        ({"openinference.span.kind": "LLM", "gen_ai.system": "openai"}, "litellm", "openinference"),
        ({"traceloop.span.kind": "task"}, "traceloop.tracer", "openllmetry"),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.system": "Cohere"}, "x", "openllmetry"),
        ({"gen_ai.system": "openai"}, "opentelemetry.instrumentation.openai_v2", "otel"),
        ({"gen_ai_but_not_quite": 1}, "x", "generic"),
        ({"http.request.method": "GET"}, "opentelemetry.instrumentation.httpx", "generic"),
    ],
)
def test_choice_per_span(attributes: dict[str, Any], scope: str, dialect: str) -> None:
    span = normalise(raw_span(attributes, scope=scope))
    assert (span.dialect, span.mapper_version) == (dialect, MAPPER_VERSION)


def test_the_chain_has_unique_names_and_ends_with_the_one_that_takes_all() -> None:
    names = [dialect.name for dialect in DIALECTS]
    assert len(set(names)) == len(names)
    assert names[-1] == "generic"


def test_a_failing_dialect_costs_neither_span_nor_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    from spanhouse_server.normalise import chain
    from spanhouse_server.normalise.dialects.base import Dialect

    broken = Dialect("broken", lambda view: True, lambda view, span: 1 / 0)  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(chain, "dialect_of", lambda view: broken)
    raw = raw_span({"a": 1})
    span = normalise(raw)
    assert span.raw.attributes == {"a": 1}
    assert (span.dialect, span.category, span.raw.flags) == ("generic", "other", ["unmapped"])
    assert raw.flags == []


@pytest.mark.parametrize(
    ("kind", "category", "operation"),
    [
        ("workflow", "workflow", ""),
        ("task", "workflow", ""),
        ("agent", "agent", "invoke_agent"),
        ("tool", "tool", "execute_tool"),
        ("llm", "llm", "chat"),
        ("retriever", "retriever", "retrieval"),
        ("span", "other", ""),
    ],
)
def test_sdk_kinds(kind: str, category: str, operation: str) -> None:
    span = normalise(raw_span({"spanhouse.kind": kind}))
    assert (span.category, span.operation) == (category, operation)


def test_sdk_tool() -> None:
    attributes = {
        "spanhouse.kind": "tool",
        "gen_ai.operation.name": "execute_tool",
        "spanhouse.input": '{"city": "Paris"}',
        "spanhouse.output": '{"degrees": 21}',
    }
    span = normalise(raw_span(attributes, name="get_weather"))
    assert (span.tool_name, span.tool_arguments, span.tool_result) == (
        "get_weather",
        {"city": "Paris"},
        {"degrees": 21},
    )


def test_sdk_workflow_retriever_and_agent() -> None:
    workflow = normalise(
        raw_span({"spanhouse.kind": "workflow", "spanhouse.input": '{"question": "Why?"}', "spanhouse.output": '"So."'})
    )
    assert (workflow.input_preview, workflow.output_preview) == ("Why?", '"So."')
    found = '[{"content": "first", "score": 0.5}, "second"]'
    retriever = normalise(raw_span({"spanhouse.kind": "retriever", "spanhouse.output": found}))
    assert retriever.documents == [{"score": 0.5, "content": "first"}, {"content": "second"}]
    assert retriever.output_messages == []
    assert normalise(raw_span({"spanhouse.kind": "agent"}, name="helper")).agent_name == "helper"
    assert normalise(raw_span({"spanhouse.kind": "agent", "gen_ai.agent.name": "a"}, name="helper")).agent_name == "a"


def test_sdk_context_serves_every_dialect() -> None:
    context = {
        "session.id": "s",
        "user.id": 42,
        "spanhouse.tags": ["a", "b", "a"],
        "spanhouse.metadata.plan": "pro",
        "spanhouse.metadata.seats": 3,
        "deployment.environment.name": "staging",
        "gen_ai.prompt.name": "greet",
        "gen_ai.prompt.version": "2",
    }
    for extra in ({"spanhouse.kind": "llm"}, {"openinference.span.kind": "LLM"}, {"gen_ai.system": "openai"}, {"a": 1}):
        span = normalise(
            raw_span(context | extra, resource={"deployment.environment.name": "prod", "service.version": "9"})
        )
        assert (span.session_id, span.user_id, span.tags) == ("s", "42", ["a", "b"])
        assert span.metadata == {"plan": "pro", "seats": "3"}
        assert (span.environment, span.release) == ("staging", "9")
        assert (span.prompt_name, span.prompt_version) == ("greet", "2")


def test_traceloop_flattened_and_entities() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.system": "Cohere",
                "llm.request.type": "chat",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Look.",
                "gen_ai.prompt.1.role": "assistant",
                "gen_ai.prompt.1.tool_calls.0.id": "c1",
                "gen_ai.prompt.1.tool_calls.0.name": "look",
                "gen_ai.prompt.1.tool_calls.0.arguments": '{"at": "it"}',
                "gen_ai.prompt.999999999.content": "x",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "Done.",
                "gen_ai.completion.0.finish_reason": "stop",
                "llm.request.functions.0.name": "look",
                "llm.request.functions.0.parameters": '{"type": "object"}',
                "gen_ai.usage.prompt_tokens": 3,
                "traceloop.association.properties.session_id": "s",
                "traceloop.association.properties.plan": "pro",
            },
            events=[event("llm.content.completion.chunk", 90), event("llm.content.completion.chunk", 50)],
        )
    )
    assert [message["role"] for message in span.input_messages] == ["user", "assistant"]
    assert span.input_messages[1]["parts"][0]["arguments"] == {"at": "it"}
    assert (span.provider, span.output_preview, span.finish_reasons) == ("cohere", "Done.", ["stop"])
    assert span.tool_definitions[0]["parameters"] == {"type": "object"}
    assert (span.session_id, span.metadata, span.ttft_ns) == ("s", {"plan": "pro"}, 50)
    entity = normalise(
        raw_span(
            {
                "traceloop.span.kind": "tool",
                "traceloop.entity.name": "look",
                "traceloop.entity.input": '{"inputs": {"city": "Paris"}}',
                "traceloop.entity.output": '"blue"',
            }
        )
    )
    assert (entity.category, entity.tool_name, entity.tool_arguments) == ("tool", "look", {"city": "Paris"})


def test_generic_reads_what_looks_like_input_and_output() -> None:
    span = normalise(
        raw_span({"input": '{"messages": [{"role": "user", "content": "Hi"}]}', "output": "Ho", "input.count": 3})
    )
    assert (span.category, span.input_preview, span.output_preview) == ("other", "Hi", "Ho")
    quiet = normalise(raw_span({"input": 5, "output": True, "http.route": "/x"}))
    assert (quiet.input_messages, quiet.output_messages, quiet.text) == ([], [], "")


def test_what_the_proxy_cut_is_marked() -> None:
    scope = "spanhouse-collector"
    assert normalise(raw_span({"spanhouse.proxy.truncated": ["request"]}, scope=scope)).truncated
    assert not normalise(raw_span({"spanhouse.proxy.truncated": []}, scope=scope)).truncated


@pytest.mark.parametrize(
    ("said", "folded"),
    [
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("COMPLETE", "stop"),
        ("eos_token", "stop"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("tool-calls", "tool_call"),
        ("tool_use", "tool_call"),
        ("function_call", "tool_call"),
        ("content-filter", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("refusal", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("Pause_Turn", "pause_turn"),
        ("abort", "abort"),
    ],
)
def test_reasons_to_stop_are_folded_in_every_place(said: str, folded: str) -> None:
    output = orjson.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "x"}], "finish_reason": said}])
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": output.decode()}
    raw = raw_span(attributes | {"gen_ai.response.finish_reasons": [said]})
    for span in (normalise(raw), normalise(raw_span(attributes))):
        assert (span.finish_reasons, span.output_messages[0]["finish_reason"]) == ([folded], folded)
    assert raw.attributes["gen_ai.response.finish_reasons"] == [said]
    inference = raw_span({"openinference.span.kind": "LLM", "llm.finish_reason": said})
    assert normalise(inference).finish_reasons == [folded]
