"""The extra usage event: asked for without the client's knowing, withheld from it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_collector.parse.include_usage import MAX_HELD_BYTES, UsageFrameFilter, ask_for_usage
from tests.unit.collector.parse.calls import bytewise, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CONTENT = {"choices": [{"index": 0, "delta": {"content": '"usage" and "choices": []'}}], "usage": None}
EXTRA = {"id": "c-1", "choices": [], "usage": USAGE}
#: Events that must pass: a filter's prompt results, usage beside a choice, errors, comments.
AZURE = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
MISTRAL = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}


def through(pieces: Any) -> tuple[bytes, int]:
    kept = UsageFrameFilter()
    out = b"".join(kept.feed(piece) for piece in pieces) + kept.finish()
    return out, kept.withheld


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("space", ["", " "])
def test_only_the_usage_event_is_missing(end: str, space: str) -> None:
    before = b": comment" + end.encode() * 2 + sse(AZURE, CONTENT, MISTRAL, end=end, space=space)
    extra = sse(EXTRA, end=end, space=space)
    after = sse("[DONE]", end=end, space=space)
    stream = before + extra + after
    for place in range(len(stream) + 1):
        assert through([stream[:place], stream[place:]]) == (before + after, 1), place
    assert through(bytewise(stream)) == (before + after, 1)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([sse(CONTENT), sse(MISTRAL, end="\r\n"), b": ping\n\n", b"\n", b"event: x\r\n\r\n"]),
            st.binary(max_size=30),
        ),
        max_size=12,
    ),
    st.sets(st.integers(0, 600), max_size=20),
)
def test_what_is_no_usage_event_passes_unchanged(pieces: list[bytes], cuts: set[int]) -> None:
    stream = b"".join(pieces)
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    split = [stream[start:stop] for start, stop in zip(places, places[1:], strict=False)]
    assert through(split) == (stream, 0)


def test_complete_events_are_not_kept_waiting() -> None:
    kept = UsageFrameFilter()
    assert kept.feed(sse(CONTENT)) == sse(CONTENT)
    assert kept.feed(sse(CONTENT) + b"data: {") == sse(CONTENT)


def test_a_long_event_is_let_go() -> None:
    kept = UsageFrameFilter()
    event = b'data: {"choices": [], "usage": {"a": "' + b"x" * MAX_HELD_BYTES
    assert kept.feed(event) == event
    assert kept.feed(b'"}}') == b'"}}'
    assert kept.feed(b"\n\n" + sse(EXTRA) + sse("[DONE]")) == b"\n\n" + sse("[DONE]")


def test_a_usage_event_without_its_end_is_withheld() -> None:
    assert through([sse(CONTENT), sse(EXTRA)[:-2]]) == (sse(CONTENT), 1)


REQUESTS = [
    ('{"model":"m","stream":true,"messages":[]}', {"include_usage": True}),
    (' \n{ "stream" : true , "n":1.50, "x": "\\u00e4 \\"}{" }', {"include_usage": True}),
    ('{"a":"stream_options","stream":true}', {"include_usage": True}),
    ('{"stream":true,"stream_options":null,"seed":12345678901234567890}', {"include_usage": True}),
    ('{"stream":true,"stream_options": {} ,"z":1}', {"include_usage": True}),
    ('{"stream_options":{"x":[1,{"y":2}]},"stream":true}', {"include_usage": True, "x": [1, {"y": 2}]}),
    ('{"stream_options":{"include_usage": null, "b":1},"stream":true}', {"include_usage": True, "b": 1}),
    ('{"m":{"stream_options":{"include_usage":false}},"stream":true}', {"include_usage": True}),
]


@pytest.mark.parametrize(("text", "options"), REQUESTS)
def test_request_asks_for_usage(text: str, options: dict[str, Any]) -> None:
    changed = ask_for_usage(text.encode())
    assert changed is not None
    found = json.loads(changed)
    assert found.pop("stream_options") == options
    before = json.loads(text)
    before.pop("stream_options", None)
    assert found == before
    if "stream_options" not in json.loads(text):
        assert changed.replace(b'"stream_options":{"include_usage":true},', b"") == text.encode()
    assert ask_for_usage(changed) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":false}',
        b'{"model":"m"}',
        b'{"stream":true,"stream_options":{"include_usage":false}}',
        b'{"stream":true,"stream_options":{"include_usage":true}}',
        b'{"stream":true,"stream_options":[]}',
        b'{"stream":true',
        b'[{"stream":true}]',
        b"\x28\xb5\x2f\xfd\x00",
        b"",
    ],
)
def test_request_is_left_alone(body: bytes) -> None:
    assert ask_for_usage(body) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=80))
def test_any_request_is_safe(body: bytes) -> None:
    assert ask_for_usage(body) is None or json.loads(ask_for_usage(body) or b"")["stream_options"]["include_usage"]
