"""Content of every vocabulary as OpenTelemetry's parts: media, files, tools a provider runs, texts Python wrote."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.messages import fold_messages
from spanhouse_server.normalise.parts import fold_part
from tests.unit.normalise.make import event, raw_span

PDF = "data:application/pdf;base64,JVBERi0"


@pytest.mark.parametrize(
    ("part", "modality", "mime_type", "content"),
    [
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}, "document", "application/pdf", "JVBERi0"),
        ({"type": "input_file", "filename": "a.pdf", "file_data": PDF}, "document", "application/pdf", "JVBERi0"),
        (
            {"type": "file", "data": "data:image/png;base64,AAAA", "mediaType": "image/png"},
            "image",
            "image/png",
            "AAAA",
        ),
        ({"type": "file", "data": "AAAA", "mediaType": "audio/wav"}, "audio", "audio/wav", "AAAA"),
        ({"type": "media", "mime_type": "video/mp4", "data": "AAAA"}, "video", "video/mp4", "AAAA"),
        ({"type": "image", "base64": "AAAA", "mime_type": "image/png"}, "image", "image/png", "AAAA"),
        (
            {"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"},
            "image",
            "image/png",
            "AAAA",
        ),
        ({"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0"}}, "image", "image/gif", "R0"),
        ({"type": "image_generation_call", "id": "i", "result": "AAAA"}, "image", "image/png", "AAAA"),
        ({"type": "output_audio", "audio": {"id": "a", "data": "UklG"}}, "audio", None, "UklG"),
    ],
)
def test_media_becomes_a_blob(part: dict[str, Any], modality: str, mime_type: str | None, content: str) -> None:
    assert fold_part(part) == {"type": "blob", "modality": modality, "mime_type": mime_type, "content": content}


@pytest.mark.parametrize(
    ("part", "folded"),
    [
        ({"type": "file", "file": {"file_id": "f-1"}}, {"type": "file", "modality": "document", "file_id": "f-1"}),
        (
            {"type": "file", "modality": "image", "file_id": "f-1"},
            {"type": "file", "modality": "image", "file_id": "f-1"},
        ),
        (
            {"type": "file", "data": "https://x.test/y.png", "mediaType": "image/png"},
            {"type": "uri", "modality": "image", "uri": "https://x.test/y.png"},
        ),
        (
            {"fileData": {"fileUri": "gs://x/y", "mimeType": "video/mp4"}},
            {"type": "uri", "modality": "video", "uri": "gs://x/y"},
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://x.test/v"}},
            {"type": "uri", "modality": "video", "uri": "https://x.test/v"},
        ),
        ({"type": "audio", "audio": {"id": "a-1"}}, {"type": "file", "modality": "audio", "file_id": "a-1"}),
        *(
            (odd, odd)
            for odd in ({"type": "file"}, {"type": "file", "file": 3}, {"type": "image", "source": {"url": {"x": 1}}})
        ),
    ],
)
def test_media_elsewhere_keeps_its_address(part: dict[str, Any], folded: dict[str, Any]) -> None:
    assert fold_part(part) == folded


def test_tools_that_the_provider_runs() -> None:
    call = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]}
    [message] = fold_messages([{"role": "assistant", "content": [call, result]}], "assistant")
    assert message["parts"] == [
        {
            "type": "server_tool_call",
            "id": "s",
            "name": "web_search",
            "server_tool_call": {"type": "web_search", "input": {"query": "q"}},
        },
        {
            "type": "server_tool_call_response",
            "id": "s",
            "server_tool_call_response": {"type": "web_search_tool_result", "content": [{"url": "u"}]},
        },
    ]
    items = [
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "print(1)"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "1"},
    ]
    first, second, third = fold_messages(items, "user")
    assert (first["role"], second["role"], third["role"]) == ("assistant", "assistant", "tool")
    assert first["parts"][0]["name"] == "web_search"
    assert second["parts"] == [{"type": "tool_call", "id": "c", "name": "run", "arguments": "print(1)"}]
    assert third["parts"] == [{"type": "tool_call_response", "id": "c", "response": "1"}]


def test_a_spoken_answer_is_read_and_heard() -> None:
    audio = {"id": "a", "data": "UklG", "transcript": "Hello."}
    [message] = fold_messages([{"role": "assistant", "content": None, "audio": audio}], "assistant")
    assert [part["type"] for part in message["parts"]] == ["text", "blob"]
    assert (message["parts"][0]["content"], message["parts"][1]["content"]) == ("Hello.", "UklG")


SAID = "[{'role': 'assistant', 'parts': [{'type': 'text', 'content': \"it's\"}]}]"


def test_what_python_shows_is_read() -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": SAID}
    span = normalise(raw_span(attributes | {"gen_ai.input.messages": "[{'role': 'user', 'content': 'hi', 'n': None}"}))
    assert (span.output_preview, span.input_preview, span.truncated) == ("it's", "hi", True)
    flat = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "[{'type': 'text', 'text': 'yo'}]"}
    assert normalise(raw_span(flat)).input_preview == "yo"
    call = {
        "role": "assistant",
        "tool_calls": [{"id": "c", "name": "f", "arguments": "{'city': 'Paris', 'deep': None}"}],
    }
    assert fold_messages([call], "assistant")[0]["parts"][0]["arguments"] == {"city": "Paris", "deep": None}
    plain = fold_messages([{"role": "user", "content": "['a', 'b'] is a list"}], "user")
    assert plain[0]["parts"] == [{"type": "text", "content": "['a', 'b'] is a list"}]


def test_a_list_of_texts_is_one_message() -> None:
    events = [event("gen_ai.content.prompt", gen_ai__prompt=["one", "two"])]
    span = normalise(raw_span({"gen_ai.operation.name": "chat"}, events=events))
    assert span.input_messages == [
        {"role": "user", "parts": [{"type": "text", "content": "one"}, {"type": "text", "content": "two"}]}
    ]


@pytest.mark.parametrize(
    ("attributes", "given", "told"),
    [
        ({"flue.input": "hi", "flue.output": "ho"}, "hi", "ho"),
        ({"lmnr.span.input": '"hi"', "lmnr.span.output": '{"a": 1}'}, "hi", '{"a":1}'),
        ({"acme.llm.prompt": "[{'role': 'user', 'content': 'hi'}]", "acme.llm.response": "ho"}, "hi", "ho"),
        ({"question": "hi", "answer": "ho"}, "hi", "ho"),
        ({"acme.output": "other", "output": "ho"}, "", "ho"),
        ({"http.response": "200", "db.prompt": "x", "acme.input": 3, "acme.response": True}, "", ""),
        ({"acme.input_tokens": "12", "acme.inputs_count": "3"}, "", ""),
    ],
)
def test_unknown_dialects_show_what_looks_like_input_and_output(
    attributes: dict[str, Any], given: str, told: str
) -> None:
    span = normalise(raw_span(attributes, scope="acme"))
    assert (span.dialect, span.category, span.input_preview, span.output_preview) == ("generic", "other", given, told)
    assert not span.usage.known


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws.bedrock"),
        ("amazon.nova-pro-v1:0", "aws.bedrock"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-haiku-4-5-v1:0", "aws.bedrock"),
        ("gpt-4.1", ""),
        ("claude-3.5-sonnet", ""),
        ("acme.model-1", ""),
    ],
)
def test_provider_of_a_model_that_names_none(model: str, provider: str) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents", "gen_ai.request.model": model}
    assert normalise(raw_span(attributes)).provider == provider


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ({"status": "completed", "output": []}, ["stop"]),
        ({"status": "completed", "output": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, ["tool_call"]),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}, ["length"]),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []},
            ["content_filter"],
        ),
        ({"status": "failed", "output": []}, ["error"]),
        ({"status": "completed"}, []),
    ],
)
def test_how_an_answer_of_the_responses_api_ended(answer: dict[str, Any], reasons: list[str]) -> None:
    outputs = {"object": "response", "id": "r", "model": "gpt-5", **answer}
    attributes = {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanOutputs": orjson.dumps(outputs).decode()}
    assert normalise(raw_span(attributes, scope="mlflow.openai")).finish_reasons == reasons
