"""JSON texts of any length in bounded memory: long strings cut, vectors shortened, the rest kept.

A request with 100 MB of base64 images or a reply of a thousand embeddings is almost all payload that
nobody wants to read in a span. What matters (model, parameters, roles, usage at the very end) is
structure, which ``Squeezer`` passes on while it drops the payload as it arrives.
"""

from __future__ import annotations

import re
from typing import Any

from spanhouse_collector.parse.jsontext import MISSING, loads

#: Ends every string that was cut; ``content.Trim`` turns it into a statement of what is missing.
CUT_MARK = "…[cut]"
STRING_BYTES = 16 * 1024
TIGHT_STRING_BYTES = 256
_NUMBERS_BYTES = 64

_STRING_BODY = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_WHOLE_ESCAPES = re.compile(rb'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*', re.DOTALL)
_RUNS = re.compile(rb"[-+0-9.eE,]+|[^-+0-9.eE,]+")
_SPACE = b" \t\r\n"


class Squeezer:
    """Copies one JSON text and leaves out what is long in it, byte split by byte split the same.

    Strings keep ``STRING_BYTES``, runs of numbers their first few; beyond ``limit_bytes`` of output
    strings keep much less, and at twice that nothing more is kept (``overflowed``).
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._out = bytearray()
        self._string: bytearray | None = None
        self._string_cut = False
        self._backslash = False
        self._run = bytearray()
        self._run_cut = False
        self._run_last = 0
        self.overflowed = False
        self.cut = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.overflowed:
            return
        position, end = 0, len(data)
        while position < end:
            if self._string is None:
                quote = data.find(b'"', position)
                stop = end if quote < 0 else quote
                self._outside(data[position:stop])
                if quote >= 0:
                    self._end_run()
                    self._string, self._string_cut = bytearray(), False
                position = stop + 1
            else:
                position = self._inside(data, position)
        if len(self._out) > 2 * self._limit_bytes:
            self.overflowed = self.cut = True
            self._out.clear()

    def text(self) -> bytes:
        """Return the squeezed text so far; valid JSON once the whole text was fed."""
        self._end_run()
        return bytes(self._out)

    def _outside(self, data: bytes) -> None:
        for match in _RUNS.finditer(data.translate(None, _SPACE)):
            piece = match.group()
            if piece[0] not in b"-+0123456789.eE,":
                self._end_run()
                self._out += piece
                continue
            self._run_last = piece[-1]
            if self._run_cut:
                continue
            self._run += piece
            if len(self._run) > _NUMBERS_BYTES:
                comma = self._run.rfind(b",", 0, _NUMBERS_BYTES)
                del self._run[comma if comma >= 0 else _NUMBERS_BYTES :]
                self._run_cut = self.cut = True

    def _end_run(self) -> None:
        if self._run or self._run_cut:
            self._out += self._run
            if self._run_cut and self._run_last == 0x2C:
                self._out += b","
            self._run.clear()
            self._run_cut = False

    def _inside(self, data: bytes, position: int) -> int:
        """Read on in a string; return where the next piece begins."""
        assert self._string is not None
        start = position
        if self._backslash:  # the escaped character came in another chunk than its backslash
            self._backslash = False
            position += 1
        found = _STRING_BODY.match(data, position)
        stop = found.end() if found is not None else position
        self._keep(data[start:stop])
        if stop == len(data):
            return stop
        if data[stop] == 0x5C:  # a backslash that ends the chunk
            self._backslash = True
            self._keep(b"\\")
            return stop + 1
        mark = CUT_MARK.encode() if self._string_cut else b""
        self._out += b'"' + self._string + mark + b'"'
        self._string = None
        return stop + 1

    def _keep(self, piece: bytes) -> None:
        assert self._string is not None
        if self._string_cut:
            return
        quota = STRING_BYTES if len(self._out) < self._limit_bytes else TIGHT_STRING_BYTES
        room = quota - len(self._string)
        self._string += piece[: room + 1]
        if len(self._string) > quota:
            whole = _WHOLE_ESCAPES.match(bytes(self._string[:quota]))
            kept = whole.group() if whole is not None else b""
            self._string = bytearray(kept.decode("utf-8", "ignore").encode())
            self._string_cut = self.cut = True


class Gather:
    """One JSON text that arrives in pieces: kept as it is while short, squeezed once it grows long."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._squeezer: Squeezer | None = None

    @property
    def empty(self) -> bool:
        """Tell whether nothing was added since the last ``take``."""
        return not self._size_bytes

    @property
    def cut(self) -> bool:
        """Tell whether something of this text was left out."""
        return self._squeezer is not None and self._squeezer.cut

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._size_bytes += len(piece)
        if self._squeezer is not None:
            self._squeezer.feed(piece)
            return
        self._pieces.append(piece)
        if self._size_bytes > self._limit_bytes:
            self._squeezer = Squeezer(self._limit_bytes)
            for kept in self._pieces:
                self._squeezer.feed(kept)
            self._pieces.clear()
        elif len(self._pieces) > 1024:  # many tiny pieces cost more than their bytes
            self._pieces = [b"".join(self._pieces)]

    def raw(self) -> bytes:
        """Return the text itself, squeezed if it was long."""
        if self._squeezer is not None:
            return self._squeezer.text()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def take(self) -> Any:
        """Return the value the text spells, ``MISSING`` where it is no JSON, and begin anew."""
        value = loads(self.raw()) if self._size_bytes else MISSING
        self.reset()
        return value

    def reset(self) -> None:
        """Forget everything added."""
        self._pieces = []
        self._size_bytes = 0
        self._squeezer = None
