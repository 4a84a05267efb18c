"""JSON in text: opened through layers, and read up to where it was cut."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.normalise import jsontext
from tests.steps import growth, steps

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
CONTAINERS = st.lists(JSON_VALUES, max_size=5) | st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=5)


@given(CONTAINERS, st.integers(0, 2))
def test_opens_layers_of_quoting(value: Any, layers: int) -> None:
    text = orjson.dumps(value).decode()
    for _ in range(layers):
        text = orjson.dumps(text).decode()
    assert jsontext.parse(text) == (orjson.loads(orjson.dumps(value)), False)


@given(st.text())
def test_any_text_comes_back_whole_or_as_what_it_spells(text: str) -> None:
    value, truncated = jsontext.parse(text)
    if isinstance(value, str):
        assert value == text
        assert not truncated
    orjson.dumps(value)


@given(CONTAINERS, st.data())
def test_a_cut_text_gives_the_beginning_of_the_value(value: Any, data: st.DataObject) -> None:
    text = orjson.dumps(value).decode()
    cut = data.draw(st.integers(1, len(text) - 1))
    read = jsontext.parse_prefix(text[:cut])
    assert read is not None
    assert is_beginning(read, orjson.loads(text))


def is_beginning(part: Any, whole: Any) -> bool:
    """Tell whether ``part`` is ``whole`` with something missing at the end."""
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and all(is_beginning(a, b) for a, b in zip(part, whole, strict=False))
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and is_beginning(part[key], whole[key]) for key in part)
    return part == whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('[{"role":"user","parts":[{"type":"text","content":"Tell me ab', [{"role": "user", "parts": [{"type": "text", "content": "Tell me ab"}]}]),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": 12', {}),
        ('["caf\\u00e', ["caf"]),
        ('["\\ud83d', [""]),
        ('["back\\\\', ["back\\"]),
        ('["back\\', ["back"]),
        ("[tru", []),
    ],
)  # fmt: skip
def test_cut_in_odd_places(text: str, value: Any) -> None:
    assert jsontext.parse(text) == (value, True)


@pytest.mark.parametrize(
    "text", ["[INST] hello", "{name} is missing", "{'a': 1}", "[1, 2]]", '{"a" 1', "[link](x)", '"quoted"']
)
def test_text_that_only_looks_like_json_stays_text(text: str) -> None:
    assert jsontext.parse(text) == (text, False)


def test_deep_and_long_prefixes_are_bounded() -> None:
    assert jsontext.load("[" * 1_000_000) == "[" * 1_000_000
    assert jsontext.load('[{"a":' * 100_000) == '[{"a":' * 100_000
    assert jsontext.parse("[1," + "1," * 300_000)[1]
    for piece in ("[", '[{"a":'):  # read no further than the depth that is allowed
        few, many = (steps(lambda text=piece * count: jsontext.load(text)) for count in (1_000, 20_000))
        assert abs(few - many) < 100
    assert growth(lambda size: lambda: jsontext.load("[1," + "1," * size), 500, 4000) < 1.2
    too_long = "[1," + "1," * (jsontext.MAX_PREFIX_CHARACTERS // 2)
    assert steps(lambda: jsontext.load(too_long)) < 100
