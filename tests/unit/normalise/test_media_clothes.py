"""Media in odd clothes: base64 in lines, and bytes as Python shows them, in any layer of JSON."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spanhouse_server.model.blob import REFERENCE, Blob, read_reference
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.media import MIN_RUN, lift, may_hold_media
from spanhouse_server.normalise.python_bytes import MIN_LITERAL, literals
from tests.samples_media import b64, mp3, pdf, png, uri, wav
from tests.steps import growth
from tests.unit.normalise.make import raw_span

PNG, WAV, PDF = png(), wav(), pdf()
JPEG = b"\xff\xd8\xff\xe0" + PNG[50:3000] + b"\xff\xd9"
NOISE = PNG[41:-16]
SECRET = PNG.replace(b"'", b"")
QUOTES = PNG[:60] + b"'\"\\\\x41'" * 40 + PNG[60:]
SINGLE = PNG[:60] + b"'" * 40 + PNG[60:].replace(b'"', b".")


def lines_of(data: bytes, width: int = 76, end: str = "\n") -> str:
    text = b64(data)
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def jsoned(text: str, layers: int) -> str:
    """Return text as it stands in a JSON string, in one of those, and so on: without the outermost quotes."""
    for _ in range(layers):
        text = json.dumps(text)[1:-1]
    return text


def lifted(value: Any) -> tuple[Any, list[bytes]]:
    blobs: list[Blob] = []
    result = lift(value, blobs)
    for blob in blobs:
        data = base64.b64decode(blob.data, validate=True)
        assert (blob.hash, blob.size_bytes) == (sha256(data).hexdigest(), len(data))
    assert lift(result, []) == result
    return result, [base64.b64decode(blob.data) for blob in blobs]


# Base64 in lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [60, 64, 72, 76])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_base64_in_lines_is_one_blob(layers: int, width: int, end: str) -> None:
    for last in ("", end):
        block = jsoned(lines_of(PNG, width, end) + last, layers)
        text, found = lifted(f'before "{block}" behind')
        assert found == [PNG]
        reference = text.removeprefix('before "').removesuffix('" behind')
        assert read_reference(reference) == (uri(PNG), len(PNG), "image/png", False)


@pytest.mark.parametrize("cut", range(80))
def test_every_length_of_the_last_line_comes_back(cut: int) -> None:
    data = PNG[: len(PNG) - 200] + b"\0" * cut + PNG[-12:]
    assert lifted(lines_of(data))[1] == [data]
    assert lifted(json.dumps({"mime_type": "image/png", "data": base64.encodebytes(data).decode()}))[1] == [data]
    assert lifted({"data": base64.encodebytes(data).decode(), "media_type": "image/png"})[1] == [data]


def test_lines_in_an_address_and_behind_words() -> None:
    text, found = lifted(f"Here it is:\n\ndata:image/png;base64,{lines_of(PNG)}\n\nand that was it, it was.")
    assert found == [PNG]
    assert text.startswith(f"Here it is:\n\ndata:image/png;base64,{uri(PNG)}?")
    assert text.endswith("\n\nand that was it, it was.")
    escaped, found = lifted(jsoned(f"Here it is:\n{lines_of(PNG)}\n\nand that was it.", 1))
    assert found == [PNG]
    assert escaped.startswith(f"Here it is:\\n{uri(PNG)}?")


@pytest.mark.parametrize("kept", [2000, 2001, 2002, 2003, 2017, 2018, 2019, 2020, 2021, 2022])
@pytest.mark.parametrize("layers", [0, 1])
def test_lines_that_were_cut_are_marked(kept: int, layers: int) -> None:
    text = f'[{{"type": "image", "media_type": "image/png", "data": "{jsoned(lines_of(PNG), layers)}'[:kept]
    result, (data,) = lifted(text)
    assert PNG.startswith(data)
    assert len(data) > kept * 0.7 - 100
    reference = read_reference(result[result.index("spanhouse-blob") :])
    assert reference is not None
    assert reference.truncated


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([sha256(bytes([n])).hexdigest() for n in range(200)]),
        "-----BEGIN CERTIFICATE-----\n" + lines_of(NOISE, 64) + "\n-----END CERTIFICATE-----",
        "\n".join(["/usr/lib/python3/dist-packages/some/module/with/a/long/path/to/it"] * 100),
        lines_of(NOISE),
        "\\n".join(["word" * 19] * 100),
        "\n" * 5000,
        "\\n" * 5000,
    ],
)
def test_lines_that_only_look_like_media_stay(text: str) -> None:
    blobs: list[Blob] = []
    assert lift(text, blobs) is text
    assert blobs == []


# Bytes as Python shows them -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [PNG, WAV, JPEG, QUOTES, SINGLE, mp3() + NOISE[:900]], ids=["png", "wav", "jpeg", "quotes", "single", "mp3"]
)
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_shown_bytes_are_one_blob(data: bytes, layers: int) -> None:
    shown = jsoned(f"Image(data={data!r}, n=1)", layers)
    text, found = lifted(shown)
    assert found == [data]
    quote = jsoned(repr(data)[1], layers)
    assert text.startswith(f"Image(data={quote}{uri(data)}?")
    assert text.endswith(f"{quote}, n=1)")


def test_shown_bytes_alone_are_a_reference_alone() -> None:
    for value in (repr(PNG), str(SINGLE), repr(bytearray(PNG))[10:-1]):
        text, (data,) = lifted(value)
        reference = read_reference(text)
        assert reference is not None
        assert reference.uri == uri(data)
    document, _ = lifted(json.dumps({"image": repr(PNG), "quoted": repr(SINGLE), "deep": json.dumps({"a": repr(PNG)})}))
    read = json.loads(document)
    assert [read_reference(read["image"]).uri, read_reference(read["quoted"]).uri] == [uri(PNG), uri(SINGLE)]  # type: ignore[union-attr]
    assert json.loads(read["deep"])["a"].startswith(uri(PNG))


def test_a_line_break_may_stand_before_shown_bytes() -> None:
    assert lifted(jsoned(f"drawn:\n{PNG!r}", 1))[1] == [PNG]
    assert lifted(f"drawn:\n{PNG!r}")[1] == [PNG]
    assert lifted(f"a webb{repr(PNG)[1:]}")[1] == []


def test_a_python_dict_with_bytes_is_read_as_a_message() -> None:
    content = [{"type": "text", "text": "What is it?"}, {"inline_data": {"data": PNG, "mime_type": "image/png"}}]
    span = normalise(
        raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": str([{"role": "user", "parts": content}])})
    )
    assert {blob.hash for blob in span.blobs} == {sha256(PNG).hexdigest()}
    assert "\\x" not in json.dumps(span.raw.attributes) + span.text + span.input_preview
    again = normalise(span.raw)
    assert (again.input_messages, again.raw, again.blobs) == (span.input_messages, span.raw, [])


def test_bytes_that_show_nothing_need_a_name() -> None:
    pcm = bytes(range(256)) * 12
    assert lifted(f"Blob(data={pcm!r}, mime_type='audio/pcm')")[1] == [pcm]
    assert lifted(f"{{'mime_type': 'audio/pcm', 'data': {pcm!r}}}")[1] == [pcm]
    assert lifted(f"Pickle(data={pcm!r})")[1] == []
    assert lifted(f"{{'thought_signature': {pcm!r}, 'mime_type': 'audio/pcm'}}")[1] == []


def test_shown_bytes_of_secrets_are_not_kept() -> None:
    span = normalise(raw_span({"args": f"{{'private_key': {SECRET!r}, 'a': 1}}", "api_key": repr(PNG)}))
    assert span.blobs == []
    assert span.raw.attributes["api_key"] == "[redacted]"
    assert "IHDR" not in json.dumps(span.raw.attributes)


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("end", ["", "...", "...<truncated 400 chars>", "[truncated]", "…", "\n… 400 more"])
def test_shown_bytes_that_were_cut_are_kept_as_far_as_they_came(end: str, layers: int) -> None:
    for kept in range(4000, 4012):
        check_cut(jsoned(f"{{'a': {PNG!r}", layers)[:kept] + end)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_shown_bytes_that_were_cut_before_they_went_into_json(layers: int) -> None:
    for kept in range(4000, 4012):
        for value in (f"{{'a': {PNG!r}", repr(PNG), f"{{'a': {PNG!r}"[:kept] + "...', 'b': 1}"):
            text: Any = value[:kept] if not value.endswith("}") else value
            for _ in range(layers):
                text = json.dumps([{"text": text}])
            result = check_cut(text)
            for _ in range(layers):
                result = json.loads(result)[0]["text"]
            assert "\\x" not in result


def check_cut(text: str) -> str:
    """Return a text with a reference to what came of the image, marked as cut."""
    result, (data,) = lifted(text)
    assert PNG.startswith(data)
    assert len(data) > 800
    found = REFERENCE.search(result)
    assert found is not None
    assert found["cut"]
    return result


@given(st.binary(max_size=3000), st.integers(0, 3), st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=150, deadline=None)
@example(b"\\x41" * 300, 1, "", "")
@example(b"'\\\"" * 300, 2, "b'", '"')
def test_any_bytes_that_are_lifted_are_those_that_were_shown(
    data: bytes, layers: int, before: str, behind: str
) -> None:
    data = b"\x89PNG\r\n\x1a\n" + data
    shown = jsoned(f"({data!r})", layers)
    found = lifted(f"{before}{shown}{behind}")[1]
    if len(repr(data)) >= MIN_LITERAL + 3 and "b'" not in before and not before.endswith("b") and "\\x" not in before:
        assert found[:1] == [data]
    for each in found:
        assert each == data or "b'" in before + behind or 'b"' in before + behind


@given(st.text(alphabet="b'\"\\xa0nA=\n ", max_size=600), st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_any_text_of_odd_characters_is_read(text: str, times: int) -> None:
    whole = text * times
    blobs: list[Blob] = []
    result = lift(whole, blobs)
    assert bool(blobs) == (result is not whole)
    assert lift(result, []) is result
    assert list(literals(whole)) is not None


# Bytes as JavaScript writes them ---------------------------------------------------------------------


def buffer(data: bytes) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(data)}


def typed_array(data: bytes) -> dict[str, int]:
    return {str(number): value for number, value in enumerate(data)}


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_node_buffers_are_one_blob(layers: int, separators: tuple[str, str]) -> None:
    shown = json.dumps({"type": "image", "image": buffer(PNG)}, separators=separators)
    text, found = lifted(jsoned(shown, layers))
    assert found == [PNG]
    for _ in range(layers):
        text = json.loads(f'"{text}"')
    assert read_reference(json.loads(text)["image"]["data"]) == (uri(PNG), len(PNG), "image/png", False)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_typed_arrays_are_one_blob(layers: int) -> None:
    shown = json.dumps({"mediaType": "image/png", "data": typed_array(PNG)}, separators=(",", ":"))
    text, found = lifted(jsoned(shown, layers))
    assert found == [PNG]
    for _ in range(layers):
        text = json.loads(f'"{text}"')
    assert read_reference(json.loads(text)["data"]) == (uri(PNG), len(PNG), "image/png", False)


@pytest.mark.parametrize("shape", [buffer, typed_array])
def test_lists_of_bytes_become_parts(shape: Any) -> None:
    for item in (
        {"type": "image", "image": shape(PNG)},
        {"type": "file", "data": shape(PNG), "mediaType": "image/png"},
    ):
        content = json.dumps([{"role": "user", "content": [item]}], separators=(",", ":"))
        span = normalise(raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": content}))
        [part] = span.input_messages[0]["parts"]
        assert (part["type"], part["modality"], part["uri"], part["size_bytes"]) == ("uri", "image", uri(PNG), len(PNG))
        again = normalise(span.raw)
        assert (again.input_messages, again.raw, again.blobs) == (span.input_messages, span.raw, [])


@pytest.mark.parametrize("kept", range(4000, 4008))
def test_a_list_of_bytes_that_was_cut_is_marked(kept: int) -> None:
    check_cut(json.dumps([{"image": buffer(PNG)}], separators=(",", ":"))[:kept])


@pytest.mark.parametrize(
    "value",
    [
        {"embedding": [n % 256 for n in range(3000)]},
        {"type": "Buffer", "data": [256] * 3000},
        {"type": "Buffer", "data": [n % 251 for n in range(3000)]},
        {str(n): 7 for n in range(3000)},
        {"vector": [n / 7 for n in range(3000)]},
    ],
)
def test_other_numbers_stay(value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"))
    assert lift(text, []) is text


HOSTILE = {
    "openings": "b'",
    "escapes": "b'\\x41",
    "closed": "b'\\x41'",
    "double": 'b"\\x41',
    "backslashes": "\\",
    "backslashes and quotes": "b'\\x41" + "\\" * 7 + "'",
    "short lines": "A" * 60 + "\n",
    "escaped lines": "A" * 76 + "\\n",
    "long lines": "A" * 81 + "\n",
    "broken lines": "A" * 60 + "\n" + "A" * 10 + "=\n",
    "half breaks": "A" * 60 + "\\r",
    "one opening": "\\x41",
    "one opening with quotes": '\\x41"',
    "lines": "\n",
    "buffers": '{"type":"Buffer","data":[1,2,3]},',
    "a buffer": '{"type":"Buffer","data":[' + "1," * 2000,
    "backslashes before type": "\\" * 99 + '"type',
    "typed arrays": '{"0":1,"1":2,',
    "spaces": '"type"' + " " * 99,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_work_grows_with_the_text(name: str) -> None:
    head = "b'" if name.startswith("one opening") else ""

    def act(size: int) -> Any:
        text = head + HOSTILE[name] * (size // len(HOSTILE[name]))
        return lambda: (may_hold_media(text), lift(text, []))

    assert growth(act, 20_000, 320_000) < 1.5


@pytest.mark.parametrize("head", ["", repr(PNG)[:60]])
@pytest.mark.parametrize("name", HOSTILE)
def test_much_of_it_is_read_at_all(name: str, head: str) -> None:
    """Patterns run in C, where no step is counted: what is quadratic in them would not come to an end."""
    text = head + HOSTILE[name] * (500_000 // len(HOSTILE[name]))
    blobs: list[Blob] = []
    result = lift(text, blobs)
    assert bool(blobs) == (result is not text)
    assert lift(result, []) is result


def test_ordinary_text_is_not_looked_through() -> None:
    prose = "A sentence, with words; it's about b'x' and\n\"quotes\" in it. " * 400
    assert not may_hold_media(prose)
    assert MIN_LITERAL > MIN_RUN


def test_a_large_image_is_lifted_from_either() -> None:
    data = png(320, 320)
    assert lifted(json.dumps({"a": base64.encodebytes(data).decode()}))[1] == [data]
    assert lifted(json.dumps({"a": str({"data": data})}))[1] == [data]
