"""Take images, sound and files out of records: long base64 text becomes a reference, its bytes a blob.

Works on text, whatever shape it is in (an attribute, JSON in one, JSON in JSON), so that the raw record and what any
dialect reads of it say the same. Only what is media is taken: a ``data:`` address, bytes that show what they are, or
base64 that the record calls so. Other long runs of letters and digits stay. Base64 may be broken into lines
(``base64_lines``), and bytes may stand there as Python shows them (``python_bytes``).

A span without media pays a hop over its text: a run of ``MIN_RUN`` characters cannot hide between two spaces, quotes or
commas that stand closer together.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple

from spanhouse_server.model.blob import Blob, media_type_of, reference_to
from spanhouse_server.model.raw import Attributes, RawLog, RawSpan
from spanhouse_server.normalise.base64_lines import LONGEST, SHORTEST, lines_at
from spanhouse_server.normalise.js_bytes import byte_lists
from spanhouse_server.normalise.magic import is_text, is_whole, settle_type, sniff
from spanhouse_server.normalise.media_place import OPAQUE, SOUND_FORMATS, Place
from spanhouse_server.normalise.python_bytes import literals, may_show_bytes
from spanhouse_server.normalise.secret_names import is_secret_key

#: Characters of base64 that are worth a row elsewhere: 1 KiB of bytes. Below that the reference and its row cost about
#: what they save, and icons and one-pixel images stay readable in the record itself.
MIN_RUN = 1366
MAX_DEPTH = 64

#: PHP writes ``\/`` for a slash in JSON, .NET ``\u002B`` for a plus; each layer of JSON adds backslashes. A row of these
#: is looked at from its first on only: from each on would be quadratic.
_RUN = re.compile(
    r"(?:[A-Za-z0-9+/_-]++|(?<!\\)\\++(?:/|u002[BbFf]))++(?:={1,2}|(?:\\++u003[Dd]){1,2})?",
)
_ESCAPE_TAIL = re.compile(r"u[0-9A-Fa-f]{4}|[bfnrt]")
_ESCAPED = re.compile(r"\\+(?:u00([0-9A-Fa-f]{2})|(/))")
_RUN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-\\\r\n")
_URL_SAFE = str.maketrans("-_", "+/")
_TYPE_KEYS = ("mime_type", "media_type", "mimeType", "mediaType", "content_type", "contentType")
#: What senders write where they cut a value themselves.
_CUT_MARKS = ("…", "...", "<truncated", "[truncated")


def may_hold_media(text: str) -> bool:
    """Tell whether long base64, or long bytes as Python shows them, may stand in a text: cheap.

    Wrong only by saying yes of base64; of bytes as ``may_show_bytes`` is.
    """
    return _candidate(text, 0) >= 0 or may_show_bytes(text)


def lift_span(raw: RawSpan, blobs: list[Blob]) -> RawSpan:
    """Return a span with references for media, and add these to ``blobs``: the same object where there are none."""
    known = len(blobs)
    attributes = lift(raw.attributes, blobs)
    events = [replace(event, attributes=lift(event.attributes, blobs)) for event in raw.events]
    links = [replace(link, attributes=lift(link.attributes, blobs)) for link in raw.links]
    if len(blobs) == known:
        return raw
    return replace(raw, attributes=attributes, events=events, links=links)


def lift_logs(logs: Sequence[RawLog], blobs: list[Blob]) -> list[RawLog]:
    """Return log records with references for media, and add these to ``blobs``."""
    return [replace(log, attributes=lift(log.attributes, blobs), body=lift(log.body, blobs)) for log in logs]


def lift(value: Any, blobs: list[Blob], said: str = "", depth: int = 0) -> Any:
    """Return any value with references for media.

    ``said`` is the media type that stands beside it. What lies under the name of a secret stays: it is not kept at all.
    """
    kind = type(value)
    if kind is str:
        return _lift_text(value, blobs, said) if len(value) >= MIN_RUN else value
    if depth >= MAX_DEPTH:
        return value
    if kind is dict:
        return _lift_dict(value, blobs, depth)
    if kind is list:
        return [lift(item, blobs, "", depth + 1) if type(item) in (str, dict, list) else item for item in value]
    return value


def _lift_dict(value: Attributes, blobs: list[Blob], depth: int) -> Attributes:
    said = next((value[key] for key in _TYPE_KEYS if type(value.get(key)) is str), "")
    if not said and value.get("format") in SOUND_FORMATS:
        said = f"audio/{value['format']}"
    kind = media_type_of(said)
    return {
        key: item
        if type(item) not in (str, dict, list) or is_secret_key(str(key))
        else lift(item, blobs, "" if OPAQUE.search(str(key)) else kind, depth + 1)
        for key, item in value.items()
    }


def _candidate(text: str, position: int) -> int:
    """Return where, at or behind ``position``, a stretch begins that may hold the start of a long run; else -1."""
    length = len(text)
    find = text.rfind
    while (end := position + MIN_RUN) <= length:
        # A run that begins in this stretch and is long enough reaches over its last character.
        if text[end - 1] not in _RUN_CHARACTERS:
            position = end
            continue
        for mark in (" ", '"', ","):
            last = find(mark, position, end)
            if last >= 0:
                position = last + 1
                break
        else:
            return position
    return -1


def _lift_text(text: str, blobs: list[Blob], said: str) -> str:
    """Return a text with references for the media in it: the same object where there are none."""
    if "\\x" in text:  # exact, unlike the samples: what is lifted of a record leaves nothing for a second reading
        text = _lift_literals(text, blobs, said)
    if '"Buffer' in text or '"0' in text:
        text = _lift_lists(text, blobs, said)
    return _lift_runs(text, blobs, said)


def _lift_literals(text: str, blobs: list[Blob], said: str) -> str:
    """Return a text with references for the bytes that Python shows in it."""
    pieces: list[str] = []
    done = 0
    for literal in literals(text):
        place = Place(text, literal.start, literal.end, "'")
        reference = _reference(place, literal.data, literal.cut, blobs, said)
        if not reference:
            continue
        if not (place.whole or place.string):  # in a string of its own it needs no quotes
            reference = f"{literal.quote}{reference}{literal.quote if literal.closed else ''}"
        pieces += (text[done : literal.start], reference)
        done = literal.end
    return "".join((*pieces, text[done:])) if pieces else text


def _lift_lists(text: str, blobs: list[Blob], said: str) -> str:
    """Return a text with references for the bytes that JavaScript wrote as numbers."""
    pieces: list[str] = []
    done = 0
    for found in sorted(byte_lists(text)):
        reference = _reference(Place(text, found.start, found.end), found.data, found.cut, blobs, said)
        if reference:
            pieces += (text[done : found.start], f"{found.quote}{reference}{'' if found.cut else found.quote}")
            done = found.end
    return "".join((*pieces, text[done:])) if pieces else text


def _lift_runs(text: str, blobs: list[Blob], said: str) -> str:
    """Return a text with references for the base64 in it."""
    pieces: list[str] = []
    done = 0
    position = _candidate(text, 0)
    while position >= 0:
        run = _next_run(text, position)
        if not run.base64:
            position = _candidate(text, run.end)
            continue
        place = Place(text, run.start, run.end)
        data, cut = _decoded(run.base64, _is_cut(place, len(run.base64) % 4))
        reference = _reference(place, data, cut, blobs, said) if data else ""
        if reference:
            pieces += (text[done : run.start], reference)
            done = run.end
        position = _candidate(text, run.end)
    return "".join((*pieces, text[done:])) if pieces else text


class _Run(NamedTuple):
    """A long run of base64 in a text, and its characters without line breaks."""

    start: int
    end: int
    base64: str


def _next_run(text: str, position: int) -> _Run:
    """Return the first long run that begins in the stretch of ``MIN_RUN`` characters at ``position``.

    Where none does, it has no characters and ends where to look on.
    """
    run = _RUN.search(text, position)
    while run is not None and run.start() < position + MIN_RUN:
        begin, end = _start(text, run), run.end()
        if end - run.start() >= MIN_RUN:
            return _Run(begin, end, text[begin:end])
        if SHORTEST <= end - begin <= LONGEST:
            end, characters = lines_at(text, begin)
            if end - begin >= MIN_RUN:
                return _Run(begin, end, characters)
        run = _RUN.search(text, max(end, run.end()))
    end = len(text) if run is None else run.start()
    return _Run(end, end, "")


def _start(text: str, run: re.Match[str]) -> int:
    """Return where a run begins, behind the letters of an escape (``\\n``, ``\\u0022``) that stands before it."""
    start = run.start()
    tail = _ESCAPE_TAIL.match(text, start) if start and text[start - 1] == "\\" else None
    return start if tail is None else tail.end()


def _reference(place: Place, data: bytes, cut: bool, blobs: list[Blob], said: str) -> str:
    """Return the reference that takes the place of some bytes, empty where they are no media or a secret."""
    if place.secret:
        return ""
    called = place.media_type or (said if place.whole and not place.opaque else "")
    shown = sniff(data)
    if not shown:
        if not (called or place.certain):
            return ""
        if not place.addressed and called.startswith("text/") and not is_text(data):
            return ""
    cut = cut or (place.end == len(place.text) and not is_whole(shown, data))
    kind = settle_type(called, shown, data)
    blob = Blob(sha256(data).hexdigest(), kind, len(data), binascii.b2a_base64(data, newline=False).decode())
    blobs.append(blob)
    return reference_to(blob, cut)


def _is_cut(place: Place, spare: int) -> bool:
    """Tell whether a run had been cut off: JSON without its end, an uneven end, or a sender's own mark."""
    if place.end == len(place.text):
        return place.text[0] in '{["' or spare == 1 or (spare > 1 and place.addressed)
    return place.text.startswith(_CUT_MARKS, place.end)


def _decoded(run: str, cut: bool) -> tuple[bytes, bool]:
    """Return the bytes of a run and whether it had been cut; no bytes where it is not base64."""
    if "\\" in run:
        run = _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "/", run)
    if "-" in run or "_" in run:
        run = run.translate(_URL_SAFE)
    bare = run.rstrip("=")
    spare = len(bare) % 4
    if spare and cut:
        bare, spare = bare[: len(bare) - spare], 0
    try:
        return binascii.a2b_base64(bare + "=" * (-spare % 4), strict_mode=True), cut
    except ValueError:
        return b"", cut
