"""Take images, sound and files out of records: long base64 text becomes a reference, its bytes a blob.

Works on text, whatever shape it is in (an attribute, JSON in one, JSON in JSON), so that the raw record and what any
dialect reads of it say the same. Only what is media is taken: a ``data:`` address, bytes that show what they are, or
base64 that the record calls so. Other long runs of letters and digits stay.

A span without media pays a hop over its text: a run of ``MIN_RUN`` characters cannot hide between two spaces, quotes or
commas that stand closer together.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from spanhouse_server.model.blob import Blob, media_type_of, reference_to
from spanhouse_server.model.raw import Attributes, RawLog, RawSpan
from spanhouse_server.normalise.magic import is_text, is_whole, settle_type, sniff
from spanhouse_server.normalise.secret_names import is_secret_key

#: Characters of base64 that are worth a row elsewhere: 1 KiB of bytes. Below that the reference and its row cost about
#: what they save, and icons and one-pixel images stay readable in the record itself.
MIN_RUN = 1366
MAX_DEPTH = 64
#: How far around a run is looked for what it is called.
_AROUND = 300

#: PHP writes ``\/`` for a slash in JSON, .NET ``\u002B`` for a plus; each layer of JSON adds backslashes.
_RUN = re.compile(
    r"(?:[A-Za-z0-9+/_-]++|\\++(?:/|u002[BbFf]))++(?:={1,2}|(?:\\++u003[Dd]){1,2})?",
)
_ESCAPE_TAIL = re.compile(r"u[0-9A-Fa-f]{4}|[bfnrt]")
_ESCAPED = re.compile(r"\\+(?:u00([0-9A-Fa-f]{2})|(/))")
_RUN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-\\")
_URL_SAFE = str.maketrans("-_", "+/")

_DATA_ADDRESS = re.compile(r"data:([\w.+\\/-]{0,128}?)(?:;[\w.+-]{1,64}=[^;,\"']{0,128})*;base64,\Z")
_TYPE = r"""(?:mime|media|content)_?-?type\\*["']\s*[:=]\s*\\*["']([\w.+-]{1,61}\\*/[\w.+-]{1,101})"""
_TYPE_BEFORE = re.compile(rf"(?i:{_TYPE})[^{{}}]*\Z")
_TYPE_BEHIND = re.compile(rf"[^{{}}]*?(?i:{_TYPE})")
_SOUND_FORMATS = ("pcm16", "pcm", "wav", "mp3", "flac", "opus", "aac", "ogg", "g711_ulaw", "g711_alaw")
_FORMAT = re.compile(rf"""["']format\\*["']\s*:\s*\\*["']({"|".join(_SOUND_FORMATS)})\b""")
#: What says that base64 follows, whatever its bytes look like: OpenAI's sound, Gemini's data, Anthropic's and
#: OpenTelemetry's words for it.
_SAID = re.compile(
    r"""["'](?:input_audio|audio|inline_?[Dd]ata)\\*["']\s*:\s*\{[^{}]*\Z"""
    r"""|["']type\\*["']\s*:\s*\\*["'](?:base64|blob|binary)\\*["'][^{}]*\Z"""
)
_KEY_BEFORE = re.compile(r"""["']([\w. -]{1,64})\\*["']\s*:\s*\\*["'](?:data:[^"']*)?\Z""")
#: What is named so may be base64 beside media, and is none itself.
_OPAQUE = re.compile(r"(?i)signature|encrypt|token|cursor|hash")
_TYPE_KEYS = ("mime_type", "media_type", "mimeType", "mediaType", "content_type", "contentType")
#: What senders write where they cut a value themselves.
_CUT_MARKS = ("…", "...", "<truncated", "[truncated")


def may_hold_media(text: str) -> bool:
    """Tell whether a run of base64 long enough may stand in a text: cheap, and wrong only by saying yes."""
    return _candidate(text, 0) >= 0


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
    if not said and value.get("format") in _SOUND_FORMATS:
        said = f"audio/{value['format']}"
    kind = media_type_of(said)
    return {
        key: item
        if type(item) not in (str, dict, list) or is_secret_key(str(key))
        else lift(item, blobs, "" if _OPAQUE.search(str(key)) else kind, depth + 1)
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
        for mark in (" ", '"', "\n", ","):
            last = find(mark, position, end)
            if last >= 0:
                position = last + 1
                break
        else:
            return position
    return -1


def _lift_text(text: str, blobs: list[Blob], said: str) -> str:
    """Return a text with references for the media in it: the same object where there are none."""
    pieces: list[str] = []
    done = 0
    position = _candidate(text, 0)
    while position >= 0:
        run = _RUN.search(text, position)
        while run is not None and len(run[0]) < MIN_RUN and run.start() < position + MIN_RUN:
            run = _RUN.search(text, run.end())
        if run is None:
            break
        if len(run[0]) < MIN_RUN:
            position = _candidate(text, position + MIN_RUN)
            continue
        start = _start(text, run)
        reference = _reference(text, start, run.end(), blobs, said)
        if reference:
            pieces += (text[done:start], reference)
            done = run.end()
        position = _candidate(text, run.end())
    if not pieces:
        return text
    pieces.append(text[done:])
    return "".join(pieces)


def _start(text: str, run: re.Match[str]) -> int:
    """Return where a run begins, behind the letters of an escape (``\\n``, ``\\u0022``) that stands before it."""
    start = run.start()
    tail = _ESCAPE_TAIL.match(text, start) if start and text[start - 1] == "\\" else None
    return start if tail is None else tail.end()


def _reference(text: str, start: int, end: int, blobs: list[Blob], said: str) -> str:
    """Return the reference that takes the place of a run, empty where it is no media."""
    run = text[start:end]
    before, behind = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    key = _KEY_BEFORE.search(before)
    if key is not None and is_secret_key(key[1]):
        return ""
    address = _DATA_ADDRESS.search(before)
    spare = len(run) % 4
    data, cut = _decoded(run, _is_cut(text, end, spare == 1 or (spare > 1 and address is not None)))
    if not data:
        return ""
    if address is not None:
        called, certain = address[1].replace("\\", ""), True
    elif key is not None and _OPAQUE.search(key[1]):
        called, certain = "", False
    else:
        called, certain = _called(before, behind), _SAID.search(before) is not None
        if not called and start == 0 and end == len(text):
            called = said
    called = media_type_of(called)
    shown = sniff(data)
    if not shown and (
        not (called or certain) or (address is None and called.startswith("text/") and not is_text(data))
    ):
        return ""
    cut = cut or (end == len(text) and not is_whole(shown, data))
    kind = settle_type(called, shown, data)
    blob = Blob(sha256(data).hexdigest(), kind, len(data), binascii.b2a_base64(data, newline=False).decode())
    blobs.append(blob)
    return reference_to(blob, cut)


def _called(before: str, behind: str) -> str:
    """Return what the JSON object around a run calls its type."""
    found = _TYPE_BEFORE.search(before) or _TYPE_BEHIND.match(behind)
    if found is not None:
        return found[1].replace("\\", "")
    sound = _FORMAT.search(before) or _FORMAT.search(behind)
    return f"audio/{sound[1]}" if sound is not None else ""


def _is_cut(text: str, end: int, uneven: bool) -> bool:
    """Tell whether what ends here had been cut off: JSON without its end, an uneven end, or a sender's own mark."""
    if end == len(text):
        return uneven or text[0] in '{["'
    return text.startswith(_CUT_MARKS, end)


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
