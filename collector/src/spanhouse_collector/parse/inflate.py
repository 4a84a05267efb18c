"""Undoes a copy's content encoding while it arrives, in bounded memory, and gives up quietly.

The relay forwards the original bytes; only this copy is unpacked. A body that turns out not to be
what its header says, or that unfolds beyond the limit, stops being read: ``fault`` says why.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Iterator
from typing import Any, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Inflate", "zstd"]

PIECE_BYTES = 64 * 1024
#: RFC 9659 allows 8 MiB windows; what needs more is left unread rather than given the memory.
ZSTD_WINDOW_LOG_MAX = 23
_NO_ENCODING = frozenset({"", "identity"})


class _Decoder(Protocol):
    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the chunk unfolds to; raises when the data is broken."""


class Inflate:
    """Unpacks one body. ``fault`` is empty, ``encoding`` or ``too_large``."""

    def __init__(self, content_encoding: str, limit_bytes: int) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        # The last one named was applied last, so it is undone first.
        names = [name for name in reversed(names) if name not in _NO_ENCODING]
        self.fault = ""
        self._left_bytes = limit_bytes
        self._chain: list[_Decoder] = []
        for name in names[:3]:
            decoder = _decoder(name)
            if decoder is None:
                self.fault = "encoding"
                break
            self._chain.append(decoder)
        if len(names) > 3:
            self.fault = "encoding"

    @property
    def plain(self) -> bool:
        """Tell whether the body comes as it is."""
        return not self._chain and not self.fault

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the unpacked pieces of a chunk; nothing once there is a fault."""
        if self.fault:
            return
        try:
            for piece in self._through(chunk, 0):
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    self.fault = "too_large"
                    return
                yield piece
        except Exception:  # noqa: BLE001  each library has its own errors for broken data
            self.fault = "encoding"

    def _through(self, chunk: bytes, stage: int) -> Iterator[bytes]:
        if stage == len(self._chain):
            if chunk:
                yield chunk
            return
        for piece in self._chain[stage].pieces(chunk):
            yield from self._through(piece, stage + 1)


def _decoder(name: str) -> _Decoder | None:
    match name:
        case "gzip" | "x-gzip":
            return _Zlib(zlib.MAX_WBITS | 16)
        case "deflate":
            return _Deflate()
        case "zstd":
            return _Zstd()
        case "br":
            return _brotli()
    return None


class _Zlib:
    """gzip with any number of members, or one deflate stream."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits)

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                if not chunk.strip(b"\0"):  # padding after the last member
                    return
                self._stream = zlib.decompressobj(self._wbits)
            piece = self._stream.decompress(chunk, PIECE_BYTES)
            if piece:
                yield piece
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail


class _Deflate:
    """``deflate`` is zlib-wrapped by the standard and bare deflate from some servers."""

    def __init__(self) -> None:
        self._head = b""
        self._inner: _Zlib | None = None

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        if self._inner is None:
            chunk = self._head + chunk
            if len(chunk) < 2:
                self._head = chunk
                return
            wrapped = chunk[0] & 0x0F == 8 and int.from_bytes(chunk[:2], "big") % 31 == 0
            self._inner = _Zlib(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        yield from self._inner.pieces(chunk)


class _Zstd:
    """Zstandard, any number of frames: some servers send one frame for each event."""

    def __init__(self) -> None:
        self._stream = self._new()

    @staticmethod
    def _new() -> zstd.ZstdDecompressor:
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX})

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream.eof:
                self._stream = self._new()
            rest, chunk = chunk, b""
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


class _Brotli:
    """Brotli by whichever library is installed; its output is bounded where the library can."""

    def __init__(self, module: Any) -> None:
        self._stream = module.Decompressor()
        self._bounded = hasattr(self._stream, "can_accept_more_data")

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        feed = getattr(self._stream, "process", None) or self._stream.decompress
        if not self._bounded:
            # Without a bound on its output the input is handed over in small pieces.
            for start in range(0, len(chunk), 1024):
                yield feed(chunk[start : start + 1024])
            return
        piece = feed(chunk, output_buffer_limit=PIECE_BYTES)
        while True:
            if piece:
                yield piece
            if self._stream.is_finished() or self._stream.can_accept_more_data():
                return
            piece = feed(b"", output_buffer_limit=PIECE_BYTES)


def _brotli() -> _Decoder | None:
    for name in ("brotli", "brotlicffi"):
        try:
            return _Brotli(importlib.import_module(name))
        except ImportError:
            continue
    return None
