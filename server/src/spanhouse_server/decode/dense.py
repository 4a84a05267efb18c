"""Stops bodies that are small on the wire and huge in memory.

An empty message takes two bytes on the wire and up to 176 in memory, so that a body of the largest
allowed size, itself a few kilobytes when compressed, could take gigabytes. A quick statistic tells
the few suspicious bodies, and only these are walked through.
"""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf.descriptor import Descriptor

#: Messages (spans, attributes, values …) that one body may hold: at most some 350 MB in memory.
MAX_MESSAGES = 2_000_000

_HARMLESS_BYTES = 1024 * 1024
_LARGE_BYTES = bytes(range(0x13, 0x100))


def too_dense(descriptor: Descriptor, body: bytes) -> bool:
    """Tell whether a protobuf body holds more messages than can be allowed.

    Where messages are short, their tags and lengths make up much of the body, and these are small
    numbers; a body where less than a quarter of the bytes are small cannot grow more than about
    tenfold, and is not walked.
    """
    if len(body) <= _HARMLESS_BYTES or len(body.translate(None, _LARGE_BYTES)) * 4 < len(body):
        return False
    return _count_exceeds(body, _members(descriptor), MAX_MESSAGES)


def too_dense_json(body: bytes) -> bool:
    """Tell whether a JSON body holds more objects than can be allowed."""
    return len(body) > _HARMLESS_BYTES and body.count(b"{") > MAX_MESSAGES


@functools.cache
def _members(descriptor: Descriptor) -> dict[int, Any]:
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


def _count_exceeds(body: bytes, members: dict[int, Any], limit: int) -> bool:
    """Walk in the parser's order, so that what it would build before an error is counted too."""
    count, position, end = 0, 0, len(body)
    above: list[tuple[int, dict[int, Any]]] = []
    try:
        while True:
            while position == end:
                if not above:
                    return False
                end, members = above.pop()
            tag, position = varint(body, position)
            wire_type = tag & 7
            if wire_type == 2:
                length, position = varint(body, position)
                if position + length > end:
                    return False  # the parser stops here as well
                member = members.get(tag >> 3)
                if member is None:
                    position += length
                    continue
                count += 1
                if count > limit:
                    return True
                above.append((end, members))
                end, members = position + length, _members(member)
            elif wire_type == 0:
                _, position = varint(body, position)
            elif wire_type in (1, 5):
                position += 8 if wire_type == 1 else 4
            # Types 3 and 4 only bracket fields, which are looked at as if the brackets were not there.
            if position > end:
                return False
    except IndexError:
        return False


def varint(body: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position of a protobuf body, and the position after it; raise ``IndexError`` without one."""
    byte = body[position]
    position += 1
    if byte < 0x80:
        return byte, position
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise IndexError
    return value, position
