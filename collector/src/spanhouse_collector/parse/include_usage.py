"""``stream_options.include_usage`` for clients that did not ask, without their noticing.

``ask_for_usage`` changes the request; ``UsageFrameFilter`` stands in the response's way and withholds
the one extra event, whose empty ``choices`` crash clients that index them. Everything else passes byte
by byte as it came. Both work on plain bytes: a request that is compressed is left alone, and whoever
changes a request asks the upstream for an unencoded answer (``Accept-Encoding: identity``).
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from spanhouse_collector.parse.jsontext import MISSING, loads

#: A usage event is small; a longer one cannot be it and is let go before it is complete.
MAX_HELD_BYTES = 64 * 1024
_DECODER = JSONDecoder(strict=False)
_LINE_PARTS = re.compile(rb"\r\n|\r|\n|[^\r\n]+")
_SPACE = re.compile(r"[ \t\r\n]*")
_ASK = '"include_usage":true'


def ask_for_usage(body: bytes) -> bytes | None:
    """Return a streaming chat request that also asks for usage, or ``None`` to leave it as it is.

    Left alone: what does not stream, what already says ``include_usage`` either way, and what cannot
    be read. Only the few bytes needed are put in; the rest stays as the client wrote it.
    """
    request = loads(body)
    if not isinstance(request, dict) or request.get("stream") is not True:
        return None
    options = request.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is not None:
        return None
    if options is not None and not isinstance(options, dict):
        return None
    try:
        text = body.decode("utf-8")
        changed = _insert(text, options)
    except (UnicodeDecodeError, JSONDecodeError, ValueError, IndexError, RecursionError):
        return None
    changed_body = changed.encode("utf-8")
    check = loads(changed_body)
    if not isinstance(check, dict) or check.pop("stream_options", None) != {**(options or {}), "include_usage": True}:
        return None
    request.pop("stream_options", None)
    return changed_body if check == request else None


def _insert(text: str, options: dict[str, Any] | None) -> str:
    opening = text.index("{")
    if "stream_options" not in text:
        return f'{text[: opening + 1]}"stream_options":{{{_ASK}}},{text[opening + 1 :]}'
    found = _value_span(text, opening + 1, "stream_options")
    if found is None:
        return f'{text[: opening + 1]}"stream_options":{{{_ASK}}},{text[opening + 1 :]}'
    start, end = found
    if not options:
        return f"{text[:start]}{{{_ASK}}}{text[end:]}"
    inner = _value_span(text, start + 1, "include_usage")
    if inner is not None:  # there, but null
        return f"{text[: inner[0]]}true{text[inner[1] :]}"
    return f"{text[: start + 1]}{_ASK},{text[start + 1 :]}"


def _value_span(text: str, position: int, wanted: str) -> tuple[int, int] | None:
    """Return where the value of a member lies in the object whose members begin at ``position``."""
    while True:
        position = _skip(text, position)
        if text[position] == "}":
            return None
        key, position = scanstring(text, position + 1, False)
        position = _skip(text, _skip(text, position) + 1)
        _, end = _DECODER.raw_decode(text, position)
        if key == wanted:
            return position, end
        position = _skip(text, end)
        if text[position] != ",":
            return None
        position += 1


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found is not None else position


class UsageFrameFilter:
    """Passes a stream of server-sent events on, but for events that carry usage and no choices.

    ``withheld`` counts those. An event is held until its end, because only its end tells what it is.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._line_empty = True
        self._letting_go = False
        self._after_cr = False
        self._last_withheld = False
        self.withheld = 0

    def feed(self, chunk: bytes) -> bytes:
        """Return what of the stream may go to the client now."""
        out = bytearray()
        for found in _LINE_PARTS.finditer(chunk):
            piece = found.group()
            if self._after_cr and piece == b"\n":  # the second half of a line end that was split
                self._after_cr = False
                if self._held:
                    self._held += piece
                elif self._letting_go or not self._last_withheld:
                    out += piece
                continue
            self._after_cr = piece == b"\r"
            self._held += piece
            if piece[0] not in b"\r\n":
                self._line_empty = False
            elif self._line_empty:
                self._end_event(out)
            else:
                self._line_empty = True
            if self._letting_go or len(self._held) > MAX_HELD_BYTES:
                self._letting_go = self._letting_go or bool(self._held)
                out += self._held
                self._held.clear()
        return bytes(out)

    def finish(self) -> bytes:
        """Return what is still held when the stream ended; a usage event without its end is withheld."""
        out = bytearray()
        self._end_event(out)
        return bytes(out)

    def _end_event(self, out: bytearray) -> None:
        self._last_withheld = not self._letting_go and _is_usage_event(bytes(self._held))
        if self._last_withheld:
            self.withheld += 1
        else:
            out += self._held
        self._held.clear()
        self._letting_go = False
        self._line_empty = True


def _is_usage_event(event: bytes) -> bool:
    if b'"usage"' not in event or b'"choices"' not in event:
        return False
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    value = loads(b"\n".join(lines)) if lines else MISSING
    return isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)
