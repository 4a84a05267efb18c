"""Answers that do not stream, of every endpoint that is read, and requests with all they may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from spanhouse_collector.parse.contract import CallEnd, CallRecord
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.parse.spans import call_spans
from tests.fakes import anthropic_messages, openai_chat, openai_responses
from tests.fakes.answers import Answer
from tests.unit.collector.parse.calls import START_NS, Call, Json, found_in, read, start_of
from tests.unit.collector.parse.openai_streams import ARGUMENTS, CALL, KNOBS
from tests.unit.collector.parse.stored import attributes_of, stored


def ask(provider: str, path: str, request: Json, answer: Any, **more: Any) -> CallRecord:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read(Call("x", provider, path, request, body, more.pop("content_type", "application/json"), **more))


def used(record: CallRecord) -> tuple[Any, ...]:
    return tuple(found_in(record)["usage"])


def test_chat_with_everything() -> None:
    request = {
        "model": "gpt-4o",
        "temperature": 0.2,
        "top_p": 0.9,
        "max_completion_tokens": 50,
        "n": 2,
        "seed": 7,
        "stop": ["a", "b"],
        "frequency_penalty": 0.5,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {}},
        "user": "u-7",
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
        ],
        "messages": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "Look"}, _image("https://x/y.png")]},
            {"role": "user", "content": [_image("data:image/png;base64,QUJDRA=="), _audio()]},
            {"role": "assistant", "content": None, "tool_calls": [_call("c1", "f", '{"x": 1}')]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"y": 2}'},
        ],
    }
    body = openai_chat.completion("c-1", Answer("", [CALL]), KNOBS, {"prompt_tokens": 5, "completion_tokens": 2}, 2)
    record = ask("openai", "/v1/chat/completions", request, body)
    (span,) = stored(record)
    assert span.parameters == {
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 50,
        "choice.count": 2,
        "seed": 7,
        "stop_sequences": ["a", "b"],
        "frequency_penalty": 0.5,
        "reasoning.level": "low",
        "output_type": "json",
    }
    assert span.user_id == "u-7"
    assert span.tool_definitions == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}
    ]
    assert [said["role"] for said in span.input_messages] == ["system", "user", "user", "assistant", "tool"]
    assert span.input_messages[1]["name"] == "Ann"
    assert span.input_messages[1]["parts"][1] == {"type": "uri", "modality": "image", "uri": "https://x/y.png"}
    image, sound = span.input_messages[2]["parts"]
    assert image == {
        "type": "blob",
        "modality": "image",
        "content": "QUJDRA==",
        "mime_type": "image/png",
        "size_bytes": 4,
    }
    assert (sound["modality"], sound["content"], sound["mime_type"]) == ("audio", "QUJD", "audio/wav")
    assert span.input_messages[3]["parts"] == [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": 1}}]
    assert span.input_messages[4]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": {"y": 2}}]
    assert len(span.output_messages) == 2
    assert span.output_messages[0]["finish_reason"] == "tool_call"
    assert span.output_messages[0]["parts"][0]["arguments"] == ARGUMENTS
    assert span.ttft_ns is None


def _image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def _audio() -> Json:
    return {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}


def _call(call_id: str, name: str, arguments: str) -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_responses_with_everything() -> None:
    request = {
        "model": "gpt-5",
        "instructions": "Be kind.",
        "previous_response_id": "resp_0",
        "conversation": {"id": "conv_1"},
        "reasoning": {"effort": "high"},
        "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "file_id": "f1"}],
            },
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm."}],
                "encrypted_content": "x" * 2000,
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "fine"},
        ],
    }
    answer = openai_responses.response(
        "resp_1", request, Answer("Yes.", []), KNOBS, {"input_tokens": 3, "output_tokens": 1}
    )
    record = ask("openai", "/v1/responses", request, answer)
    (span,) = stored(record)
    assert span.system_instructions == [{"type": "text", "content": "Be kind."}]
    assert [said["role"] for said in span.input_messages] == ["user", "assistant", "assistant", "tool"]
    assert span.input_messages[1]["parts"] == [{"type": "reasoning", "content": "Hm."}]
    assert span.input_messages[3]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "fine"}]
    assert [tool["name"] for tool in span.tool_definitions] == ["f", "web_search"]
    assert span.session_id == "conv_1"
    assert span.parameters["previous_response.id"] == "resp_0"
    assert span.response_id == "resp_1"
    assert used(record) == (3, 1, None, None, None)


def test_anthropic_with_everything() -> None:
    request = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 5,
        "top_k": 3,
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "stop_sequences": ["x"],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "QUJD"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "42"}]},
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
    }
    counts = {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 4, "output_tokens": 8}
    answer = anthropic_messages.message("msg_1", Answer("42", []), KNOBS, counts, 0)
    record = ask("anthropic", "/v1/messages", request, answer)
    (span,) = stored(record)
    assert used(record) == (7, 8, 2, 4, None)
    assert [said["role"] for said in span.input_messages] == ["user", "assistant", "tool", "user"]
    assert span.input_messages[2]["parts"] == [{"type": "tool_call_response", "id": "t1", "response": "42"}]
    assert span.system_instructions == [{"type": "text", "content": "Be kind."}]
    assert span.tool_definitions == [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    assert span.parameters["max_tokens"] == 5
    assert span.finish_reasons == ["stop"]


EMBEDDED = {"data": [{"embedding": [0.1] * 12}], "model": "served", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
RANKED = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "modelVersion": "served"}
GEMINI_COUNTS = {"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 2, "totalTokenCount": 6}}
CONVERSED = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn"}
TITAN = {"inputTextTokenCount": 4, "results": [{"tokenCount": 2, "outputText": "Hi", "completionReason": "FINISH"}]}
DOCUMENTS = [
    ("embeddings", "openai", "/v1/embeddings", {"model": "m", "input": ["a", "b"]}, EMBEDDED, (4, None), "embedding"),
    ("jina_embeddings", "jina", "/v1/embeddings", {"model": "m", "input": "a"}, {"usage": {"total_tokens": 4}}, (4, None), "embedding"),
    ("cohere_embed", "cohere", "/v2/embed", {"model": "m", "texts": ["a"]}, {"meta": {"billed_units": {"input_tokens": 4}}}, (4, None), "embedding"),
    ("ollama_embed", "ollama", "/api/embed", {"model": "m", "input": "a"}, {"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 4}, (4, None), "embedding"),
    ("gemini_embed", "gemini", "/v1beta/models/e:embedContent", {"content": {"parts": [{"text": "a"}]}}, {"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 4}}, (4, None), "embedding"),
    ("titan_embed", "bedrock", "/model/amazon.titan-embed-text-v2:0/invoke", {"inputText": "a"}, {"embedding": [0.1], "inputTextTokenCount": 4}, (4, None), "embedding"),
    ("rerank", "jina", "/v1/rerank", {"model": "m", "query": "q", "documents": ["a", "b"]}, {**RANKED, "usage": {"total_tokens": 4}}, (4, None), "reranker"),
    ("cohere_rerank", "cohere", "/v2/rerank", {"model": "m", "query": "q", "documents": ["a", "b"]}, {**RANKED, "meta": {"billed_units": {"search_units": 1}}}, (None, None), "reranker"),
    ("moderations", "openai", "/v1/moderations", {"model": "m", "input": "a"}, {"results": [{"flagged": True, "categories": {"hate": True}}]}, (None, None), "guardrail"),
    ("completions", "vllm", "/v1/completions", {"model": "m", "prompt": "a"}, {"choices": [{"text": "Hi"}], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}, (4, 2), "llm"),
    ("images", "openai", "/v1/images/generations", {"model": "m", "prompt": "a"}, {"data": [{"b64_json": "QUJD" * 900}], "usage": {"input_tokens": 4, "output_tokens": 2}}, (4, 2), "llm"),
    ("transcription", "openai", "/v1/audio/transcriptions", {"model": "m"}, {"text": "Hi", "usage": {"type": "duration", "seconds": 3}}, (None, None), "llm"),
    ("gemini", "gemini", "/v1beta/models/g:generateContent", {"contents": {"parts": [{"text": "a"}]}}, {**GEMINI, **GEMINI_COUNTS}, (4, 2), "llm"),
    ("converse", "bedrock", "/model/m/converse", {"messages": [{"role": "user", "content": [{"text": "a"}]}]}, {**CONVERSED, "usage": {"inputTokens": 4, "outputTokens": 2}}, (4, 2), "llm"),
    ("nova", "bedrock", "/model/us.amazon.nova-pro-v1:0/invoke", {"messages": []}, {**CONVERSED, "usage": {"inputTokens": 4, "outputTokens": 2}}, (4, 2), "llm"),
    ("titan", "bedrock", "/model/amazon.titan-text-lite-v1/invoke", {"inputText": "a"}, TITAN, (4, 2), "llm"),
    ("vertex_claude", "vertex", "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict", {"messages": []}, {"content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 4, "output_tokens": 2}}, (4, 2), "llm"),
    ("azure", "azure", "/openai/deployments/d-1/chat/completions", {"messages": []}, {"choices": [{"message": {"content": "Hi"}}], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}, (4, 2), "llm"),
    ("ollama_whole", "ollama", "/api/chat", {"model": "m", "stream": False, "messages": []}, {"message": {"content": "Hi"}, "done": True, "prompt_eval_count": 4, "eval_count": 2}, (4, 2), "llm"),
    ("cohere_chat", "cohere", "/v2/chat", {"model": "m", "messages": []}, {"message": {"content": [{"type": "text", "text": "Hi"}]}, "usage": {"tokens": {"input_tokens": 4, "output_tokens": 2}}}, (4, 2), "llm"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "path", "request_body", "answer", "counts", "category"), [row[1:] for row in DOCUMENTS], ids=[row[0] for row in DOCUMENTS])  # fmt: skip
def test_answer_that_does_not_stream(
    provider: str, path: str, request_body: Json, answer: Json, counts: tuple[Any, ...], category: str
) -> None:
    record = ask(provider, path, request_body, answer)
    assert used(record)[:2] == counts
    assert record.faults == {}
    assert not record.reading.streaming
    (span,) = stored(record)
    assert span.category == category
    assert (span.usage.input_tokens, span.usage.output_tokens) == counts
    texts = [part["content"] for said in span.output_messages for part in said["parts"] if part["type"] == "text"]
    if category == "llm" and "images" not in path:
        assert texts == ["Hi"]
    if counts == (None, None):
        assert span.raw.attributes["spanhouse.usage.source"] == "not_served"
    assert "QUJD" not in json.dumps(span.raw.attributes)
    assert span.request_model


def test_invoked_model_is_counted_by_its_headers() -> None:
    counts = (("X-Amzn-Bedrock-Input-Token-Count", "4"), ("X-Amzn-Bedrock-Output-Token-Count", "2"))
    record = ask("bedrock", "/model/mistral.m/invoke", {"prompt": "a"}, {"outputs": [{"text": "Hi"}]}, headers=counts)
    assert used(record) == (4, 2, None, None, None)


def test_ranked_documents_have_their_texts() -> None:
    record = ask("jina", "/v1/rerank", {"model": "m", "query": "q", "documents": ["a", {"text": "b"}]}, RANKED)
    (span,) = stored(record)
    assert span.documents == [{"id": "1", "score": 0.9, "content": "b"}, {"id": "0", "score": 0.1, "content": "a"}]
    assert span.input_preview == "q"


def test_speech_is_not_kept() -> None:
    request = {"model": "tts-1", "input": "Say this", "voice": "alloy"}
    record = ask("openai", "/v1/audio/speech", request, b"ID3" + b"\x00" * 9999, content_type="audio/mpeg")
    (span,) = stored(record)
    assert span.output_messages[0]["parts"] == [
        {"type": "blob", "modality": "audio", "content": "", "mime_type": "audio/mpeg"}
    ]
    assert span.parameters["voice"] == "alloy"
    assert record.response_bytes == 10_002
    assert record.faults == {}


@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_form_with_a_file(step: int) -> None:
    body = (
        b'preamble\r\n--bo"und\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        b'--bo"und\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
        b"RIFF\r\n--bo\r\n\x00\xff" + b"\r\n" * 50 + b'\r\n--bo"und\r\n'
        b'Content-Disposition: form-data; name="empty"\r\n\r\n\r\n--bo"und\r\n'
        b'Content-Disposition: form-data; name="prompt"\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\nsehr\r\n--bo"und--\r\nrest'
    )
    headers = (("Content-Type", 'multipart/form-data; boundary=bo"und'),)
    call = Call("x", "openai", "/v1/audio/transcriptions", {}, b"Hallo!", request_headers=headers)
    reader = CallReader(start_of(call))
    for start in range(0, len(body), step):
        reader.request_chunk(body[start : start + step])
    reader.request_end()
    reader.response_start(200, [("content-type", "text/plain")], START_NS)
    reader.response_chunk(call.body, START_NS)
    record = reader.end(CallEnd("complete", START_NS))
    reading = record.reading
    assert reading.request_model == "whisper-1"
    text, sound = reading.input_messages[0]["parts"]
    assert text["content"] == "Grüße\r\nsehr"
    assert (sound["modality"], sound["mime_type"]) == ("audio", "audio/wav")
    assert found_in(record)["text"] == "Hallo!"


ERRORS = [
    ("openrouter", "/v1/chat/completions", 200, {"choices": [{"error": {"code": 502, "message": "Down"}, "message": {}}]}, "502", "Down"),
    ("openai", "/v1/chat/completions", 401, {"error": {"message": "Incorrect API key provided: sk-abcdefgh1234.", "type": "invalid_request_error", "code": "invalid_api_key"}}, "invalid_api_key", "Incorrect API key provided: [redacted]."),
    ("anthropic", "/v1/messages", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded_error", "Overloaded"),
    ("gemini", "/v1beta/models/g:streamGenerateContent", 429, [{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}], "RESOURCE_EXHAUSTED", "Quota"),
    ("bedrock", "/model/m/converse", 400, {"message": "Bad model"}, "ValidationException", "Bad model"),
    ("vllm", "/v1/chat/completions", 404, {"object": "error", "message": "No model", "type": "NotFoundError", "code": 404}, "NotFoundError", "No model"),
    ("ollama", "/api/chat", 404, {"error": "model 'x' not found"}, "404", "model 'x' not found"),
    ("openai", "/v1/chat/completions", 422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "422", "[{'loc': ['body'], 'msg': 'field required'}]"),
    ("openai", "/v1/chat/completions", 502, b"<html>Bad gateway</html>", "502", "<html>Bad gateway</html>"),
    ("openai", "/v1/files", 404, {"error": {"message": "No such file"}}, "404", "the upstream answered with status 404"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "path", "status", "body", "kind", "message"), ERRORS)
def test_errors_of_the_upstream(provider: str, path: str, status: int, body: Any, kind: str, message: str) -> None:
    headers = (("x-amzn-ErrorType", "ValidationException:http://x"),) if provider == "bedrock" else ()
    record = ask(provider, path, {"model": "m"}, body, status=status, headers=headers)
    (span,) = stored(record)
    assert span.error_type == kind
    assert span.raw.status_code == "error"
    assert span.raw.status_message == message
    assert not span.usage.known


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/threads/t/messages"),
        ("DELETE", "/v1/chat/completions"),
        ("POST", "/v1beta/models/g:countTokens"),
        ("POST", "/"),
    ],
)
def test_unknown_endpoints_say_only_that_they_were_called(method: str, path: str) -> None:
    start = start_of(Call("x", "openai", path, {}, b""))
    object.__setattr__(start, "method", method)
    reader = CallReader(start)
    reader.request_chunk(b'{"model":"secret"}')
    reader.request_end()
    reader.response_start(200, [("content-type", "application/json"), ("x-request-id", "req_1")], START_NS)
    reader.response_chunk(b'{"usage":{"prompt_tokens":5}}', START_NS)
    (span,) = call_spans(reader.end(CallEnd("complete", START_NS + 5)))
    attributes = attributes_of(span)
    assert span.name == f"{method} {path}"
    assert not any(key.startswith("gen_ai") for key in attributes)
    assert "secret" not in str(attributes)
    assert attributes["http.request.body.size"] == 18
    assert attributes["http.response.body.size"] == 29
    assert attributes["http.response.status_code"] == 200
