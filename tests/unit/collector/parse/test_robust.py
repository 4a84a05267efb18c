"""Nothing that passes can break the reader, and nothing makes it keep more than its bounds."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_collector.parse.apis import APIS
from spanhouse_collector.parse.contract import CallEnd, Limits
from spanhouse_collector.parse.inflate import zstd
from spanhouse_collector.parse.jsontext import MISSING, dumps, loads, loads_cut
from spanhouse_collector.parse.reader import CallReader
from spanhouse_collector.parse.spans import call_spans
from spanhouse_collector.parse.squeeze import Gather, Squeezer
from tests.unit.collector.parse.calls import START_NS, Call, bytewise, found_in, frame, named, read, start_of, whole
from tests.unit.collector.parse.stored import attributes_of, stored
from tests.unit.collector.parse.streams import STREAMS

PATHS = sorted({(call.provider, call.path, call.query) for call in STREAMS}) + [
    ("openai", "/v1/embeddings", ""),
    ("openai", "/v1/moderations", ""),
    ("openai", "/v1/audio/speech", ""),
    ("jina", "/v1/rerank", ""),
    ("cohere", "/v2/embed", ""),
    ("ollama", "/api/embed", ""),
    ("gemini", "/v1beta/models/e:batchEmbedContents", ""),
    ("bedrock", "/model/amazon.titan-text/invoke", ""),
    ("vertex", "/v1/publishers/google/models/chat-bison:predict", ""),
    ("vertex", "/v1/publishers/google/models/text-embedding-005:predict", ""),
    ("tgi", "/", ""),
    ("bedrock", "/model/amazon.nova-pro/invoke", ""),
]
TYPES = ["application/json", "text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream", ""]
#: Words of all the APIs, so that random documents reach deep into the readers.
KEYS = sorted(
    {"choices", "delta", "message", "content", "usage", "type", "index", "role", "tool_calls", "function", "error"}
    | {"model", "messages", "input", "output", "response", "item", "candidates", "parts", "usageMetadata", "tools"}
    | {"text", "arguments", "prompt_tokens", "input_tokens", "system", "stream", "results", "data", "embeddings"}
    | {"contentBlockIndex", "start", "toolUse", "message_start", "content_block", "output_index", "id", "status"}
    | {"predictions", "instances", "token", "details", "meta_info", "event_type", "generations", "meta", "chat_history"}
    | {"completion_tokens_details", "documents", "source", "image_url", "instructions", "generationConfig", "images"}
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "text", "tool_use", "response.completed", "message_start", "data:image/png;base64,AAAA"])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=30,
)


OBJECTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PATHS), st.sampled_from(TYPES), OBJECTS, st.lists(OBJECTS, max_size=4), st.booleans())
def test_any_json_is_read_without_a_mistake(place: Any, kind: str, asked: Any, said: list[Any], failed: bool) -> None:
    texts = [json.dumps(item) for item in said]
    if kind == "text/event-stream":
        body = "".join(f"data: {text}\n\n" for text in texts).encode()
    elif kind == "application/vnd.amazon.eventstream":
        body = b"".join(frame("contentBlockDelta", item) for item in said)
    else:
        body = "\n".join(texts).encode()
    provider, path, query = place
    call = Call("any", provider, path, asked, body, kind, query, 400 if failed else 200)
    record = read(call)
    assert "internal" not in record.faults
    assert len(stored(record)) == 1


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(PATHS), st.sampled_from(TYPES), st.binary(max_size=200), st.binary(max_size=300))
def test_any_bytes_are_read_without_a_mistake(place: Any, kind: str, asked: bytes, said: bytes) -> None:
    provider, path, query = place
    reader = CallReader(start_of(Call("any", provider, path, {}, b"", kind, query)))
    reader.request_chunk(asked)
    reader.request_end()
    reader.response_start(200, [("content-type", kind)], START_NS)
    for piece in (said[:100], said[100:]):
        reader.response_chunk(piece, START_NS)
    record = reader.end(CallEnd("complete", START_NS))
    assert "internal" not in record.faults
    assert len(stored(record)) == 1


#: JSON streams as their events, to be damaged inside.
EVENTS = {
    call.name: [json.loads(line[5:]) for line in call.body.splitlines() if line.startswith(b"data:") and b"{" in line]
    for call in STREAMS
    if b"data:" in call.body
}


def _damaged(value: Any, data: st.DataObject) -> Any:
    """Return a copy of a document with one place in it replaced by something else."""
    if isinstance(value, (dict, list)) and value and data.draw(st.integers(0, 4)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = data.draw(st.sampled_from(keys))
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[key] = _damaged(value[key], data)
        return copy
    return data.draw(VALUES)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.sampled_from([call for call in STREAMS if call.name in EVENTS]), st.data())
def test_right_events_with_wrong_values_are_read_without_a_mistake(call: Call, data: st.DataObject) -> None:
    events = list(EVENTS[call.name])
    place = data.draw(st.integers(0, len(events) - 1))
    events[place] = _damaged(events[place], data)
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    record = read(Call(**{**call.__dict__, "body": body, "request": _damaged(call.request, data)}))
    assert "internal" not in record.faults
    stored(record)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(STREAMS), st.integers(0, 2000), st.binary(min_size=1, max_size=5))
def test_a_damaged_stream_is_read_without_a_mistake(call: Call, place: int, damage: bytes) -> None:
    body = call.body[:place] + damage + call.body[place + len(damage) :]
    record = read(Call(**{**call.__dict__, "body": body}))
    assert "internal" not in record.faults
    stored(record)


@pytest.mark.parametrize("split", [whole, bytewise])
def test_a_damaged_frame_is_left_out_and_the_next_ones_are_read(split: Any) -> None:
    def delta(text: str) -> bytes:
        return frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})

    def figures(output_tokens: int) -> bytes:
        return frame("metadata", {"usage": {"inputTokens": 7, "outputTokens": output_tokens}})

    body = (
        delta("Gr") + delta("AA").replace(b"AA", b"AB") + delta("uß") + frame("messageStop", {"stopReason": "end_turn"})
    )
    body += figures(4) + figures(99).replace(b"99", b"98")
    kind = "application/vnd.amazon.eventstream"
    call = Call("damaged", "bedrock", "/model/m/converse-stream", {}, body, content_type=kind)
    record = read(call, split)
    assert (found_in(record)["text"], found_in(record)["usage"]) == ("Gruß", (7, 4, None, None, None))
    assert record.faults == {"frame": 2}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "br", "unheard-of", "gzip, gzip, gzip, gzip"])
def test_broken_encodings_are_left_unread(encoding: str) -> None:
    call = Call(**{**STREAMS[0].__dict__, "body": b"\x00not compressed", "headers": (("Content-Encoding", encoding),)})
    record = read(call)
    assert record.faults == {"encoding": 1}
    assert record.response_bytes == len(call.body)


def test_calls_in_any_order_do_not_raise() -> None:
    reader = CallReader(start_of(STREAMS[0]))
    reader.response_chunk(b"data: {}\n\n", START_NS)
    reader.websocket_message("server", b"{}", START_NS)
    reader.request_end()
    reader.request_end()
    record = reader.end(CallEnd("upstream_error", START_NS - 5))
    assert record.reading.operation == "chat"
    assert call_spans(record)[0].end_time_unix_nano == START_NS


# Bounds -----------------------------------------------------------------------------------------


def test_a_bomb_is_not_unfolded() -> None:
    bomb = zstd.compress(b"data: " + b"\0" * 50_000_000)
    limits = Limits(inflated_bytes=1_000_000)
    record = read(
        Call(**{**STREAMS[0].__dict__, "body": bomb, "headers": (("content-encoding", "zstd"),)}), limits=limits
    )
    assert record.faults["too_large"] == 1


def test_compressed_requests_are_read() -> None:
    body = json.dumps({"model": "gpt-5", "input": "Grüß Gott " * 50}).encode()
    for encoding, pack in (("zstd", zstd.compress), ("gzip", gzip.compress), ("deflate", zlib.compress)):
        call = Call("x", "openai", "/v1/responses", {}, b"", request_headers=(("Content-Encoding", encoding),))
        reader = CallReader(start_of(call))
        for piece in bytewise(pack(body)):
            reader.request_chunk(piece)
        reader.request_end()
        record = reader.end(CallEnd("complete", START_NS))
        assert record.reading.request_model == "gpt-5"
        assert record.request_bytes == len(pack(body))


def test_a_large_request_keeps_its_structure_and_loses_its_payload() -> None:
    image = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 12_000).decode()
    content = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": "What is it?"}]
    asked = {"messages": [{"role": "user", "content": content}], "model": "gpt-4o", "temperature": 0.5}
    record = read(Call("x", "openai", "/v1/chat/completions", asked, b""), limits=Limits(buffer_bytes=100_000))
    reading = record.reading
    assert reading.request_model == "gpt-4o"
    assert reading.parameters["gen_ai.request.temperature"] == 0.5
    blob, text = reading.input_messages[0]["parts"]
    assert text["content"] == "What is it?"
    assert blob["type"] == "blob"
    assert blob["content"] == ""
    assert blob["mime_type"] == "image/png"
    assert len(json.dumps(attributes_of(call_spans(record)[0]))) < 3000


def test_usage_of_a_reply_of_many_vectors_is_read() -> None:
    vectors = [{"object": "embedding", "index": place, "embedding": [0.0123456789] * 1536} for place in range(100)]
    said = {
        "object": "list",
        "data": vectors,
        "model": "e-served",
        "usage": {"prompt_tokens": 800, "total_tokens": 800},
    }
    body = json.dumps(said, indent=1).encode()
    call = Call("x", "openai", "/v1/embeddings", {"model": "e", "input": ["a"]}, body, "application/json")
    record = read(
        call, lambda data: [data[start : start + 9999] for start in range(0, len(data), 9999)], Limits(50_000)
    )
    assert found_in(record)["usage"] == (800, None, None, None, None)
    assert record.reading.response_model == "e-served"
    assert record.faults == {}
    assert "0.01234" not in json.dumps(attributes_of(call_spans(record)[0]))


def test_long_content_is_cut_and_says_so() -> None:
    asked = {
        "model": "m",
        "messages": [{"role": "user", "content": f"{place} " + "word " * 400} for place in range(60)],
    }
    body = json.dumps({"choices": [{"message": {"content": "tale " * 9000}, "finish_reason": "stop"}]}).encode()
    limits = Limits(text_characters=20_000, attribute_bytes=30_000)
    record = read(Call("x", "openai", "/v1/chat/completions", asked, body, "application/json"), limits=limits)
    attributes = attributes_of(call_spans(record)[0])
    assert attributes["spanhouse.proxy.truncated"] == ["request", "response"]
    assert "[truncated, 45000 characters in all]" in attributes["gen_ai.output.messages"]
    given = json.loads(attributes["gen_ai.input.messages"])
    assert len(attributes["gen_ai.input.messages"].encode()) <= 30_000
    assert given[0]["parts"][0]["content"].startswith("0 ")
    assert given[-1]["parts"][0]["content"].startswith("59 ")


def test_a_stream_without_end_stays_bounded() -> None:
    limits = Limits(text_characters=1000)
    reader = CallReader(start_of(STREAMS[0]), limits)
    reader.response_start(200, [("content-type", "text/event-stream")], START_NS)
    piece = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"x" * 1000 + b'"}}]}\n\n'
    for _ in range(2000):
        reader.response_chunk(piece, START_NS)
    record = reader.end(CallEnd("client_disconnected", START_NS))
    assert len(found_in(record)["text"]) < 1100
    assert record.truncated == {"response"}


@pytest.mark.parametrize("api", sorted(APIS))
def test_deep_nesting_is_survived(api: str) -> None:
    places = {"bedrock_invoke": "/model/m/invoke", "bedrock_converse": "/model/m/converse"}
    path = places.get(api) or next((path for _, path, _ in PATHS if api.split("_")[0] in path), "/v1/chat/completions")
    deep = b'{"messages":' + b"[" * 3000 + b"]" * 3000 + b"}"
    reader = CallReader(start_of(Call("x", api, path, {}, b"")))
    reader.request_chunk(deep)
    reader.request_end()
    reader.response_start(200, [("content-type", "application/json")], START_NS)
    reader.response_chunk(
        b'{"choices":[{"message":{"content":' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}}]}", START_NS
    )
    record = reader.end(CallEnd("complete", START_NS))
    assert "internal" not in record.faults
    stored(record)


def test_an_event_longer_than_the_buffer_keeps_its_usage() -> None:
    image = {"type": "image_generation_call", "result": "QUJD" * 40_000}
    used = {"input_tokens": 5, "output_tokens": 6}
    response = {"id": "r", "model": "m", "status": "completed", "output": [image], "usage": used}
    body = b"data: " + json.dumps({"type": "response.completed", "response": response}).encode() + b"\n\n"
    call = Call("x", "openai", "/v1/responses", {"model": "m", "stream": True}, body)
    for split in (whole, lambda data: [data[start : start + 1000] for start in range(0, len(data), 1000)]):
        record = read(call, split, Limits(buffer_bytes=50_000))
        assert found_in(record)["usage"] == (5, 6, None, None, None)
        assert record.reading.output_messages[0]["parts"][0]["type"] == "blob"
    line = json.dumps({"message": {"content": "word " * 30_000}, "done": True, "eval_count": 9}).encode()
    call = Call("x", "ollama", "/api/chat", {"model": "m"}, line + b"\n", "application/x-ndjson")
    assert found_in(read(call, limits=Limits(buffer_bytes=50_000)))["usage"][1] == 9


def test_a_request_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]}
    body = json.dumps({**asked, "temperature": 123}).encode()
    for place in range(len(body)):
        reader = CallReader(start_of(STREAMS[0]))
        reader.request_chunk(body[:place])
        reader.request_end()
        record = reader.end(CallEnd("complete", START_NS))
        assert "internal" not in record.faults
        reading = record.reading
        assert reading.request_model == ("gpt-4o" if place > body.index(b'", "messages"') + 1 else "")
        assert len(reading.input_messages) <= 2
        assert "gen_ai.request.temperature" not in reading.parameters  # its last digit may be missing
        assert record.truncated == ({"request"} if place else set())


def test_an_answer_that_was_cut_off_has_no_half_figures() -> None:
    body = b'{"id":"c","model":"m","choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1234,"completion'
    call = Call("x", "openai", "/v1/chat/completions", {"model": "m"}, body, "application/json")
    found = found_in(read(call))
    assert (found["text"], found["usage"][:2]) == ("Hi", (1234, None))
    half = found_in(read(Call(**{**call.__dict__, "body": body[: body.index(b"34,")]})))
    assert (half["text"], half["usage"][:2]) == ("Hi", (None, None))


@given(VALUES, st.integers(0, 200))
def test_any_cut_json_is_read_or_left(value: Any, place: int) -> None:
    text = json.dumps(value).encode()
    loads_cut(text[:place])
    if isinstance(value, (dict, list)) and "NaN" not in str(text) and "Infinity" not in str(text):
        assert dumps(loads_cut(text)) == dumps(loads(text))


def test_many_blocks_share_one_budget() -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    for index in range(50):
        block = {"type": "web_search_tool_result", "content": [{"url": "https://x", "text": "page " * 200}]}
        events.append(("content_block_start", {"index": 2 * index, "content_block": block}))
        events.append(("content_block_start", {"index": 2 * index + 1, "content_block": {"type": "text", "text": ""}}))
        delta = {"type": "text_delta", "text": "word " * 200}
        events.append(("content_block_delta", {"index": 2 * index + 1, "delta": delta}))
    events.append(("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}))
    call = Call("x", "anthropic", "/v1/messages", {"model": "m", "stream": True}, named(*events))
    record = read(call, limits=Limits(attribute_bytes=10_000))
    assert len(json.dumps(record.reading.output_messages)) < 30_000
    assert len(record.reading.output_messages[0]["parts"]) == 100
    assert record.truncated == {"response"}
    assert found_in(record)["usage"][1] == 7


def test_a_long_request_is_held_compressed_and_comes_back_whole() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": f"{place} Grüße " * 500} for place in range(20)]}
    call = Call("x", "openai", "/v1/chat/completions", asked, b"")
    reader = CallReader(start_of(call))
    reader.request_chunk(json.dumps(asked).encode())
    reader.request_end()
    assert reader._api is not None
    assert reader._api.reading.input_messages == []
    record = reader.end(CallEnd("complete", START_NS))
    assert [said["parts"][0]["content"] for said in record.reading.input_messages] == [
        said["content"] for said in asked["messages"]
    ]
    assert record.reading.request_model == "m"


# Squeezing --------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
        lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
        max_leaves=60,
    ),
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.booleans(),
)
def test_squeezed_json_stays_json_with_its_structure(value: Any, steps: list[int], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2).encode()
    squeezer = Squeezer(10_000_000)
    position = turn = 0
    while position < len(text):
        step = steps[turn % len(steps)]
        squeezer.feed(text[position : position + step])
        position, turn = position + step, turn + 1
    whole = Squeezer(10_000_000)
    whole.feed(text)
    assert whole.text() == squeezer.text()
    found = json.loads(squeezer.text())
    if not squeezer.cut:
        assert found == value


def test_long_strings_are_cut_at_whole_characters() -> None:
    for text in ("ä" * 30_000, "\\u00e4" * 10_000, "\\n\\\\" * 20_000, "🦆" * 9_000):
        for step in (1, 7, 100_000):
            body = b'{"a":"' + text.encode() + b'","b":[1,2]}'
            squeezer = Squeezer(1_000_000)
            for start in range(0, len(body), step):
                squeezer.feed(body[start : start + step])
            found = json.loads(squeezer.text())
            assert found["b"] == [1, 2]
            assert found["a"].endswith("…[cut]")
            assert len(squeezer.text()) < 17_000


def test_what_is_all_structure_is_given_up() -> None:
    gather = Gather(1000)
    for _ in range(1000):
        gather.add(b'{"a":[')
    assert gather.cut
    assert gather.take() is MISSING


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_json_text_goes_both_ways(value: Any) -> None:
    found = loads(dumps(value))
    assert found is not MISSING
    assert dumps(found) == dumps(loads(dumps(found)))
