"""Whole answers of TGI, SGLang, Cohere's first API and Google's ``:predict``."""

from __future__ import annotations

import base64
import json
from typing import Any

from spanhouse_collector.parse.contract import CallRecord
from tests.unit.collector.parse.calls import Call, Json, found_in, read
from tests.unit.collector.parse.stored import stored

PUBLISHED = "/v1/projects/p/locations/us-central1/publishers/google/models"


def ask(provider: str, path: str, request: Json, answer: Any, **more: Any) -> CallRecord:
    return read(Call("x", provider, path, request, json.dumps(answer).encode(), "application/json", **more))


def test_tgi_counts_by_headers_and_by_details() -> None:
    request = {"inputs": "Hi", "parameters": {"temperature": 0.5, "max_new_tokens": 8, "top_k": 4, "stop": ["x"]}}
    headers = (("x-prompt-tokens", "4"), ("x-generated-tokens", "2"), ("x-total-time", "20"))
    record = ask("tgi", "/generate", request, {"generated_text": "Hello"}, headers=headers)
    found = found_in(record)
    assert (found["text"], found["usage"][:2]) == ("Hello", (4, 2))
    (span,) = stored(record)
    assert span.parameters == {"temperature": 0.5, "max_tokens": 8, "top_k": 4, "stop_sequences": ["x"]}
    assert (span.category, span.operation, span.input_preview) == ("llm", "text_completion", "Hi")
    details = {"finish_reason": "length", "generated_tokens": 3, "prefill": [{"id": 1, "text": "Hi"}], "tokens": []}
    # The root of TGI answers with a list.
    record = ask("tgi", "/", request, [{"generated_text": "Hello you", "details": details}])
    found = found_in(record)
    assert (found["text"], found["usage"][:2], found["finish"]) == ("Hello you", (1, 3), ("length",))


def test_sglang() -> None:
    meta = {"id": "r", "finish_reason": {"type": "length", "length": 2}, "prompt_tokens": 5, "completion_tokens": 2}
    record = ask("sglang", "/generate", {"input_ids": [1, 2, 3]}, {"text": "ab", "meta_info": meta})
    found = found_in(record)
    assert (found["text"], found["usage"][:2], found["finish"]) == ("ab", (5, 2), ("length",))
    assert record.reading.input_messages[0]["parts"][0]["content"] == "[3 token ids]"


def test_cohere_v1_chat_with_everything() -> None:
    request = {
        "model": "command-r-plus",
        "message": "And tomorrow?",
        "preamble": "Be brief.",
        "temperature": 0.3,
        "p": 0.9,
        "stop_sequences": ["END"],
        "chat_history": [
            {"role": "USER", "message": "Weather?"},
            {"role": "CHATBOT", "message": "Rain.", "tool_calls": [{"name": "look", "parameters": {"day": 1}}]},
            {
                "role": "TOOL",
                "tool_results": [{"call": {"name": "look", "parameters": {"day": 1}}, "outputs": [{"sky": "grey"}]}],
            },
        ],
        "tools": [{"name": "look", "description": "d", "parameter_definitions": {"day": {"type": "int"}}}],
    }
    answer = {
        "response_id": "res-1",
        "generation_id": "gen-1",
        "text": "Sun.",
        "finish_reason": "COMPLETE",
        "meta": {"billed_units": {"input_tokens": 12, "output_tokens": 2}, "tokens": {"input_tokens": 80, "output_tokens": 3}},
    }  # fmt: skip
    record = ask("cohere", "/v1/chat", request, answer)
    found = found_in(record)
    assert (found["text"], found["usage"][:2], found["finish"]) == ("Sun.", (12, 2), ("COMPLETE",))
    (span,) = stored(record)
    assert span.parameters == {"temperature": 0.3, "top_p": 0.9, "stop_sequences": ["END"]}
    assert span.response_id == "res-1"
    assert [said["role"] for said in span.input_messages] == ["user", "assistant", "tool", "user"]
    assert span.system_instructions[0]["content"] == "Be brief."
    assert span.tool_definitions[0]["name"] == "look"
    assert span.input_preview == "And tomorrow?"


