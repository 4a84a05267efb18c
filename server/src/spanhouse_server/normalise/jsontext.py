"""Read JSON, or what Python shows of its objects, that arrives as text: bounded, and tolerant of a cut end.

SDKs cut attribute values at ``OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT``, in the middle of a string or a
key. What stands before the cut is still what a person wants to read, so it is kept.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from typing import Any

import orjson

MAX_CHARACTERS = 32 * 1024 * 1024
MAX_PREFIX_CHARACTERS = 1024 * 1024
MAX_PYTHON_CHARACTERS = 256 * 1024
MAX_DEPTH = 100
#: JSON inside JSON strings is opened at most this many times.
MAX_LAYERS = 3
#: What a text begins with that may hold JSON: all else is left as it is without a closer look.
BEGINNINGS = frozenset('{[" \t\n\r')

#: Whole numbers that may be beyond 64 bits, which JSON reads otherwise than Python.
_LARGE_NUMBER = re.compile(r"\d{18}(?<![.\d]\d{18})")
_BRACKETS = {"{": "}", "[": "]", "(": ")"}
_TOKEN = re.compile(
    r'[ \t\n\r]*(?:(?P<mark>[{}\[\],:])|(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<open>"[^"\\]*(?:\\.[^"\\]*)*\\?\Z)'
    r"|(?P<word>true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[,\]}\s])|(?P<rest>[-+.\w]{0,32}\Z))",
    re.DOTALL,
)
_WORD_PREFIX = re.compile(r"t(r(ue?)?)?|f(a(l(se?)?)?)?|n(u(ll?)?)?|-?\d*\.?\d*(?:[eE][+-]?\d*)?")
_DANGLING_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_LONE_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


#: What a text holds, or the text itself where it is no JSON; and whether it had been cut. A plain tuple, because
#: several are made for each span and making a named one takes half a microsecond.
Parsed = tuple[Any, bool]


def load(text: str) -> Any:
    """Return the object or array a text holds, whole or cut, else the text; see ``parse``."""
    return parse(text)[0]


def load_python(text: str) -> Any:
    """Return the dict, list or tuple a text holds, whole or cut, else the text; see ``parse_python``."""
    return parse_python(text)[0]


def parse(text: str) -> Parsed:
    """Return the object or array a text holds, opened through layers of quoting, else the text; and if it was cut."""
    if text[:1] in ("{", "[") and len(text) <= MAX_CHARACTERS:  # as most do
        try:
            return orjson.loads(text), False
        except (ValueError, RecursionError):
            return _cut(text, text)
    current = text
    for _ in range(MAX_LAYERS):
        start = current.lstrip()[:1] if current[:1].isspace() else current[:1]
        if start not in ("{", "[", '"') or len(current) > MAX_CHARACTERS:
            return text, False
        try:
            value = orjson.loads(current)
        except (ValueError, RecursionError):
            return (text, False) if start == '"' else _cut(text, current)
        if not isinstance(value, str):
            return (value if isinstance(value, (dict, list)) else text), False
        current = value
    return text, False


def _cut(text: str, inner: str) -> Parsed:
    """Return what the JSON ``inner`` to ``text`` held before it was cut, if it is such."""
    value = parse_prefix(inner) if len(inner) <= MAX_PREFIX_CHARACTERS else None
    return (text, False) if value is None else (value, True)


def parse_prefix(text: str) -> Any:
    """Return what a JSON text held before it was cut; ``None`` where it is not the start of JSON."""
    closers: list[str] = []
    expect = "value"
    position, good_end = 0, 0
    tail = ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            return None
        kind = match.lastgroup
        mark = match["mark"]
        position = match.end()
        if kind == "rest":
            if match["rest"] and not (expect.startswith("value") and _WORD_PREFIX.fullmatch(match["rest"])):
                return None
            break
        if kind == "open":
            if expect in ("value", "value or end"):
                good_end, tail = position, '"'
            elif not expect.startswith("key"):
                return None
            break
        if mark == ":" or mark == ",":
            wanted = "colon" if mark == ":" else "comma or end"
            if expect != wanted or not closers:
                return None
            expect = "value" if mark == ":" or closers[-1] == "]" else "key"
            continue
        if mark in ("}", "]"):
            if not closers or closers[-1] != mark or expect not in ("comma or end", _empty_end(mark)):
                return None
            closers.pop()
            expect, good_end = "comma or end", position
            continue
        if expect.startswith("key"):
            if kind != "string":
                return None
            expect = "colon"
            continue
        if not expect.startswith("value"):
            return None
        good_end = position
        if mark:
            if len(closers) >= MAX_DEPTH:
                return None
            closers.append("}" if mark == "{" else "]")
            expect = "key or end" if mark == "{" else "value or end"
        else:
            expect = "comma or end"
    if not closers:
        return None
    kept = text[:good_end]
    if tail:
        kept = _LONE_SURROGATE.sub("", _DANGLING_ESCAPE.sub(r"\1", kept))
    try:
        return orjson.loads(kept + tail + "".join(reversed(closers)))
    except (ValueError, RecursionError):
        return None


def _empty_end(mark: str) -> str:
    return "key or end" if mark == "}" else "value or end"


def dump(value: Any) -> str:
    """Return a value as compact JSON text, or as Python writes it where JSON cannot."""
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError, RecursionError):
        return str(value)


def parse_python(text: str) -> Parsed:
    """Return the dict, list or tuple a text holds as JSON or as Python shows it (``{'a': None}``), else the text.

    Only literals are read, nothing is run. Of a text that was cut, what stood before the cut is kept.
    """
    # What begins with a single quote inside of brackets is no JSON; asking would cost more than reading it.
    second = text[1:2]
    quoted = second == "'" or (text[2:3] == "'" and second in _BRACKETS)
    parsed = (text, False) if quoted else parse(text)
    found, cut = parsed
    if not isinstance(found, str) and not cut:
        return parsed
    start = text.lstrip()[:1]
    if start not in ("{", "[", "(") or len(text) > MAX_PYTHON_CHARACTERS:
        return parsed
    value = _nearly_json(text)
    if value is not None:
        return value, False
    value = _literal(text)
    if isinstance(value, (dict, list, tuple)):
        return _plain(value), False
    for candidate in _closed(text):
        value = _literal(candidate)
        if isinstance(value, (dict, list, tuple, set)):
            return _plain(value, cut=True), True
    return parsed


def _nearly_json(text: str) -> Any:
    """Return what a literal holds that differs from JSON in its quotes and words only; else ``None``.

    Most do, and reading them as JSON takes a twentieth of the time. Without backslashes, and with double quotes
    only inside of strings, every single quote begins or ends a string. What JSON reads otherwise is left to Python.
    """
    if "\\" in text or text.count("{") + text.count("[") > MAX_DEPTH:  # may be deeper than Python reads
        return None
    pieces = text.split("'")
    outside = "'".join(pieces[::2])
    if '"' in outside or "null" in outside or "true" in outside or "false" in outside or _LARGE_NUMBER.search(outside):
        return None
    if '"' in text:
        pieces[1::2] = [piece.replace('"', '\\"') for piece in pieces[1::2]]
    # Within a longer word these make no JSON either, before or after.
    outside = outside.replace("None", "null").replace("True", "true").replace("False", "false")
    pieces[::2] = outside.split("'")
    try:
        return orjson.loads('"'.join(pieces))
    except (ValueError, RecursionError):
        return None


def _literal(text: str) -> Any:
    try:
        if "\\" not in text:
            return ast.literal_eval(text.strip())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in somebody's text
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _closed(text: str) -> list[str]:
    """Return a cut literal closed in the ways that may make it whole, the one that keeps most first."""
    closers: list[str] = []
    quote = ""
    last_comma: tuple[int, str] | None = None
    escaped = False
    for position, character in enumerate(text):
        if quote:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in _BRACKETS:
            if len(closers) >= MAX_DEPTH:
                return []
            closers.append(_BRACKETS[character])
        elif character in ")]}":
            if not closers or closers.pop() != character:
                return []
        elif character == ",":
            last_comma = position, "".join(reversed(closers))
    end = "".join(reversed(closers))
    if not end:
        return []
    found = [(text[:-1] if escaped else text) + quote + end]
    if last_comma is not None:
        found.append(text[: last_comma[0]] + last_comma[1])
    return found


def _plain(value: Any, cut: bool = False) -> Any:
    """Return a literal as JSON has it: tuples and sets as arrays, keys and odd values as text.

    In a text that was ``cut``, a set is a dict that ended within its first key.
    """
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item, cut) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, cut) for item in value]
    if isinstance(value, (set, frozenset)):
        return {} if cut else [_plain(item) for item in sorted(value, key=repr)]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
