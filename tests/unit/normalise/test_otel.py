"""OpenTelemetry's conventions in all their generations."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import is_genai_log, normalise
from tests.unit.normalise.make import event, log, raw_span

QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "Because."}], "finish_reason": "stop"}]
NEWEST = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "r-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.stop_sequences": ["a", "b"],
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 3,
    "gen_ai.usage.audio.input_tokens": 1,
    "gen_ai.response.time_to_first_chunk": 0.25,
}


@pytest.mark.parametrize("encode", [lambda value: value, lambda value: orjson.dumps(value).decode()])
def test_newest(encode: Any) -> None:
    span = normalise(
        raw_span(
            NEWEST
            | {
                "gen_ai.system_instructions": encode([{"type": "text", "content": "Be brief."}]),
                "gen_ai.input.messages": encode(QUESTION),
                "gen_ai.output.messages": encode(ANSWER),
                "gen_ai.tool.definitions": encode(
                    [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
                ),
            }
        )
    )
    assert (span.dialect, span.category, span.operation, span.provider) == ("otel", "llm", "chat", "openai")
    assert (span.request_model, span.response_model, span.response_id) == ("gpt-4o", "gpt-4o-2024-08-06", "r-1")
    assert span.finish_reasons == ["stop"]
    assert span.parameters == {"temperature": 0.5, "stop_sequences": ["a", "b"]}
    assert span.system_instructions == [{"type": "text", "content": "Be brief."}]
    assert (span.input_messages, span.output_messages) == (QUESTION, ANSWER)
    assert span.tool_definitions == [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    usage = span.usage
    assert (usage.input_tokens, usage.output_tokens, usage.basis) == (10, 7, "inclusive")
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (4, 2, 3)
    assert (usage.audio_input_tokens, usage.audio_output_tokens) == (1, None)
    assert (span.ttft_ns, span.ttft_source) == (250_000_000, "client_chunk")
    assert (span.input_preview, span.output_preview) == ("Why?", "Because.")


def test_first_generation() -> None:
    span = normalise(
        raw_span(
            {"gen_ai.system": "vertex_ai", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": "5", "gen_ai.usage.completion_tokens": 6.0},
            name="chat m",
            events=[
                event("gen_ai.content.prompt", gen_ai__prompt='[{"role": "user", "content": "Hi"}]'),
                event("gen_ai.content.completion", gen_ai__completion='[{"role": "assistant", "content": "Ho"}]'),
            ],
        )
    )  # fmt: skip
    assert (span.provider, span.operation, span.category) == ("gcp.vertex_ai", "chat", "llm")
    assert (span.usage.input_tokens, span.usage.output_tokens) == (5, 6)
    assert (span.input_preview, span.output_preview) == ("Hi", "Ho")


def test_bare_prompt_and_completion() -> None:
    span = normalise(raw_span({"gen_ai.prompt": "Say hi", "gen_ai.completion": "hi"}))
    assert (span.category, span.input_preview, span.output_preview) == ("llm", "Say hi", "hi")
    named = normalise(
        raw_span({"gen_ai.operation.name": "chat", "gen_ai.prompt.name": "greet", "gen_ai.prompt.version": 3})
    )
    assert (named.prompt_name, named.prompt_version, named.input_messages) == ("greet", "3", [])


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
LOGS = [
    ("gen_ai.system.message", {"content": "Be brief."}),
    ("gen_ai.user.message", {"content": "Look."}),
    ("gen_ai.assistant.message", {"tool_calls": [CALL]}),
    ("gen_ai.tool.message", {"id": "c1", "content": "seen"}),
    ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Done."}}),
]
CONVERSATION = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Look."}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"at": "it"}}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "seen"}]},
]


@pytest.mark.parametrize("shape", ["dict body", "json body", "event.name attribute"])
def test_one_log_event_per_message(shape: str) -> None:
    logs = []
    for position, (name, body) in enumerate(LOGS):
        sent = orjson.dumps(body).decode() if shape == "json body" else body
        if shape == "event.name attribute":
            logs.append(log("", sent, position, {"event.name": name}))
        else:
            logs.append(log(name, sent, position))
    assert all(is_genai_log(record) for record in logs)
    span = normalise(raw_span({"gen_ai.system": "openai", "gen_ai.operation.name": "chat"}), [*reversed(logs), logs[1]])
    assert span.input_messages == CONVERSATION
    assert span.output_messages == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Done."}], "finish_reason": "stop"}
    ]
    assert span.finish_reasons == ["stop"]


def test_one_span_event_per_message() -> None:
    events = [
        event("gen_ai.user.message", content='[{"text": "Look."}]', role="user"),
        event("gen_ai.assistant.message", content='[{"toolUse": {"toolUseId": "c1", "name": "look", "input": {"at": "it"}}}]'),
        event("gen_ai.tool.message", content='[{"toolResult": {"toolUseId": "c1", "content": [{"text": "seen"}]}}]', id="c1"),
        event("gen_ai.choice", message='[{"text": "Done."}]', finish_reason="end_turn"),
    ]  # fmt: skip
    span = normalise(raw_span({"gen_ai.operation.name": "chat"}, events=events))
    assert span.input_messages == CONVERSATION[1:]
    assert (span.output_preview, span.finish_reasons) == ("Done.", ["stop"])


def test_azure_span_events_carry_json_content() -> None:
    events = [
        event("gen_ai.user.message", gen_ai__event__content='{"role": "user", "content": "Hi"}'),
        event(
            "gen_ai.choice",
            gen_ai__event__content='{"finish_reason": "stop", "index": 0, "message": {"content": "Ho"}}',
        ),
    ]
    span = normalise(raw_span({"gen_ai.system": "az.ai.inference"}, events=events))
    assert (span.provider, span.input_preview, span.output_preview) == ("azure.ai.inference", "Hi", "Ho")


@pytest.mark.parametrize("place", ["log", "span event", "two span events"])
def test_operation_details(place: str) -> None:
    given, said = (
        {"gen_ai.input.messages": QUESTION},
        {"gen_ai.output.messages": ANSWER, "gen_ai.usage.input_tokens": 3},
    )
    name = "gen_ai.client.inference.operation.details"
    raw, logs = raw_span({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 4}), []
    if place == "log":
        logs = [log(name, None, 0, given | said | {"event.name": name})]
    elif place == "span event":
        raw.events.append(event(name, **given, **said))
    else:
        raw.events += [event(name, **given), event(name, **said)]
    span = normalise(raw, logs)
    assert (span.input_messages, span.output_messages) == (QUESTION, ANSWER)
    assert span.usage.input_tokens == 4
    assert "gen_ai.input.messages" not in span.raw.attributes


def test_execute_tool() -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "look",
                "gen_ai.tool.call.id": "c1",
                "gen_ai.tool.call.arguments": '{"city": "Paris"}',
                "gen_ai.tool.call.result": '{"sky": ["blue"]}',
            },
            name="execute_tool look",
        )
    )
    assert (span.category, span.tool_name, span.tool_call_id) == ("tool", "look", "c1")
    assert (span.tool_arguments, span.tool_result) == ({"city": "Paris"}, {"sky": ["blue"]})
    assert (span.input_preview, span.output_preview) == ('{"city":"Paris"}', '{"sky":["blue"]}')
    assert "Paris" in span.text


def test_retrieval() -> None:
    documents = [{"id": "d1", "score": 0.9, "content": "first", "page": 7}, {"id": 2, "score": "NaN"}, "bare"]
    attributes = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "shelf",
        "gen_ai.retrieval.query.text": "what?",
        "gen_ai.retrieval.documents": orjson.dumps(documents).decode(),
    }
    span = normalise(raw_span(attributes))
    assert span.documents == [
        {"id": "d1", "score": 0.9, "content": "first", "metadata": {"page": 7}},
        {"id": "2", "metadata": {"score": "NaN"}},
        {"content": "bare"},
    ]
    assert (span.category, span.input_preview, span.output_preview) == ("retriever", "what?", "first")
    assert span.parameters == {"data_source": "shelf"}


@pytest.mark.parametrize(
    ("operation", "folded", "category"),
    [
        ("text_completions", "text_completion", "llm"),
        ("completion", "text_completion", "llm"),
        ("generate_content", "generate_content", "llm"),
        ("embeddings", "embeddings", "embedding"),
        ("rerank", "rerank", "reranker"),
        ("invoke_agent", "invoke_agent", "agent"),
        ("create_agent", "create_agent", "agent"),
        ("invoke_workflow", "invoke_workflow", "workflow"),
        ("fetch_response", "fetch_response", "other"),
        ("something_new", "something_new", "other"),
    ],
)
def test_operations(operation: str, folded: str, category: str) -> None:
    span = normalise(raw_span({"gen_ai.operation.name": operation, "gen_ai.usage.input_tokens": 1}))
    assert (span.operation, span.category) == (folded, category)


@pytest.mark.parametrize(
    ("value", "provider"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("az.ai.openai", "azure.ai.openai"),
        ("azure", "azure.ai.openai"),
        ("vertexai", "gcp.vertex_ai"),
        ("gemini", "gcp.gemini"),
        ("xai", "x_ai"),
        ("mistralai", "mistral_ai"),
        ("AWS", "aws.bedrock"),
        ("aws.bedrock", "aws.bedrock"),
        ("ollama", "ollama"),
        ("langchain", ""),
        ("strands-agents", ""),
        ("gcp.vertex.agent", ""),
        ("api.openai.com", "openai"),
        ("API.OpenAI.com:443", "openai"),
        ("mine.openai.azure.com", "azure.ai.openai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("127.0.0.1:8000", ""),
        ("[::1]:8000", ""),
        ("localhost:11434", ""),
        ("vllm.svc:8000", ""),
        ("llm.example.com", "llm.example.com"),
    ],
)
def test_providers(value: str, provider: str) -> None:
    assert normalise(raw_span({"gen_ai.system": value})).provider == provider


def test_framework_as_provider_gives_way_to_the_other_key() -> None:
    assert normalise(raw_span({"gen_ai.provider.name": "crewai", "gen_ai.system": "openai"})).provider == "openai"


def test_serving_engine_span_is_not_a_model_call_of_its_own() -> None:
    attributes = {
        "gen_ai.latency.time_to_first_token": 0.125,
        "gen_ai.usage.prompt_tokens": 5,
        "gen_ai.request.id": "x",
    }
    span = normalise(raw_span(attributes, name="llm_request", scope="vllm.llm_engine", kind="server"))
    assert (span.category, span.ttft_ns, span.ttft_source) == ("server", 125_000_000, "server_token")


@pytest.mark.parametrize("reasons", [["stop", "length"], '["stop", "length"]', "stop,length"])
def test_finish_reasons(reasons: Any) -> None:
    span = normalise(raw_span({"gen_ai.response.finish_reasons": reasons}))
    assert span.finish_reasons == ["stop", "length"]
    assert normalise(raw_span({"gen_ai.response.finish_reason": "stop"})).finish_reasons == ["stop"]


def test_cut_messages_are_read_and_marked() -> None:
    text = orjson.dumps(QUESTION).decode()[:-6]
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": text}))
    assert span.truncated
    assert span.input_messages == [{"role": "user", "parts": [{"type": "text", "content": "Why"}]}]


@pytest.mark.parametrize(
    ("part", "folded"),
    [
        ({"type": "tool_call_response", "id": "c", "result": '{"a": 1}'}, {"type": "tool_call_response", "id": "c", "response": {"a": 1}}),
        ({"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a": 1}'}, {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}),
        ({"type": "tool_call", "name": "f", "arguments": "not json"}, {"type": "tool_call", "name": "f", "arguments": "not json"}),
        ({"type": "image_url", "image_url": {"url": "https://x/y.png"}}, {"type": "uri", "modality": "image", "uri": "https://x/y.png"}),
        ({"type": "input_audio", "input_audio": {"data": "AAA", "format": "wav"}}, {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "AAA"}),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "reasoning", "content": "hm"}),
        ({"type": "brand_new", "field": [1]}, {"type": "brand_new", "field": [1]}),
        ({"type": "blob", "modality": "image", "content": "AAA"}, {"type": "blob", "modality": "image", "content": "AAA"}),
        ({"functionCall": {"name": "f", "args": {"a": 1}}}, {"type": "tool_call", "name": "f", "arguments": {"a": 1}}),
        ({"strange": 1}, {"type": "unknown", "content": {"strange": 1}}),
    ],
)  # fmt: skip
def test_parts(part: dict[str, Any], folded: dict[str, Any]) -> None:
    messages = [{"role": "assistant", "parts": [part]}]
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.output.messages": messages}))
    assert span.output_messages[0]["parts"] == [folded]


def test_chat_completions_messages_under_the_new_names() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
    ]
    span = normalise(
        raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": orjson.dumps(messages).decode()})
    )
    assert span.input_messages == CONVERSATION
    plain = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.system_instructions": "Plain words."}))
    assert plain.system_instructions == [{"type": "text", "content": "Plain words."}]


def test_json_inside_text_content_stays_text() -> None:
    messages = [{"role": "user", "content": '{"city": "Paris"}'}, {"role": "user", "content": "[1, 2]"}]
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": messages}))
    assert [message["parts"][0]["content"] for message in span.input_messages] == ['{"city": "Paris"}', "[1, 2]"]


def test_a_log_of_another_kind_or_without_a_span_is_none_of_ours() -> None:
    assert not is_genai_log(log("gen_ai.evaluation.result", {}))
    assert not is_genai_log(log("http.request", {}))
    stray = log("gen_ai.choice", {})
    stray.span_id = ""
    assert not is_genai_log(stray)
