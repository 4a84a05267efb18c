"""Gemini's Live API over a WebSocket: typed, spoken, with tools."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.parse.contract import CallEnd, CallRecord, CallStart
from spanhouse_collector.parse.reader import CallReader
from tests.unit.collector.parse.calls import MS, START_NS, Json
from tests.unit.collector.parse.stored import stored

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
PATHS = [
    PATH,
    "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
    "/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent",
]
SETUP = {
    "setup": {
        "model": "models/gemini-2.0-flash-live-001",
        "generationConfig": {"temperature": 0.4, "responseModalities": ["TEXT"]},
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "tools": [{"functionDeclarations": [{"name": "look", "description": "d"}]}],
    }
}
USED = {
    "promptTokenCount": 20,
    "responseTokenCount": 6,
    "thoughtsTokenCount": 2,
    "totalTokenCount": 28,
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}, {"modality": "TEXT", "tokenCount": 1}],
}


def connect(path: str = PATH) -> CallReader:
    url = f"wss://generativelanguage.googleapis.com{path}"
    reader = CallReader(CallStart("live-1", "gemini", url, "GET", path, "key=[redacted]", [], START_NS))
    reader.response_start(101, [("upgrade", "websocket")], START_NS + MS)
    return reader


def talk(reader: CallReader, *messages: tuple[str, Json]) -> CallRecord:
    for place, (side, body) in enumerate(messages):
        direction: Any = "client" if side == ">" else "server"
        # The server sends its JSON in binary frames.
        data = json.dumps(body)
        reader.websocket_message(direction, data if side == ">" else data.encode(), START_NS + (place + 2) * 10 * MS)
    return reader.end(CallEnd("complete", START_NS + 5000 * MS))


def typed(text: str) -> tuple[str, Json]:
    return ">", {"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}}


def content(**more: Any) -> tuple[str, Json]:
    return "<", {"serverContent": more}


def text(said: str) -> tuple[str, Json]:
    return content(modelTurn={"parts": [{"text": said}]})


DONE = "<", {"serverContent": {"turnComplete": True}, "usageMetadata": USED}


@pytest.mark.parametrize("path", PATHS)
def test_each_answer_is_a_span_below_its_connection(path: str) -> None:
    ready = "<", {"setupComplete": {}}
    record = talk(
        connect(path), (">", SETUP), ready, typed("one"), text("ei"), text("ns"), DONE, typed("two"), text("zwei"), DONE
    )
    connection, first, second = stored(record)
    assert connection.category == "other"
    for span, asked, said in ((first, "one", "eins"), (second, "two", "zwei")):
        assert (span.category, span.operation, span.request_model) == (
            "llm",
            "generate_content",
            "gemini-2.0-flash-live-001",
        )
        assert (span.input_preview, span.output_preview) == (asked, said)
        assert (span.usage.input_tokens, span.usage.output_tokens, span.usage.reasoning_tokens) == (20, 8, 2)
        assert span.usage.audio_output_tokens == 5
        assert span.parameters["temperature"] == 0.4
        assert span.system_instructions[0]["content"] == "Be kind."
        assert span.tool_definitions[0]["name"] == "look"
        assert span.ttft_ns == 10 * MS
    assert first.raw.start_ns == START_NS + 40 * MS


def test_tools_and_their_answers_belong_to_one_answer() -> None:
    call = "<", {"toolCall": {"functionCalls": [{"id": "f1", "name": "look", "args": {"day": 1}}]}}
    answer = ">", {"toolResponse": {"functionResponses": [{"id": "f1", "name": "look", "response": {"sky": "grey"}}]}}
    record = talk(connect(), (">", SETUP), typed("Weather?"), call, answer, text("Grey."), DONE)
    (turn,) = record.turns
    said = turn.reading.output_messages[0]["parts"]
    assert [part["type"] for part in said] == ["tool_call", "text"]
    assert [message["role"] for message in turn.reading.input_messages] == ["user", "tool"]
    assert turn.complete


def test_what_was_heard_and_said_stands_for_the_sound() -> None:
    sound = base64.b64encode(bytes(300)).decode()
    spoken = {"mimeType": "audio/pcm;rate=24000", "data": sound}
    media = ">", {"realtimeInput": {"audio": {"data": sound, "mimeType": "audio/pcm;rate=16000"}}}
    record = talk(
        connect(),
        (">", SETUP),
        media,
        media,
        content(inputTranscription={"text": "Wie "}),
        content(inputTranscription={"text": "spät?"}),
        content(modelTurn={"parts": [{"inlineData": spoken}]}),
        content(outputTranscription={"text": "Fünf "}, modelTurn={"parts": [{"inlineData": spoken}]}),
        content(outputTranscription={"text": "Uhr."}),
        content(interrupted=True),
        DONE,
    )
    (turn,) = record.turns
    (heard,) = turn.reading.input_messages
    assert heard["parts"] == [{"type": "text", "content": "Wie spät?"}]
    text_said, blob = turn.reading.output_messages[0]["parts"]
    assert text_said["content"] == "Fünf Uhr."
    assert (blob["type"], blob["modality"], blob["size_bytes"]) == ("blob", "audio", 600)
    assert turn.reading.finish_reasons == ["interrupted"]
    assert sound not in json.dumps(turn.reading.output_messages)
    assert turn.reading.first_token_ns == START_NS + 70 * MS


def test_an_answer_that_is_cut_off_is_told_as_such() -> None:
    record = talk(connect(), (">", SETUP), typed("one"), text("ei"))
    (turn,) = record.turns
    assert not turn.complete
    assert turn.reading.output_messages[0]["parts"][0]["content"] == "ei"
    assert turn.reading.usage.input_tokens is None


NAMES = ["setup", "clientContent", "realtimeInput", "toolResponse", "serverContent", "toolCall", "usageMetadata"]
KEYS = [
    *NAMES, "turns", "parts", "text", "modelTurn", "inlineData", "data", "turnComplete", "functionCalls", "role",
    "functionResponses", "inputTranscription", "outputTranscription", "promptTokenCount", "model", "generationConfig",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3).map(json.dumps) | st.binary(max_size=9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["client", "server"]), MESSAGES), max_size=9))
def test_any_messages_are_read_without_a_mistake(messages: list[tuple[Any, Any]]) -> None:
    reader = connect()
    for direction, data in messages:
        reader.websocket_message(direction, data, START_NS)
    record = reader.end(CallEnd("complete", START_NS + MS))
    assert "internal" not in record.faults
    stored(record)
