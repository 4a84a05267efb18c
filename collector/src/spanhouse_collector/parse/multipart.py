"""The text fields of a multipart form, read while it passes; files are counted, never kept.

Audio and image endpoints take their model and prompt as form fields beside a file of any size.
"""

from __future__ import annotations

import re

_HEADER_BYTES = 16 * 1024
_NAME = re.compile(rb'\bname="((?:[^"\\]|\\.)*)"|\bname=([^\s;]+)', re.IGNORECASE)
_FILENAME = re.compile(rb'\bfilename\*?=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))', re.IGNORECASE)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,]{1,200}))', re.IGNORECASE)
_CONTENT_TYPE = re.compile(rb"^content-type:\s*([^\r\n]{1,200})", re.IGNORECASE | re.MULTILINE)


def boundary_of(content_type: str) -> str:
    """Return the boundary that a ``multipart/form-data`` content type names, else an empty string."""
    if not content_type.lower().startswith("multipart/"):
        return ""
    found = _BOUNDARY.search(content_type)
    return (found.group(1) or found.group(2)) if found is not None else ""


class Form:
    """Reads one form. ``fields`` are the texts by name; ``files`` name each file with its media type."""

    def __init__(self, boundary: str, field_bytes: int, max_fields: int = 256) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("utf-8", "replace")
        # The first boundary has no line before it.
        self._buffer = bytearray(b"\r\n")
        self._field_bytes = field_bytes
        self._max_fields = max_fields
        self._state = "preamble"
        self._value: bytearray | None = None
        self._name = ""
        self.fields: dict[str, list[str]] = {}
        self.files: list[dict[str, str]] = []
        self.cut = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        if self._state == "end":
            return
        self._buffer += chunk
        while self._step():
            pass

    def _step(self) -> bool:
        """Read on as far as possible in the present state; tell whether it changed."""
        if self._state == "headers":
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _HEADER_BYTES:
                    self._state = "end"
                    self._buffer.clear()
                return False
            self._open(bytes(self._buffer[:end]))
            # Keeps the line break: an empty part's boundary follows at once.
            del self._buffer[: end + 2]
            self._skip = 2
            self._state = "content"
            return True
        if self._state == "after":  # two bytes tell whether another part follows
            if len(self._buffer) < 2:
                return False
            self._state = "end" if self._buffer[:2] == b"--" else "headers"
            if self._state == "end":
                self._buffer.clear()
            return self._state == "headers"
        return self._content()

    def _content(self) -> bool:
        found = self._buffer.find(self._delimiter)
        keep = len(self._delimiter) - 1
        stop = found if found >= 0 else max(0, len(self._buffer) - keep)
        self._keep(self._buffer[:stop])
        if found < 0:
            del self._buffer[:stop]
            return False
        del self._buffer[: found + len(self._delimiter)]
        self._close()
        self._state = "after"
        return True

    _skip = 0

    def _keep(self, piece: bytearray) -> None:
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        piece = piece[skipped:]
        if self._value is None or not piece:
            return
        room = self._field_bytes - len(self._value)
        if room < len(piece):
            self.cut = True
        self._value += piece[: max(0, room)]

    def _open(self, headers: bytes) -> None:
        name = _NAME.search(headers)
        self._name = _text(name.group(1) or name.group(2) or b"") if name is not None else ""
        filename = _FILENAME.search(headers)
        self._value = None
        if filename is not None:
            media_type = _CONTENT_TYPE.search(headers)
            if len(self.files) < self._max_fields:
                self.files.append(
                    {
                        "field": self._name,
                        "filename": _text(filename.group(1) or filename.group(2) or b""),
                        "mime_type": _text(media_type.group(1)) if media_type is not None else "",
                    }
                )
        elif sum(map(len, self.fields.values())) < self._max_fields:
            self._value = bytearray()

    def _close(self) -> None:
        if self._value is not None and self._name:
            self.fields.setdefault(self._name, []).append(_text(bytes(self._value)))
        self._value = None
        self._skip = 0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip("\0")
