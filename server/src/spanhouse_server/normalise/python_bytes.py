r"""Bytes as Python shows them (``b'\x89PNG…'``), in text of any layer of JSON: found, read and measured.

Instrumentations that write arguments with ``str()`` show images so, at three to four times their size. Work is in
proportion to the text: a literal that was looked at is stepped over, whatever came of it.
"""

from __future__ import annotations

import codecs
import re
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import orjson

from spanhouse_server.normalise.js_bytes import shows_numbers

#: Characters of a literal that are worth a row elsewhere: 1 KiB of binary data shows itself in more than these.
MIN_LITERAL = 2048
#: Literals are looked for where a sample of a text shows an escape: any long one of binary data holds a whole sample.
_STRIDE = 1024
_SAMPLE = 64
#: How far into a literal its first escape is looked for, how many tell the layer, and how many literals of a text are
#: looked at: a value with thousands of short ones is no medium.
_HEAD = 512
_ESCAPES = 8
_MAX_LITERALS = 1000

_OPENING = re.compile(r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))b(\\*)([\"'])")
#: A quote with the backslashes before it, or what stands in no literal.
_STOP = re.compile(r"(?<!\\)(\\*+)([\"'])|[^ -~]")
_HEX_ESCAPE = re.compile(r"(?<!\\)(\\++)x[0-9a-fA-F]{2}")
#: What senders write where they cut a value themselves.
_MARK = re.compile(r"(?:\.{3}|[<\[(])?[<\[(]?truncated[ -~]{0,100}\Z|\.{3}\Z")
_MARK_CHARACTERS = 120
_LONGEST_ESCAPE = 4


class Literal(NamedTuple):
    """Bytes that stand in a text from ``start`` to ``end`` (exclusive).

    ``quote`` is what its quote looks like in the text, ``closed`` whether that stands at its end too, ``cut`` whether
    not all bytes are there.
    """

    start: int
    end: int
    data: bytes
    quote: str
    closed: bool
    cut: bool


def may_show_bytes(text: str) -> bool:
    """Tell whether a long literal, or list (``js_bytes``), may stand in a text.

    A few samples, which see any binary data of ``MIN_LITERAL``.
    """
    find = text.find
    for at in range(0, len(text), _STRIDE):  # noqa: SIM110 - every span pays for this, a generator twice
        if find("\\x", at, at + _SAMPLE) >= 0 or shows_numbers(text, at):
            return True
    return False


def literals(text: str) -> Iterator[Literal]:
    """Yield the long literals of bytes in a text, in order; what cannot be read is passed over."""
    position = looked_at = 0
    while looked_at < _MAX_LITERALS and (opening := _OPENING.search(text, position)) is not None:
        position = begin = opening.end()
        if text.find("\\x", begin, begin + _HEAD) < 0:
            continue
        looked_at += 1
        layers = _layers(text, begin)
        if len(opening[1]) != (2**layers - 1 if opening[2] == '"' else 0):
            continue
        end, closed = _end(text, begin, opening[2], layers)
        position = end
        if end - begin < MIN_LITERAL:
            continue
        data, cut = _read(text[begin:end], layers, closed)
        if data:
            quote = opening[0][1:]
            position = end + (len(quote) if closed else 0)
            yield Literal(opening.start(), position, data, quote, closed, cut)


def _layers(text: str, begin: int) -> int:
    """Return how often JSON has doubled the backslashes of a literal.

    A hexadecimal escape has one backslash, each layer doubles it, and bytes that are backslashes stand in pairs before.
    """
    runs = [len(found[1]) for found in islice(_HEX_ESCAPE.finditer(text, begin, begin + _HEAD), _ESCAPES)]
    return min(((run & -run).bit_length() - 1 for run in runs), default=0)


def _end(text: str, begin: int, quote: str, layers: int) -> tuple[int, bool]:
    """Return where the body of a literal ends, and whether its closing quote stands there.

    It is cut where the text ends, where the JSON string around it does, and before a character that Python escapes.
    """
    doubled = 2**layers
    for stop in _STOP.finditer(text, begin):
        if stop[2] is None:
            return stop.start(), False
        backslashes = len(stop[1])
        if stop[2] == '"':
            if backslashes % doubled != doubled - 1:
                return stop.end() - 1 - backslashes % doubled, False  # the end of the JSON string around it
            backslashes -= doubled - 1
        if stop[2] == quote and backslashes // doubled % 2 == 0:
            return stop.end() - 1 - (doubled - 1 if quote == '"' else 0), True
    return len(text), False


def _read(body: str, layers: int, closed: bool) -> tuple[bytes, bool]:
    """Return the bytes that the body of a literal spells, as far as they go, and whether they were cut."""
    kept = body[:-_MARK_CHARACTERS] + _MARK.sub("", body[-_MARK_CHARACTERS:])
    cut = not closed or len(kept) < len(body)
    try:
        for _ in range(layers):
            kept = orjson.loads(f'"{_whole_pairs(kept) if cut else kept}"')
    except ValueError:
        return b"", cut
    for missing in range(_LONGEST_ESCAPE if cut else 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes that Python does not write
                return codecs.escape_decode(kept[: len(kept) - missing].encode("ascii"))[0], cut
        except ValueError:
            continue
    return b"", cut


def _whole_pairs(body: str) -> str:
    """Return a body without the half of a pair of backslashes at its end."""
    return body[:-1] if (len(body) - len(body.rstrip("\\"))) % 2 else body
