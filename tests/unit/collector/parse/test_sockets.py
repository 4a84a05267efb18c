"""Many answers over one WebSocket: Responses as Codex asks for them, and Realtime."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.parse.contract import CallEnd, CallRecord, CallStart, Limits
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.parse.spans import call_spans, turn_spans
from tests.unit.collector.parse.calls import MS, START_NS, Json
from tests.unit.collector.parse.stored import stored, stored_spans

USED = {"input_tokens": 40, "output_tokens": 5, "total_tokens": 45, "input_tokens_details": {"cached_tokens": 30}}


def connect(path: str, query: str = "", limits: Limits | None = None, **headers: str) -> CallReader:
    start = CallStart(
        "ws-1", "openai", f"wss://api.openai.com{path}", "GET", path, query, list(headers.items()), START_NS
    )
    reader = CallReader(start, limits)
    reader.response_start(101, [("upgrade", "websocket")], START_NS + MS)
    return reader


def talk(reader: CallReader, *messages: tuple[str, Json]) -> None:
    for place, (side, body) in enumerate(messages):
        direction: Any = "client" if side == ">" else "server"
        reader.websocket_message(direction, json.dumps(body), START_NS + (place + 2) * 10 * MS)


def end(reader: CallReader) -> CallRecord:
    return reader.end(CallEnd("complete", START_NS + 5000 * MS))


def asked(text: str, lane: str = "") -> tuple[str, Json]:
    body = {"type": "response.create", "model": "gpt-5", "input": [{"role": "user", "content": text}]}
    return ">", {**body, **({"stream_id": lane} if lane else {})}


def answered(response_id: str, text: str, kind: str = "completed", lane: str = "") -> list[tuple[str, Json]]:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    response = {"id": response_id, "model": "gpt-5-served", "status": kind, "output": [item], "usage": USED}
    more = {"stream_id": lane} if lane else {}
    return [
        ("<", {"type": "response.created", "response": {"id": response_id, "status": "in_progress"}, **more}),
        ("<", {"type": "response.output_text.delta", "output_index": 0, "delta": text, **more}),
        ("<", {"type": f"response.{kind}", "response": response, **more}),
    ]


def test_each_response_is_a_span_below_its_connection() -> None:
    reader = connect("/v1/responses", session_id="codex-7")
    talk(reader, asked("one"), *answered("r1", "eins"), asked("two"), *answered("r2", "zwei", "incomplete"))
    record = end(reader)
    connection, first, second = stored(record)
    assert connection.category == "other"
    assert not connection.usage.known
    assert connection.raw.name == "GET /v1/responses"
    assert connection.raw.attributes["http.response.status_code"] == 101
    assert (record.messages_out, record.messages_in) == (2, 6)
    for span, text, said in ((first, "one", "eins"), (second, "two", "zwei")):
        assert span.raw.parent_span_id == connection.raw.span_id
        assert span.category == "llm"
        assert (span.usage.input_tokens, span.usage.output_tokens, span.usage.cache_read_tokens) == (40, 5, 30)
        assert span.input_preview == text
        assert span.output_preview == said
        assert span.session_id == "codex-7"
        assert span.ttft_ns == 20 * MS
    assert first.cost.status == "priced"
    assert (first.request_model, first.response_model, first.response_id) == ("gpt-5", "gpt-5-served", "r1")
    assert first.raw.start_ns == START_NS + 20 * MS
    assert first.raw.end_ns == START_NS + 50 * MS


def test_lanes_are_kept_apart() -> None:
    reader = connect("/v1/responses")
    one, two = answered("r1", "eins", lane="a"), answered("r2", "zwei", lane="b")
    talk(reader, asked("one", "a"), asked("two", "b"), two[0], one[0], one[1], two[1], two[2], one[2])
    texts = {turn.reading.response_id: turn.reading for turn in end(reader).turns}
    assert texts["r1"].input_messages[0]["parts"][0]["content"] == "one"
    assert texts["r1"].output_messages[0]["parts"][0]["content"] == "eins"
    assert texts["r2"].output_messages[0]["parts"][0]["content"] == "zwei"


def test_turns_can_be_taken_before_the_connection_ends() -> None:
    reader = connect("/v1/responses", x_session_id="no", **{"X-Session-Id": "s-1"})
    talk(reader, asked("one"), *answered("r1", "eins"))
    (span,) = stored_spans(turn_spans(reader.start, reader.take_turns(), reader.limits))
    assert span.session_id == "s-1"
    assert reader.take_turns() == []
    talk(reader, asked("two"), *answered("r2", "zwei"))
    spans = call_spans(end(reader))
    assert len(spans) == 2
    assert spans[1].span_id.hex() != span.raw.span_id


def test_what_is_cut_off_is_told() -> None:
    reader = connect("/v1/responses")
    talk(reader, asked("one"), *answered("r1", "eins")[:2])
    _, span = stored(end(reader))
    assert span.error_type == "client_disconnected"
    assert span.output_preview == "eins"
    assert span.raw.attributes["spanhouse.usage.source"] == "incomplete"


def test_errors_end_their_turn() -> None:
    reader = connect("/v1/responses")
    failure = {"type": "error", "error": {"type": "invalid_request_error", "code": "bad_model", "message": "No."}}
    talk(reader, asked("one"), ("<", failure), asked("two"), *answered("r2", "zwei"))
    _, first, second = stored(end(reader))
    assert (first.error_type, first.raw.status_message) == ("bad_model", "No.")
    assert second.output_preview == "zwei"


def test_turns_are_bounded() -> None:
    reader = connect("/v1/responses", limits=Limits(turns=3))
    for number in range(5):
        talk(reader, asked("again"), *answered(f"r{number}", "ja"))
    record = end(reader)
    assert (len(record.turns), record.dropped_turns) == (3, 2)
    assert len({span.span_id for span in call_spans(record)}) == 4


def test_turns_are_bounded_in_bytes_until_they_are_taken() -> None:
    reader = connect("/v1/responses", limits=Limits(turns_bytes=5000))
    for number in range(6):
        talk(reader, asked("word " * 400), *answered(f"r{number}", "ja"))
    assert len(reader.take_turns()) == 2
    talk(reader, asked("word " * 4000), *answered("r7", "ja"))
    record = end(reader)
    assert [turn.number for turn in record.turns] == [6]
    assert record.dropped_turns == 4


def test_realtime() -> None:
    session = {"model": "gpt-realtime", "instructions": "Be kind.", "tools": [{"type": "function", "name": "f"}]}
    sound = {"type": "message", "role": "user", "id": "i1", "content": [{"type": "input_audio", "transcript": None}]}
    output = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hello Ann"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1}'},
    ]
    used = {
        "input_tokens": 132,
        "output_tokens": 121,
        "total_tokens": 253,
        "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64},
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
    }
    transcribed = "conversation.item.input_audio_transcription.completed"
    reader = connect("/v1/realtime", "model=gpt-realtime")
    talk(
        reader,
        ("<", {"type": "session.created", "session": session}),
        (">", {"type": "input_audio_buffer.append", "audio": "QUJD" * 500}),
        ("<", {"type": "conversation.item.added", "item": sound}),
        (">", {"type": "response.create"}),
        ("<", {"type": "response.created", "response": {"id": "r1"}}),
        ("<", {"type": transcribed, "item_id": "i1", "transcript": "I am Ann"}),
        ("<", {"type": "response.output_audio_transcript.delta", "response_id": "r1", "delta": "Hello"}),
        (
            "<",
            {"type": "response.done", "response": {"id": "r1", "status": "completed", "output": output, "usage": used}},
        ),
        ("<", {"type": "conversation.item.added", "item": {"id": "i2", "type": "function_call_output", "output": "9"}}),
        ("<", {"type": "response.created", "response": {"id": "r2"}}),
        ("<", {"type": "response.done", "response": {"id": "r2", "status": "cancelled", "output": [], "usage": used}}),
    )
    _, first, second = stored(end(reader))
    assert first.request_model == "gpt-realtime"
    assert first.system_instructions == [{"type": "text", "content": "Be kind."}]
    assert first.input_preview == "I am Ann"
    assert first.output_preview.startswith("Hello Ann")
    assert first.output_messages[0]["parts"][1]["arguments"] == {"x": 1}
    found = first.usage
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens) == (132, 121, 64)
    assert (found.audio_input_tokens, found.audio_output_tokens) == (13, 91)
    assert first.raw.start_ns == START_NS + 50 * MS
    assert first.ttft_ns == 30 * MS
    assert "QUJD" not in str(first.raw.attributes)
    assert [said["role"] for said in second.input_messages] == ["tool"]
    assert second.finish_reasons == ["cancelled"]


def test_unknown_sockets_are_only_counted() -> None:
    reader = connect("/v1/live")
    reader.websocket_message("client", b"\x00\x01", START_NS)
    reader.websocket_message("server", "not json", START_NS)
    record = end(reader)
    assert (record.request_bytes, record.response_bytes, record.turns, record.faults) == (2, 8, [], {})


NAMES = ["response.create", "response.created", "response.done", "response.completed", "session.created", "error"]
NAMES += ["conversation.item.added", "response.output_text.delta", "response.output_item.done"]
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from(["r1", "message", "text", "assistant", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "item", "output", "content", "usage", "role"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)
MESSAGES = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(NAMES),
    st.dictionaries(
        st.sampled_from(["response", "item", "delta", "session", "stream_id", "error"]), VALUES, max_size=3
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["/v1/responses", "/v1/realtime"]),
    st.lists(
        st.tuples(st.sampled_from(["client", "server"]), MESSAGES.map(json.dumps) | st.binary(max_size=9)), max_size=9
    ),
)
def test_any_messages_are_read_without_a_mistake(path: str, messages: list[tuple[Any, Any]]) -> None:
    reader = connect(path)
    for direction, data in messages:
        reader.websocket_message(direction, data, START_NS)
    record = end(reader)
    assert "internal" not in record.faults
    stored(record)
