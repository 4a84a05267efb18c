"""Cuts response bodies into events while they arrive, the same at every byte split.

A framer takes bytes and yields ``(name, value)``: the event's name (empty where the format has none)
and the JSON value it carries. What is no JSON (``[DONE]``, comments, garbage) yields nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Protocol

from spanhouse_collector.parse.jsontext import MISSING, loads, loads_cut
from spanhouse_collector.parse.squeeze import Gather

Event = tuple[str, Any]
_MAX_NAME_BYTES = 256
_BOM = b"\xef\xbb\xbf"
_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')


class Framer(Protocol):
    """Turns the bytes of one body into events. ``faults`` counts what could not be read, ``done``: its end mark came."""

    faults: dict[str, int]
    cut: bool
    done: bool

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that this chunk completes."""

    def finish(self) -> Iterator[Event]:
        """Yield what a body without a proper end still holds."""


class Counting:
    """What all framers count."""

    def __init__(self) -> None:
        self.faults: dict[str, int] = {}
        self.cut = False
        #: Whether the stream's own end mark (``[DONE]``) came.
        self.done = False

    def fault(self, kind: str) -> None:
        """Count something unreadable."""
        self.faults[kind] = self.faults.get(kind, 0) + 1


class Lines(Counting):
    """Newline-delimited JSON (Ollama)."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._line = Gather(limit_bytes)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the value of each line that ends in this chunk."""
        lines = chunk.split(b"\n")
        for line in lines[:-1]:
            self._line.add(line)
            yield from self._take()
        if lines[-1]:
            self._line.add(lines[-1])

    def finish(self) -> Iterator[Event]:
        """Yield the last line, which may have no end."""
        yield from self._take()

    def _take(self) -> Iterator[Event]:
        self.cut = self.cut or self._line.cut
        if not self._line.raw().strip():
            self._line.reset()
            return
        value = self._line.take()
        if value is MISSING:
            self.fault("json")
        else:
            yield "", value


class ServerSentEvents(Counting):
    """Server-sent events with JSON data: any line ends, ``data:`` with or without its space."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._data = Gather(limit_bytes)
        self._has_data = False
        self._name = ""
        self._head = bytearray()
        self._field = b""
        self._after_cr = False
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events whose closing blank line is in this chunk."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        for line in chunk.splitlines(keepends=True):
            ended = line[-1] in b"\r\n"
            body = line.rstrip(b"\r\n") if ended else line
            if self._field:
                self._more(body)
            elif self._head:
                self._head += body
                self._open(bytes(self._head), ended)
            else:
                self._open(body, ended)
            if ended:
                yield from self._end_line()

    def finish(self) -> Iterator[Event]:
        """Yield the event that the stream broke off in, if it is whole."""
        if self._head and not self._field:
            self._open(bytes(self._head), ended=True)
        yield from self._dispatch()

    def _open(self, line: bytes, ended: bool) -> None:
        """Read a line from its start; keep it back while its field name is not complete."""
        if not self._begun and line:
            if len(line) < 3 and not ended and _BOM.startswith(line):
                self._head = bytearray(line)
                return
            self._begun = True
            line = line.removeprefix(_BOM)
        name, colon, value = line.partition(b":")
        if not colon and not ended:
            if len(line) > _MAX_NAME_BYTES:
                self._field = b"-"  # no field of ours is that long: the line is passed over
                self._head.clear()
            else:
                self._head = bytearray(line)
            return
        self._head.clear()
        if colon and not value and not ended:  # the space after the colon may be in the next chunk
            self._head = bytearray(line)
            return
        self._field = name if name in (b"data", b"event") else b"-"
        if name == b"data":
            if self._has_data:
                self._data.add(b"\n")
            self._has_data = True
        elif name == b"event":
            self._name = ""
        if ended and not line:
            self._field = b""
            return
        self._more(value.removeprefix(b" "))

    def _more(self, piece: bytes) -> None:
        if self._field == b"data":
            self._data.add(piece)
        elif self._field == b"event":
            self._name = (self._name + piece.decode("utf-8", "replace"))[:_MAX_NAME_BYTES]

    def _end_line(self) -> Iterator[Event]:
        blank = not self._field and not self._head
        self._field = b""
        self._head.clear()
        if blank:
            yield from self._dispatch()

    def _dispatch(self) -> Iterator[Event]:
        name, self._name = self._name, ""
        if not self._has_data:
            return
        self._has_data = False
        self.cut = self.cut or self._data.cut
        raw = self._data.raw().strip()
        if raw in (b"", b"[DONE]"):
            self.done = self.done or bool(raw)
            self._data.reset()
            return
        value = self._data.take()
        if value is MISSING:
            self.fault("json")
        else:
            yield name, value


class ArrayItems(Counting):
    """The items of one JSON array as they arrive (Gemini without ``alt=sse``)."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._item = Gather(limit_bytes)
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield each object of the array that is complete."""
        start = position = 0
        while position < len(chunk):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = (_IN_STRING if self._in_string else _STRUCTURE).search(chunk, position)
            if found is None:
                break
            position = found.end()
            byte = chunk[position - 1]
            if byte == 0x5C:
                self._escaped = True
            elif byte == 0x22:
                self._in_string = not self._in_string
            elif byte in b"{[":
                if self._depth == 0 and byte == 0x5B:
                    continue  # the array itself
                if self._depth == 0:
                    start = position - 1
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == 0:
                    self._item.add(chunk[start:position])
                    yield from self._take()
        if self._depth:
            self._item.add(chunk[start:])

    def finish(self) -> Iterator[Event]:
        """Yield nothing: an item without its end is no JSON."""
        if self._depth:
            self.fault("json")
        return iter(())

    def _take(self) -> Iterator[Event]:
        self.cut = self.cut or self._item.cut
        value = self._item.take()
        if value is MISSING:
            self.fault("json")
        else:
            yield "", value


class Document(Counting):
    """A body that is one JSON text; its value comes with ``finish``."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self._body = Gather(limit_bytes)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Keep the chunk."""
        self._body.add(chunk)
        return iter(())

    def finish(self) -> Iterator[Event]:
        """Yield the whole value, of a JSON text that was cut off its beginning; other text as ``text``."""
        if self._body.empty:
            return
        self.cut = self._body.cut
        raw = self._body.raw()
        value = loads(raw)
        self._body.reset()
        if value is MISSING:
            self.fault("json")
            value = loads_cut(raw) if raw.lstrip()[:1] == b"{" else MISSING
            if value is MISSING:
                yield "text", raw.decode("utf-8", "replace")
            else:
                self.cut = True
                yield "", value
        else:
            yield "", value


class Discard(Counting):
    """A body nobody reads: audio, files, unknown endpoints."""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Drop the chunk."""
        return iter(())

    def finish(self) -> Iterator[Event]:
        """Yield nothing."""
        return iter(())
