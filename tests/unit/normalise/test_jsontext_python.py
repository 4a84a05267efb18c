"""What Python shows of its objects, read back; cut ones up to the cut; nothing is ever run."""

from __future__ import annotations

import ast
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse_server.normalise import jsontext
from tests.steps import growth, steps

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
CONTAINERS = st.lists(LITERALS, max_size=4) | st.dictionaries(st.text(max_size=6), LITERALS, max_size=4)


def as_json(value: Any) -> Any:
    """Return a value with tuples as arrays."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, (list, tuple)) else value


@given(CONTAINERS)
def test_reads_back_what_python_shows(value: Any) -> None:
    assert jsontext.parse_python(repr(value)) == (as_json(value), False)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_numbers_are_read_as_python_reads_them(numbers: list[Any]) -> None:
    """To the last digit, and as what they are: neither a float for a whole number nor a zero without its sign."""
    told = [number if type(number) is float or -(2**63) <= number < 2**64 else str(number) for number in numbers]
    assert repr(jsontext.load_python(repr({"a": None, "n": numbers}))) == repr({"a": None, "n": told})


@pytest.mark.parametrize("number", ["-0", "-0.0", "1e-05", "-1e-05", "0.0012345678901234567", "123456789012345678901"])
def test_odd_numbers(number: str) -> None:
    expected = ast.literal_eval(number)
    told = expected if abs(expected) < 2**64 else number
    assert repr(jsontext.load_python(f"{{'a': None, 'n': {number}}}")) == repr({"a": None, "n": told})


@given(CONTAINERS, st.data())
def test_a_cut_text_never_fails_and_is_marked(value: Any, data: st.DataObject) -> None:
    text = repr(value)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    read, truncated = jsontext.parse_python(cut)
    orjson.dumps(read)
    assert truncated == (not isinstance(read, str))
    if isinstance(value, dict) and isinstance(read, dict):
        assert len(read) <= len(value)
        assert list(read)[:-1] == list(value)[: max(len(read) - 1, 0)]


@given(st.text())
def test_any_text(text: str) -> None:
    read, truncated = jsontext.parse_python(text)
    orjson.dumps(read)
    assert read == text or truncated or not isinstance(read, str)


@pytest.mark.parametrize(
    ("text", "value", "truncated"),
    [
        ("{'a': None, 'b': [1, (2, 'x')]}", {"a": None, "b": [1, [2, "x"]]}, False),
        ("{'a': 1, 'b", {"a": 1}, True),
        ("{'a': 'tex", {"a": "tex"}, True),
        ("[{'a': 'b'}, {'c", [{"a": "b"}, {}], True),
        ('{"a": 1, "b', {"a": 1}, True),
        ('{"a": true}', {"a": True}, False),
        ("{'a': 18446744073709551616}", {"a": "18446744073709551616"}, False),
        ("{'a': 1e999}", {"a": "inf"}, False),
        ("{1: {2}}", {"1": [2]}, False),
        ("{'when': datetime.datetime(2026, 1, 1)}", "{'when': datetime.datetime(2026, 1, 1)}", False),
        ("__import__('os').system('true')", "__import__('os').system('true')", False),
        ("[__import__('os')]", "[__import__('os')]", False),
        ("{name} is missing", "{name} is missing", False),
        ("[INST] hello", "[INST] hello", False),
        ("plain", "plain", False),
    ],
)
def test_examples(text: str, value: Any, truncated: bool) -> None:
    assert jsontext.parse_python(text) == (value, truncated)


def test_deep_and_long_texts_are_bounded() -> None:
    for text in ("[" * 200_000, "{'a':" * 50_000, "[1," + "1," * 500_000, "-" * 200_000, "[" + "-" * 200_000 + "1]"):
        orjson.dumps(jsontext.load_python(text))
    for piece in ("[", "{'a':"):  # read no further than the depth that is allowed
        few, many = (steps(lambda text=piece * count: jsontext.load_python(text)) for count in (1_000, 20_000))
        assert abs(few - many) < 100
    assert growth(lambda size: lambda: jsontext.load_python("['a'," + "'a'," * size), 500, 4000) < 1.2
    too_long = "['a'," + "'a'," * (jsontext.MAX_PYTHON_CHARACTERS // 4)
    assert steps(lambda: jsontext.load_python(too_long)) < 100
