"""Turn attribute values of any type into the one wanted, or into nothing; never guess."""

from __future__ import annotations

import math
from typing import Any

import orjson

from spanhouse_server.normalise import jsontext

#: No span ever counted more tokens; sums of a few stay within 64 bits.
MAX_COUNT = 2**53
MAX_NAME_CHARACTERS = 1024


def name_of(value: Any) -> str:
    """Return an identifier or label as text; empty for anything that is neither text nor number."""
    if type(value) is str:
        return value if len(value) <= MAX_NAME_CHARACTERS else value[:MAX_NAME_CHARACTERS]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return ""


def count_of(value: Any) -> int | None:
    """Return a count; ``None`` for booleans, negatives, fractions, NaN and text that is no number."""
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else None
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal() and len(text) <= 19:
            return count_of(int(text))
        number = number_of(text)
        return None if number is None else count_of(number)
    if type(value) is float:
        return int(value) if math.isfinite(value) and 0 <= value <= MAX_COUNT and value.is_integer() else None
    return None


def number_of(value: Any) -> float | None:
    """Return a finite number; ``None`` for booleans, NaN, infinities and text that is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if len(value) > 64 or "_" in value or not value.isascii():
            return None
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def seconds_to_ns(value: Any) -> int | None:
    """Return a duration in nanoseconds from one in seconds; ``None`` when negative or over a day."""
    number = number_of(value)
    return round(number * 1e9) if number is not None and 0 <= number <= 86_400 else None


def names_of(value: Any) -> list[str]:
    """Return a list of labels from an array, a JSON array in text, or comma-separated text."""
    if value is None:
        return []
    if isinstance(value, str):
        parsed = jsontext.load(value)
        value = parsed if isinstance(parsed, list) else value.split(",")
    if not isinstance(value, list):
        return []
    if len(value) == 1 and type(value[0]) is str and len(value[0]) <= MAX_NAME_CHARACTERS:
        name = value[0].strip()
        return [name] if name else []
    names = [name_of(item).strip() for item in value]
    return list(dict.fromkeys(name for name in names if name))


def unquoted(value: Any) -> Any:
    """Return the text inside JSON quotes (``'"LLM"'``), where a value is such text; else the value."""
    if isinstance(value, str) and value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
        try:
            inner = orjson.loads(value)
        except ValueError:
            return value
        return inner if isinstance(inner, str) else value
    return value


def text_of(value: Any) -> str:
    """Return any value as text a person can read: text as it is, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else jsontext.dump(value)
