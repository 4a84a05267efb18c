"""Payloads with large media as they are committed: compressed, with the media as a dictionary both sides know.

The media are made anew by ``tests.fakes.media``; what stands in a payload of them, whole or cut, in whichever clothes,
costs a few bytes, and the payload comes back byte for byte.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

import zstandard

from tests.fakes.media import NAMES, file

MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
_WINDOW_LOG = 25


@cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    # Places are counted from the end: what is added later goes to the front, and what was packed stays readable.
    known = b""
    for name, data in zip(NAMES, map(file, NAMES), strict=True):
        if name == "image.png":  # as JavaScript writes bytes
            known += ",".join(map(str, data)).encode()
        known += data + base64.b64encode(data) + base64.urlsafe_b64encode(data)
        known += repr(data).encode() + repr(data).replace("\\", "\\\\").encode()
    return zstandard.ZstdCompressionDict(known, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def pack(body: bytes) -> bytes:
    """Return a payload as it is committed."""
    settings = zstandard.ZstdCompressionParameters.from_level(9, window_log=_WINDOW_LOG, enable_ldm=True)
    return zstandard.ZstdCompressor(compression_params=settings, dict_data=_dictionary()).compress(body)


def unpack(path: Path) -> bytes:
    """Return the payload in a file, packed (``.zst``) or as it came."""
    if path.suffix != ".zst":
        return path.read_bytes()
    unpacker = zstandard.ZstdDecompressor(dict_data=_dictionary(), max_window_size=2**_WINDOW_LOG)
    return unpacker.decompress(path.read_bytes(), MAX_PAYLOAD_BYTES)