def test_cohere_v1_generate_several() -> None:
    made = [{"id": "a", "text": "one", "finish_reason": "COMPLETE"}, {"id": "b", "text": "two"}]
    meta = {"billed_units": {"input_tokens": 3, "output_tokens": 2}}
    record = ask(
        "cohere",
        "/v1/generate",
        {"prompt": "Say", "num_generations": 2},
        {"id": "g", "generations": made, "meta": meta},
    )
    assert [said["parts"][0]["content"] for said in record.reading.output_messages] == ["one", "two"]
    assert record.reading.parameters == {"gen_ai.request.choice.count": 2}
    assert found_in(record)["usage"][:2] == (3, 2)


def test_embeddings_by_predict() -> None:
    predictions = [
        {"embeddings": {"statistics": {"truncated": False, "token_count": count}, "values": [0.1] * 768}}
        for count in (6, 4)
    ]
    request = {"instances": [{"content": "one", "task_type": "RETRIEVAL_QUERY"}, {"content": "two"}]}
    path = f"{PUBLISHED}/text-embedding-005:predict"
    record = ask("vertex", path, request, {"predictions": predictions, "metadata": {"billableCharacterCount": 9}})
    (span,) = stored(record)
    assert (span.category, span.request_model) == ("embedding", "text-embedding-005")
    assert (span.usage.input_tokens, span.usage.output_tokens) == (10, None)
    assert span.raw.attributes["gen_ai.embeddings.dimension.count"] == 768
    assert "0.1" not in str(span.raw.attributes)


def test_palm_by_predict() -> None:
    metadata = {"tokenMetadata": {"inputTokenCount": {"totalTokens": 5}, "outputTokenCount": {"totalTokens": 3}}}
    asked = {"context": "Be kind.", "messages": [{"author": "user", "content": "Hi"}]}
    answer = {"predictions": [{"candidates": [{"author": "1", "content": "Hello"}]}], "metadata": metadata}
    request = {"instances": [asked], "parameters": {"temperature": 0.1, "maxOutputTokens": 9, "sampleCount": 1}}
    record = ask("vertex", f"{PUBLISHED}/chat-bison:predict", request, answer)
    found = found_in(record)
    assert (found["text"], found["usage"][:2]) == ("Hello", (5, 3))
    (span,) = stored(record)
    assert span.parameters == {"temperature": 0.1, "max_tokens": 9}
    assert span.system_instructions[0]["content"] == "Be kind."


def test_pictures_by_predict_are_kept() -> None:
    picture = base64.b64encode(bytes(3000)).decode()
    answer = {"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": picture}]}
    request = {"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 2}}
    record = ask("gemini", "/v1beta/models/imagen-4.0-generate-001:predict", request, answer)
    (part,) = record.reading.output_messages[0]["parts"]
    assert (part["type"], part["modality"], part["size_bytes"], part["content"]) == ("blob", "image", 3000, picture)
    assert record.reading.parameters == {"gen_ai.request.choice.count": 2}


def test_deployed_models_by_predict() -> None:
    path = "/v1/projects/p/locations/l/endpoints/42:predict"
    answer = {"predictions": ["Prompt:\nHi\nOutput:\nHello"], "deployedModelId": "7", "modelDisplayName": "llama-3"}
    record = ask("vertex", path, {"instances": [{"prompt": "Hi", "max_tokens": 5}]}, answer)
    assert found_in(record)["text"].endswith("Hello")
    assert (record.reading.request_model, record.reading.response_model) == ("42", "llama-3")
    completion = {
        "model": "llama-3-8b",
        "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    asked = {"@requestFormat": "chatCompletions", "messages": [{"role": "user", "content": "Hi"}]}
    record = ask("vertex", path, {"instances": [asked]}, {"predictions": completion})
    found = found_in(record)
    assert (found["text"], found["usage"][:2], found["model"], found["finish"]) == (
        "Hello",
        (3, 1),
        "llama-3-8b",
        ("stop",),
    )
