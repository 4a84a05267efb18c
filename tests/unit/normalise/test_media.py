"""Media leave the record they came in, whatever its shape, and nothing else does."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.model.blob import Blob, read_reference
from spanhouse_server.model.raw import RawEvent
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.langfuse_media import hash_start, media_id
from spanhouse_server.normalise.media import MIN_RUN, lift, may_hold_media
from spanhouse_server.normalise.redact import redact_text
from tests.samples_media import address, b64, mp3, pdf, png, uri, wav
from tests.unit.normalise.make import log, raw_span

PNG, WAV, MP3, PDF = png(), wav(), mp3(), pdf()
PCM = bytes(range(1, 256)) * 8


def chat(*messages: Any) -> dict[str, Any]:
    return {"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(messages)}


def said(content: Any) -> dict[str, Any]:
    return chat({"role": "user", "content": content if isinstance(content, list) else [content]})


def ogg() -> bytes:
    return b"OggS\0\x02" + b"\0" * 22 + b"\x01vorbis" + b"\x07" * 1500


def isom(brand: bytes) -> bytes:
    return b"\0\0\0\x20ftyp" + brand + b"\x11" * 1500


SHAPES: list[tuple[str, Any, bytes, str, str]] = [
    ("openai chat", {"type": "image_url", "image_url": {"url": address(PNG)}}, PNG, "image", "image/png"),
    ("openai responses", {"type": "input_image", "image_url": address(PNG)}, PNG, "image", "image/png"),
    ("openai sound", {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}}, WAV, "audio", "audio/wav"),
    ("openai raw sound", {"type": "input_audio", "input_audio": {"data": b64(PCM), "format": "pcm16"}}, PCM, "audio", "audio/pcm16"),
    ("openai file", {"type": "file", "file": {"filename": "a.pdf", "file_data": address(PDF, "application/pdf")}}, PDF, "document", "application/pdf"),
    ("openai drawn", {"type": "image_generation_call", "id": "ig", "result": b64(PNG)}, PNG, "image", "image/png"),
    ("anthropic", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}}, PNG, "image", "image/png"),
    ("anthropic file", {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)}}, PDF, "document", "application/pdf"),
    ("gemini", {"inline_data": {"mime_type": "image/png", "data": b64(PNG)}}, PNG, "image", "image/png"),
    ("gemini js", {"inlineData": {"mimeType": "audio/pcm", "data": b64(PCM)}}, PCM, "audio", "audio/pcm"),
    ("otel", {"type": "blob", "modality": "image", "mime_type": "image/png", "content": b64(PNG)}, PNG, "image", "image/png"),
    ("otel untyped", {"type": "blob", "modality": "audio", "content": b64(PCM)}, PCM, "audio", ""),
    ("otel uri", {"type": "uri", "modality": "image", "uri": address(PNG)}, PNG, "image", "image/png"),
    ("pydantic-ai", {"type": "binary", "media_type": "image/png", "content": b64(PNG)}, PNG, "image", "image/png"),
    ("vercel", {"type": "file", "mediaType": "audio/mpeg", "data": b64(MP3)}, MP3, "audio", "audio/mpeg"),
    ("langchain", {"type": "image", "source_type": "base64", "data": b64(PNG), "mime_type": "image/png"}, PNG, "image", "image/png"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "data", "modality", "kind"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_media_of_every_shape_become_references(item: Any, data: bytes, modality: str, kind: str) -> None:
    raw = raw_span(said(item))
    span = normalise(raw)
    (part,) = span.input_messages[0]["parts"]
    assert part.get("mime_type", "") == kind
    assert {key: value for key, value in part.items() if key != "mime_type"} == {
        "type": "uri",
        "modality": modality,
        "uri": uri(data),
        "size_bytes": len(data),
    }
    (blob,) = span.blobs
    assert (blob.hash, blob.size_bytes, base64.b64decode(blob.data)) == (sha256(data).hexdigest(), len(data), data)
    assert b64(data) not in json.dumps(span.raw.attributes)
    again = normalise(span.raw)
    assert (again.input_messages, again.raw, again.blobs) == (span.input_messages, span.raw, [])
    assert not span.truncated


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\1" * 1500 + b"\xff\xd9", "image/jpeg"),
        (b"GIF89a" + b"\1" * 1500 + b";", "image/gif"),
        (b"RIFF\xe0\5\0\0WEBP" + b"\1" * 1500, "image/webp"),
        (isom(b"avif"), "image/avif"),
        (isom(b"heic"), "image/heic"),
        (isom(b"M4A "), "audio/mp4"),
        (isom(b"isom"), "video/mp4"),
        (WAV, "audio/wav"),
        (MP3, "audio/mpeg"),
        (b"ID3\4" + b"\1" * 1500, "audio/mpeg"),
        (ogg(), "audio/ogg"),
        (b"fLaC" + b"\1" * 1500, "audio/flac"),
        (b"\x1aE\xdf\xa3\x42\x82\x84webm" + b"\1" * 1500, "video/webm"),
        (b"\x1aE\xdf\xa3\x42\x82\x88matroska" + b"\1" * 1500, "video/x-matroska"),
        (PDF, "application/pdf"),
    ],
)
def test_bytes_tell_what_they_are_where_nobody_says_so(data: bytes, kind: str) -> None:
    blobs: list[Blob] = []
    lifted = lift({"images": [b64(data)]}, blobs)
    assert [blob.media_type for blob in blobs] == [kind]
    reference = read_reference(lifted["images"][0])
    assert reference is not None
    assert (reference.uri, reference.size_bytes, reference.media_type) == (uri(data), len(data), kind)
    assert not reference.truncated


@pytest.mark.parametrize(
    ("said_kind", "data", "kind"),
    [
        ("image/png", PDF, "application/pdf"),
        ("image/png", PCM, "application/octet-stream"),
        ("image/svg+xml", b"<svg>" + b" " * 2000, "image/svg+xml"),
        ("text/plain", b"words\n" * 300, "text/plain"),
        ("text/plain", PCM, "application/octet-stream"),
        ("text/html", b"<script>" * 300, "text/html"),
        ("audio/webm", b"\x1aE\xdf\xa3\x42\x82\x84webm" + b"\1" * 1500, "audio/webm"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\3\4" + b"\1" * 1500,
         "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("not a type", PNG, "image/png"),
        ("", PCM, ""),
    ],
)  # fmt: skip
def test_what_a_sender_says_is_held_against_the_bytes(said_kind: str, data: bytes, kind: str) -> None:
    blobs: list[Blob] = []
    lift(address(data, said_kind), blobs)
    assert [blob.media_type for blob in blobs] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5000,
        "0123456789abcdef" * 400,
        b64(PCM),
        json.dumps({"embedding": b64(PCM)}),
        json.dumps({"mime_type": "text/plain", "content": "A" * 4000}),
        json.dumps({"format": "text", "content": "A" * 4000}),
        "/".join(["segment"] * 400),
        json.dumps({"inline_data": {"mime_type": "image/png", "data": "AAAA"}, "thought_signature": b64(PCM)}),
        json.dumps({"mime_type": "image/png", "data": "AAAA", "thoughtSignature": b64(PCM)}),
        "data:image/png;base64," + b64(PNG)[:1300],
        "data:image/png;base64," + "A" * 4001 + "*",
        json.dumps({"type": "image", "source": {"type": "base64", "data": "A" * 1401}}),
        "语" * 4000,
        "",
    ],
)
def test_what_only_looks_like_media_stays(text: str) -> None:
    blobs: list[Blob] = []
    assert lift(text, blobs) is text
    assert blobs == []


def test_small_media_stay_in_the_record() -> None:
    small = PNG[: MIN_RUN * 3 // 4 - 3]
    span = normalise(raw_span(said({"type": "image_url", "image_url": {"url": address(small)}})))
    (part,) = span.input_messages[0]["parts"]
    assert part == {"type": "blob", "modality": "image", "mime_type": "image/png", "content": b64(small)}
    assert span.blobs == []


def test_url_safe_escaped_and_unpadded_base64_is_the_same_blob() -> None:
    data = PNG + b"\xfb\xff\xfe" * 9 + b"IEND\xaeB`\x82"
    plain = b64(data)
    ways = [
        plain,
        plain.replace("+", "-").replace("/", "_"),
        plain.rstrip("="),
        plain.replace("/", "\\/"),
        plain.replace("+", "\\u002B").replace("=", "\\u003D"),
        plain.replace("/", "\\\\\\/"),
    ]
    found: list[Blob] = []
    for way in ways:
        lifted = lift(f'{{"media_type":"image/png","data":"{way}"}}', found)
        assert json.loads(lifted)["data"].startswith(uri(data))
    assert {blob.hash for blob in found} == {sha256(data).hexdigest()}
    assert len(found) == len(ways)


@pytest.mark.parametrize("before", ["\\n", "\\u0022", "\\\\u0022", "\\t", " ", "base64:", "(", "'"])
def test_an_escape_before_it_is_no_part_of_it(before: str) -> None:
    blobs: list[Blob] = []
    assert lift(f"an image{before}{b64(PNG)}", blobs).startswith(f"an image{before}{uri(PNG)}?")
    assert [blob.hash for blob in blobs] == [sha256(PNG).hexdigest()]


def test_what_stands_beside_media_in_plain_values_stays() -> None:
    blobs: list[Blob] = []
    value = {"mime_type": "audio/pcm", "data": b64(PCM), "signature": b64(PCM[::-1])}
    assert lift(value, blobs)["signature"] == value["signature"]
    assert [base64.b64decode(blob.data) for blob in blobs] == [PCM]


def test_one_image_in_many_turns_is_one_hash() -> None:
    turns = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": address(PNG)}}]}] * 50
    span = normalise(raw_span(chat(*turns)))
    assert {part["uri"] for message in span.input_messages for part in message["parts"]} == {uri(PNG)}
    assert {blob.hash for blob in span.blobs} == {sha256(PNG).hexdigest()}


@pytest.mark.parametrize("kept", [1500, 2001, 2002, 2003, 4000])
def test_a_cut_image_is_kept_as_far_as_it_came_and_marked(kept: int) -> None:
    text = said({"type": "image_url", "image_url": {"url": address(PNG)}})["gen_ai.input.messages"][:kept]
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": text}))
    (part,) = span.input_messages[0]["parts"]
    (blob,) = span.blobs
    assert part["truncated"] is True
    assert span.truncated
    assert part["uri"].endswith(blob.hash)
    assert PNG.startswith(base64.b64decode(blob.data))
    assert kept * 3 // 4 - 120 <= part["size_bytes"] == blob.size_bytes <= kept * 3 // 4
    assert normalise(span.raw).input_messages == span.input_messages


@pytest.mark.parametrize(
    ("kept", "mark"), [(2000, ""), (2001, ""), (2002, ""), (2003, ""), (2000, "..."), (2000, "…[cut]")]
)
def test_a_cut_address_alone_is_marked(kept: int, mark: str) -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "image",
        "llm.input_messages.0.message.contents.0.message_content.image.image.url": address(PNG)[:kept] + mark,
    }
    (part,) = normalise(raw_span(attributes)).input_messages[0]["parts"]
    assert (part["type"], part["truncated"]) == ("uri", True)


def test_events_and_log_records_hand_over_their_media() -> None:
    body = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": address(PNG)}}]}
    record = log("gen_ai.user.message", body, attributes={"gen_ai.system": "openai"})
    event = RawEvent("gen_ai.content.prompt", 1, {"gen_ai.prompt": json.dumps([body])})
    span = normalise(raw_span({"gen_ai.operation.name": "chat"}, events=[event]), [record])
    assert {blob.hash for blob in span.blobs} == {sha256(PNG).hexdigest()}
    assert uri(PNG) in span.raw.events[0].attributes["gen_ai.prompt"]
    assert span.input_messages[0]["parts"][0]["uri"] == uri(PNG)
    assert record.body["content"][0]["image_url"]["url"] == address(PNG)


def test_secrets_are_no_media() -> None:
    attributes = {
        "app.private_key": address(PNG),
        "config": {"client_secret": b64(PNG)},
        "body": json.dumps({"password": b64(PNG), "note": "a"}),
    }
    span = normalise(raw_span(attributes))
    assert span.blobs == []
    assert span.raw.attributes["app.private_key"] == "[redacted]"
    assert b64(PNG)[:100] not in json.dumps(span.raw.attributes)


def test_base64_is_not_searched_for_secrets() -> None:
    # This image's base64 has the form of a Google key in it, between slashes.
    data = PNG[:1200] + base64.b64decode("//+AIza" + "a" * 35 + "+/") + PNG[1200:]
    assert redact_text(b64(data)) != b64(data)
    span = normalise(raw_span(said({"type": "image_url", "image_url": {"url": address(data)}})))
    assert [base64.b64decode(blob.data) for blob in span.blobs] == [data]


def test_previews_and_search_hold_no_base64() -> None:
    answer = json.dumps([{"type": "image", "data": b64(PNG), "mimeType": "image/png"}])
    span = normalise(
        raw_span(
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "draw", "gen_ai.tool.call.result": answer}
        )
    )
    assert span.category == "tool"
    assert b64(PNG)[:50] not in span.text + span.output_preview
    assert "[image/png" in span.output_preview
    asked = normalise(raw_span(said({"type": "image_url", "image_url": {"url": address(PNG)}})))
    assert asked.input_preview == "[image]"


def test_a_langfuse_token_refers_to_the_upload() -> None:
    digest = sha256(PNG).hexdigest()
    token = f"@@@langfuseMedia:type=image/png|id={media_id(digest)}|source=base64_data_uri@@@"
    assert digest.startswith(hash_start(media_id(digest)))
    span = normalise(raw_span(said({"type": "image_url", "image_url": {"url": token}})))
    (part,) = span.input_messages[0]["parts"]
    assert uri(PNG).startswith(part["uri"])
    assert (part["type"], part["modality"], part["mime_type"]) == ("uri", "image", "image/png")


RUNS = st.binary(min_size=1100, max_size=3000).map(b64)
PLAIN = st.text(max_size=200)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(RUNS, PLAIN, st.just(address(PNG)), st.just(b64(WAV))), max_size=6),
    st.sampled_from(["", " ", '"', ",", "\\", "语"]),
)
def test_any_text_keeps_its_media_and_its_rest(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    blobs: list[Blob] = []
    lifted = lift(text, blobs)
    assert bool(blobs) == (lifted is not text)
    assert not blobs or may_hold_media(text)
    again: list[Blob] = []
    assert lift(lifted, again) is lifted
    assert again == []
    for blob in blobs:
        data = base64.b64decode(blob.data)
        assert (blob.hash, blob.size_bytes) == (sha256(data).hexdigest(), len(data))
        assert f"{blob.hash}?size_bytes={blob.size_bytes}" in lifted


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), PLAIN, RUNS, st.just(address(PNG))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "data", "mime_type", "format", "token", "url"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def test_what_begins_like_a_type_and_goes_on_is_none() -> None:
    run = "A" * 1467 + "="
    value = [{"format": run, "type": run, "mime_type": "A" * 51 + "/" + "A" * 58 + "/" + "A" * 1356 + "="}]
    span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps(value)}))
    assert span.blobs == []
    assert normalise(span.raw).raw == span.raw


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_value_is_read_the_same_twice(value: Any) -> None:
    span = normalise(
        raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": json.dumps([value]), "other": value})
    )
    assert "unmapped" not in span.raw.flags
    again = normalise(span.raw)
    assert again.input_messages == span.input_messages
    assert again.raw.attributes == span.raw.attributes
    assert again.blobs == []
