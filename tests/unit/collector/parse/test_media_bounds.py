"""How much of media a proxied call's span carries, and that the server makes blobs of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from spanhouse_collector.parse.content import Trim, blob_part
from spanhouse_collector.parse.contract import Limits
from tests.samples_media import address, b64, png, uri
from tests.unit.collector.parse.calls import Call, read, whole
from tests.unit.collector.parse.stored import stored
from tests.unit.collector.parse.test_documents import ask

IMAGE = png()
ANSWER = {"id": "c", "model": "gpt-4o", "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}]}


def asked(*urls: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "Look"}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}


def test_an_image_in_a_call_becomes_a_blob() -> None:
    (span,) = stored(ask("openai", "/v1/chat/completions", asked(address(IMAGE)), ANSWER))
    words, image = span.input_messages[0]["parts"]
    assert words == {"type": "text", "content": "Look"}
    assert (image["type"], image["uri"], image["mime_type"]) == ("uri", uri(IMAGE), "image/png")
    assert image["size_bytes"] == len(IMAGE)
    assert [base64.b64decode(blob.data) for blob in span.blobs] == [IMAGE]
    assert not span.truncated


def test_media_do_not_push_words_out() -> None:
    large = png(900, 700)
    assert len(large) > 1_800_000
    body = asked(address(large)) | {"user": "u"}
    body["messages"][0]["content"][0]["text"] = "word " * 20_000
    (span,) = stored(ask("openai", "/v1/chat/completions", body, ANSWER))
    words, image = span.input_messages[0]["parts"]
    assert words["content"] == "word " * 20_000
    assert image["size_bytes"] == len(large) == span.blobs[0].size_bytes
    assert not span.truncated


def test_what_does_not_fit_is_named() -> None:
    trim = Trim(Limits(media_bytes=10_000))
    parts = [blob_part("image", "image/png", b64(png(seed=seed))) for seed in range(3)]
    kept = trim.value(parts)
    assert [bool(part["content"]) for part in kept] == [True, False, False]
    assert [part["size_bytes"] for part in kept] == [len(png(seed=seed)) for seed in range(3)]
    assert trim.media_bytes == len(b64(png(seed=0)))
    assert not trim.cut


@pytest.mark.parametrize("data", ["no base64 at all", "AAAA\nAAAA", "é" * 100, "A" * 20_000 + "…[cut]"])
def test_only_base64_is_kept_as_media(data: str) -> None:
    assert Trim(Limits()).value(blob_part("image", "image/png", data))["content"] == ""


def test_a_body_too_large_to_hold_names_its_image() -> None:
    huge = b64(bytes(range(256)) * 20_000)
    assert len(huge) > Limits().buffer_bytes
    (span,) = stored(ask("openai", "/v1/chat/completions", asked(f"data:image/png;base64,{huge}"), ANSWER))
    _, image = span.input_messages[0]["parts"]
    assert (image["type"], image["content"], image["mime_type"]) == ("blob", "", "image/png")
    assert span.blobs == []


def test_pictures_of_a_stream_have_a_bound_together_and_leave_room_for_words() -> None:
    def event(part: dict[str, Any]) -> str:
        return "data: " + json.dumps({"candidates": [{"content": {"role": "model", "parts": [part]}}]}) + "\r\n\r\n"

    picture = {"inlineData": {"mimeType": "image/png", "data": b64(png(700, 500))}}
    events = [event(picture) for _ in range(5)] + [event({"text": "word " * 1000}) for _ in range(40)]
    path = "/v1beta/models/gemini-3:streamGenerateContent"
    call = Call("stream", "gemini", path, {"contents": []}, "".join(events).encode(), query="alt=sse")
    record = read(call, whole)
    parts = record.reading.output_messages[0]["parts"]
    pictures = [part for part in parts if part["type"] == "blob"]
    assert [bool(part["content"]) for part in pictures] == [True] * 2 + [False] * 3
    assert {part["size_bytes"] for part in pictures} == {len(png(700, 500))}
    assert sum(len(part["content"]) for part in pictures) <= Limits().media_bytes
    words = "".join(part["content"] for part in parts if part["type"] == "text")
    assert words == "word " * 40_000
    (span,) = stored(record)
    assert len(span.blobs) == 2
