"""Saves a protobuf body from single records that the parser refuses.

The parser gives up on the whole body for one string that is not UTF-8, or one value nested too deep. Here the
body is taken apart at its known levels (resource, scope, record), and each record at fault is replaced by a
marked one that ``refuse`` knows, as the JSON reader does.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from spanhouse_server.decode.dense import varint
from spanhouse_server.decode.json_body import mark_unreadable
from spanhouse_server.decode.refuse import UNREADABLE

#: The fields that lead from a request to its records, by number: resources, scopes, records. The same for all signals.
_PATH = (1, 2, 2)
_BYTES_OF_FIXED = {1: 8, 5: 4}
#: How many parts of a body are tried at most: about a quarter of a second. Beyond, the body is refused as a whole.
MAX_TRIED = 50_000


def salvage(request: Any, body: bytes, why: str) -> bytes | None:
    """Return the body with marked records in place of those that cannot be parsed; ``why`` ends a sentence about them.

    ``request`` is the message class. Nothing is returned where more than records is at fault (the framing, a
    resource, a scope), or where there are too many to look at one by one.
    """
    record = request.DESCRIPTOR
    for number in _PATH:
        record = record.fields_by_number[number].message_type
    marked = GetMessageClass(record)()
    mark_unreadable(marked, record, None, f"{UNREADABLE}because {why}")
    attempt = _Attempt(request, marked.SerializeToString())
    try:
        mended = attempt.mended(body, 0)
        return mended if attempt.parses(mended, 0) else None
    except IndexError:  # a length or a tag leads beyond the end, or the tries are used up
        return None


class _Attempt:
    def __init__(self, request: Any, marked: bytes) -> None:
        self._request = request
        self._marked = marked
        self._left = MAX_TRIED

    def mended(self, body: bytes, level: int) -> bytes:
        """Return what lies so many levels below a request, mended."""
        pieces = []
        position = 0
        while position < len(body):
            start = position
            tag, position = varint(body, position)
            wire_type = tag & 7
            if wire_type == 2:
                length, position = varint(body, position)
                content = body[position : position + length]
                position += length
                if tag >> 3 == _PATH[level] and not self.parses(content, level + 1):
                    is_record = level + 1 == len(_PATH)
                    pieces.append(_framed(_PATH[level], self._marked if is_record else self.mended(content, level + 1)))
                    continue
            elif wire_type == 0:
                _, position = varint(body, position)
            else:
                position += _BYTES_OF_FIXED.get(wire_type, len(body))
            if position > len(body):
                raise IndexError
            pieces.append(body[start:position])
        return b"".join(pieces)

    def parses(self, content: bytes, level: int) -> bool:
        """Tell whether what lies so many levels below a request can be parsed; nesting counts from the request on."""
        self._left -= 1
        if self._left < 0:
            raise IndexError
        for number in reversed(_PATH[:level]):
            content = _framed(number, content)
        try:
            self._request.FromString(content)
        except DecodeError:
            return False
        return True


def _framed(number: int, content: bytes) -> bytes:
    length = len(content)
    head = bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content
