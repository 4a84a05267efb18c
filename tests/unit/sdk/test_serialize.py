"""Any value at all becomes bounded, valid JSON, and never an exception."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any

import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanhouse._serialize import MAX_CHARACTERS, arguments_to_json, to_json


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


class User(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr = pydantic.SecretStr("hunter2")


class Plain:
    def __init__(self):
        self.visible, self._hidden = 1, 2


class BadModel:
    def model_dump(self, **_):
        raise ValueError("no")

    def __repr__(self):
        return "BadModel()"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (2**40, 2**40),
        ({1: (2, 3), "a": {4}}, {"1": [2, 3], "a": [4]}),
        (Colour.RED, "red"),
        (Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}),
        (User(name="Ann"), {"name": "Ann", "password": "**********"}),
        (numpy.array([[1, 2]]), [[1, 2]]),
        (numpy.float32(0.5), 0.5),
        (numpy.zeros((100, 4)), "<ndarray shape=(100, 4) dtype=float64>"),
        (b"abc", "<3 bytes: YWJj>"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a"), "/a"),
        (decimal.Decimal("0.10"), "0.10"),
        (ValueError("bad"), {"type": "ValueError", "message": "bad"}),
        (len, "<len>"),
        (Plain(), {"visible": 1}),
        (BadModel(), "BadModel()"),
        ((x for x in ()), "<generator>"),
        ("lone \ud800 surrogate", "lone ? surrogate"),
        ("Grüße 🌲", "Grüße 🌲"),
    ],
)
def test_values(value, expected):
    text = to_json(value)
    text.encode()
    assert json.loads(text) == expected


def test_large_frames_are_not_walked():
    class Frame:
        shape = (10**6, 20)

        def to_dict(self):
            raise AssertionError("would copy a million rows")

        model_dump = to_dict

    assert json.loads(to_json({"frame": Frame()})) == {"frame": "<Frame shape=(1000000, 20)>"}


def test_hostile_objects():
    class Hostile:
        def __repr__(self):
            raise RuntimeError("no")

        def __getattr__(self, name):
            raise RuntimeError("no")

    class HostileMapping(dict):
        def items(self):
            raise RuntimeError("no")

    assert json.loads(to_json(Hostile())) == "<unprintable Hostile>"
    assert json.loads(to_json([1, Hostile()])) == [1, "<unprintable Hostile>"]
    assert json.loads(to_json(HostileMapping(a=1))) == "<unserialisable HostileMapping>"


def test_circular_deep_wide_and_long():
    ring: list[Any] = [1]
    ring.append(ring)
    assert json.loads(to_json(ring)) == [1, "<circular list>"]
    twice = [1]
    assert json.loads(to_json([twice, twice])) == [[1], [1]]
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]
    assert len(to_json(deep)) < 200
    assert len(to_json("x" * 10**7)) <= MAX_CHARACTERS + 10
    assert len(to_json({str(number): "y" * 1000 for number in range(10_000)})) < 2 * MAX_CHARACTERS
    assert len(to_json(list(range(10**6)))) < MAX_CHARACTERS
    json.loads(to_json(10**5000))
    json.loads(to_json([10**5000]))


def test_arguments():
    names = ['"city":', '"days":']
    assert arguments_to_json(names, ("Lisbon", 3), {"unit": "°C"}) == '{"city":"Lisbon","days":3,"unit":"°C"}'
    assert json.loads(arguments_to_json(names, ([1], 2, 3, 4), {})) == {"city": [1], "days": 2, "*args": [3, 4]}
    assert json.loads(arguments_to_json(names, ('a"\n\\', None), {})) == {"city": 'a"\n\\', "days": None}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(anything)
def test_any_value_becomes_utf8_json(value):
    alone = json.loads(to_json(value).encode())
    arguments = json.loads(arguments_to_json(['"a":'], (value,), {"b": value}).encode())
    assert arguments == {"a": alone, "b": alone}


def test_media_leave_room_for_the_words_beside_them() -> None:
    def parts(data: str) -> list[dict[str, str]]:
        return [
            {"type": "blob", "content": data},
            {"type": "blob", "content": data[::-1]},
            {"type": "text", "content": "x"},
        ]

    picture = base64.b64encode(bytes(range(256)) * 6000).decode()  # 2 MB in base64
    kept = json.loads(to_json(parts(picture)))
    assert [part["content"] for part in kept] == [picture, picture[::-1], "x"]
    kept = json.loads(to_json(parts(picture + picture)))
    assert kept[0]["content"] == picture + picture
    assert kept[1]["content"] == (picture + picture)[::-1][:2047] + "…"
    assert kept[2]["content"] == "x"
    assert len(to_json("Ab" * 10**6)) <= MAX_CHARACTERS + 10
