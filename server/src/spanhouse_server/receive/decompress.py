"""Undoes a body's content encoding while it arrives, and stops at the size limit.

Output is produced in pieces of at most ``PIECE_BYTES``, so a body that would unfold to gigabytes
costs no more than the limit before it is refused.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

from spanhouse_server.errors import BodyTooLarge, UndecodableBody, UnsupportedMediaType

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 256 * 1024
#: RFC 9659: senders of the zstd content encoding must not use windows above 8 MiB.
ZSTD_WINDOW_LOG_MAX = 23


class Inflater(Protocol):
    """Undoes one encoding piece by piece."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk unfolds to. Raises ``UndecodableBody``."""

    def finish(self) -> None:
        """Raise ``UndecodableBody`` unless the data came to its proper end."""


def inflater(content_encoding: str | None) -> Inflater:
    """Return what undoes this ``Content-Encoding``; raise ``UnsupportedMediaType`` for others."""
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if not names:
        return _Identity()
    if len(names) > 1:
        raise UnsupportedMediaType(
            f"the content encodings {', '.join(names)} are stacked", "apply one of gzip, deflate, zstd once"
        )
    match names[0]:
        case "gzip" | "x-gzip":
            return _Zlib("gzip", zlib.MAX_WBITS | 16, many=True)
        case "deflate" | "zlib":
            return _Deflate()
        case "zstd":
            return _Zstd()
    raise UnsupportedMediaType(f"content encoding {names[0][:40]!r} is not supported", "use gzip, deflate or zstd")


class Unpacking:
    """Collects one unpacked body; ``add`` raises once it passes ``limit_bytes``."""

    def __init__(self, content_encoding: str | None, limit_bytes: int) -> None:
        self._inflater = inflater(content_encoding)
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self.packed_bytes = 0
        self.size_bytes = 0

    def add(self, chunk: bytes) -> Iterator[int]:
        """Take a chunk as received; yield the size of each unpacked piece as it is kept.

        Must be iterated to its end. Raises ``BodyTooLarge``, ``UndecodableBody``.
        """
        self.packed_bytes += len(chunk)
        # Empty members and blocks unfold to nothing, so the packed side needs the limit as well.
        if self.packed_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        for piece in self._inflater.feed(chunk):
            self.size_bytes += len(piece)
            if self.size_bytes > self._limit_bytes:
                raise too_large(self._limit_bytes)
            self._pieces.append(piece)
            yield len(piece)

    def body(self) -> bytes:
        """Return the whole body. Raises ``UndecodableBody`` when the end is missing."""
        self._inflater.finish()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def too_large(limit_bytes: int) -> BodyTooLarge:
    """Return the error for a body above ``limit_bytes``."""
    return BodyTooLarge(
        f"the body is larger than {limit_bytes // (1024 * 1024)} MiB after decompression",
        "send smaller batches (OTEL_BSP_MAX_EXPORT_BATCH_SIZE), or raise SPANHOUSE_MAX_BODY_MB",
    )


class _Identity:
    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if chunk:
            yield chunk

    def finish(self) -> None:
        return


class _Zlib:
    """gzip (many members may follow one another) and both kinds of deflate (one stream)."""

    def __init__(self, name: str, wbits: int, *, many: bool = False) -> None:
        self._name = name
        self._wbits = wbits
        self._many = many
        self._stream = zlib.decompressobj(wbits)
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                if not self._many:
                    raise UndecodableBody(f"there is data after the end of the {self._name} body")
                self._stream = zlib.decompressobj(self._wbits)
            self._begun = True
            try:
                piece = self._stream.decompress(chunk, PIECE_BYTES)
            except zlib.error:
                raise UndecodableBody(
                    f"the body is not {self._name}, though its content encoding says so",
                    "leave Content-Encoding out for uncompressed bodies",
                ) from None
            if piece:
                yield piece
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        # An empty body is an empty request in any encoding.
        if self._begun and not self._stream.eof:
            raise UndecodableBody(f"the {self._name} body is cut off", "the connection or a proxy lost its end")


class _Deflate:
    """``deflate`` means zlib-wrapped by the standard, and bare deflate to some senders."""

    def __init__(self) -> None:
        self._head = b""
        self._inner: _Zlib | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if self._inner is None:
            chunk = self._head + chunk
            if len(chunk) < 2:
                self._head = chunk
                return
            wrapped = chunk[0] & 0x0F == 8 and int.from_bytes(chunk[:2], "big") % 31 == 0
            self._inner = _Zlib("deflate", zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        yield from self._inner.feed(chunk)

    def finish(self) -> None:
        if self._inner is not None:
            self._inner.finish()
        elif self._head:
            raise UndecodableBody("the deflate body is cut off")


class _Zstd:
    """Zstandard, any number of frames."""

    def __init__(self) -> None:
        self._stream = self._new()
        self._begun = False

    @staticmethod
    def _new() -> zstd.ZstdDecompressor:
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX})

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                self._stream = self._new()
            self._begun = True
            rest = chunk
            chunk = b""
            try:
                while True:
                    piece = self._stream.decompress(rest, PIECE_BYTES)
                    rest = b""
                    if piece:
                        yield piece
                    if self._stream.eof:
                        chunk = self._stream.unused_data
                        break
                    if self._stream.needs_input:
                        break
            except zstd.ZstdError:
                raise UndecodableBody(
                    "the body is not zstd (or needs a window above 8 MiB), though its content encoding says zstd",
                    "leave Content-Encoding out for uncompressed bodies",
                ) from None

    def finish(self) -> None:
        if self._begun and not self._stream.eof:
            raise UndecodableBody("the zstd body is cut off", "the connection or a proxy lost its end")
