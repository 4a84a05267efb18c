"""Bytes as JavaScript writes them into JSON: Node's ``{"type":"Buffer","data":[137,80,…]}``, a typed array's
``{"0":137,"1":80,…}``; in text of any layer of JSON.

The Vercel AI SDK and others write an image so that was given to them as bytes, at three to eight times its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

#: Characters that are worth a row elsewhere: less than 1 KiB of bytes shows itself in these.
MIN_LIST = 2048
_SAMPLE = 48
_NUMBERS = re.compile(r"[\d,\s]*+")
_INDEXED_NUMBERS = re.compile(r'[\d,:"\\]*+')
_BUFFER = re.compile(
    r'(?<!\\)(\\*+")type\1\s*+:\s*+\1Buffer\1\s*+,\s*+\1data\1\s*+:\s*+(?P<list>\[(?P<numbers>[\d,\s]*+)(?P<end>\]?))'
)
_TYPED_ARRAY = re.compile(r'(?P<list>\{(\\*+")0\2:(?P<numbers>\d{1,3}(?:,\2\d{1,8}\2:\d{1,3})*+)(?P<end>\}?))')
_VALUES = re.compile(r"(?:^|[:,])\s*+(\d{1,3})(?=,|\s|\Z)")


class ByteList(NamedTuple):
    """Bytes that stand in a text from ``start`` to ``end`` (exclusive), how strings are quoted there, if they were cut."""

    start: int
    end: int
    data: bytes
    quote: str
    cut: bool


def shows_numbers(text: str, at: int) -> bool:
    """Tell whether the text is nothing but numbers of a list around a place."""
    if text[at] not in "0123456789,":
        return False
    sample = text[at : at + _SAMPLE]
    return _NUMBERS.fullmatch(sample) is not None or _INDEXED_NUMBERS.fullmatch(sample) is not None


def byte_lists(text: str) -> Iterator[ByteList]:
    """Yield the long lists of bytes in a text."""
    for pattern, quote in ((_BUFFER, 1), (_TYPED_ARRAY, 2)):
        for found in pattern.finditer(text):
            if found.end("list") - found.start("list") < MIN_LIST:
                continue
            numbers, cut = found["numbers"], not found["end"]
            if cut:  # the last number may be the beginning of one
                numbers = numbers[: max(numbers.rfind(","), 0)]
            try:
                data = bytes(map(int, _VALUES.findall(numbers)))
            except ValueError:
                continue
            yield ByteList(found.start("list"), found.end("list"), data, found[quote], cut)
