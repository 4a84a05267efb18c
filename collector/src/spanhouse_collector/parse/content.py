"""Message parts as the conventions spell them, and the bounds every text is kept within.

Media (images, audio, files in base64) stay in their parts up to ``Limits.media_bytes``; of larger ones a part says
what kind of thing was there and how large it was. Other payloads (vectors, base64 elsewhere) are never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from spanhouse_collector.parse.contract import Limits, Message, Part
from spanhouse_collector.parse.jsontext import MAX_DEPTH, MISSING, loads, mend
from spanhouse_collector.parse.squeeze import CUT_MARK

MAX_NAME_CHARACTERS = 1024
_VECTOR_ITEMS = 64
_BASE64_CHARACTERS = 1024
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}(?:…\[cut\])?\Z")
_NOTE_END = " characters in all]"
_NOTE_CHARACTERS = 64
_MODALITIES = ("image", "audio", "video")


def name_of(value: Any) -> str:
    """Return a label or id as text, bounded; empty for anything else."""
    if isinstance(value, str):
        return mend(value[:MAX_NAME_CHARACTERS])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)[:64]
    return ""


def text_part(text: str) -> Part:
    """Return a text part."""
    return {"type": "text", "content": text}


def reasoning_part(text: str) -> Part:
    """Return a part with what the model thought."""
    return {"type": "reasoning", "content": text}


def tool_call_part(call_id: Any, name: Any, arguments: Any) -> Part:
    """Return a tool call; JSON text becomes the object it spells, other text stays."""
    part: Part = {"type": "tool_call", "id": name_of(call_id), "name": name_of(name), "arguments": opened(arguments)}
    if not part["id"]:
        del part["id"]
    return part


def tool_response_part(call_id: Any, response: Any) -> Part:
    """Return a tool's answer."""
    part: Part = {"type": "tool_call_response", "id": name_of(call_id), "response": opened(response)}
    if not part["id"]:
        del part["id"]
    return part


def blob_part(modality: str, mime_type: Any, data: Any) -> Part:
    """Return a part for inline data: with the data, where all of it is there; ``Trim`` decides what is kept."""
    part: Part = {"type": "blob", "modality": modality, "content": ""}
    if name_of(mime_type):
        part["mime_type"] = name_of(mime_type)
    if isinstance(data, str) and not data.endswith(CUT_MARK):
        part["content"] = data
        part["size_bytes"] = len(data.rstrip("=")) * 3 // 4
    return part


def url_part(modality: str, url: Any) -> Part:
    """Return a link, or what stands for the data when the link is a ``data:`` one."""
    text = url if isinstance(url, str) else ""
    if text.startswith("data:"):
        head, _, data = text[5:].partition(",")
        return blob_part(modality, head.partition(";")[0], data)
    return {"type": "uri", "modality": modality, "uri": text}


def file_part(modality: str, file_id: Any, mime_type: Any = "") -> Part:
    """Return a reference to a file the provider keeps."""
    part: Part = {"type": "file", "modality": modality, "file_id": name_of(file_id)}
    if name_of(mime_type):
        part["mime_type"] = name_of(mime_type)
    return part


def modality_of(mime_type: Any) -> str:
    """Return ``image``, ``audio`` or ``video`` by a media type, else ``document``."""
    kind = mime_type if isinstance(mime_type, str) else ""
    return next((known for known in _MODALITIES if kind.startswith(known)), "document")


def message(role: Any, parts: Iterable[Part], finish_reason: str = "") -> Message:
    """Return a message."""
    made: Message = {"role": name_of(role) or "user", "parts": list(parts)}
    if finish_reason:
        made["finish_reason"] = finish_reason
    return made


def turns(role: Any, parts: list[Part]) -> list[Message]:
    """Return the messages of one: tool results that come in the user's name stand apart from the rest."""
    results = [part for part in parts if part.get("type") == "tool_call_response"]
    if name_of(role) not in ("user", "") or not results:
        return [message(role, parts)]
    rest = [part for part in parts if part.get("type") != "tool_call_response"]
    return [message("tool", results), *([message("user", rest)] if rest else [])]


def opened(value: Any) -> Any:
    """Return the object or array that JSON text spells; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        found = loads(value)
        return value if found is MISSING else found
    return value


def as_list(value: Any) -> list[Any]:
    """Return a list as it is and nothing for anything else."""
    return value if isinstance(value, list) else []


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object as it is and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class Budget:
    """What one answer may still keep, in characters, over all its texts and parts."""

    __slots__ = ("left",)

    def __init__(self, characters: int) -> None:
        self.left = characters

    def take(self, wanted: int) -> int:
        """Return how much of what is wanted may be kept, and count it."""
        granted = min(wanted, self.left)
        self.left -= granted
        return granted


class Text:
    """A text put together from deltas, kept up to a bound of its own and its answer's budget.

    ``seen`` counts all characters, also those that are not kept.
    """

    __slots__ = ("_bound", "_budget", "_kept", "_pieces", "seen")

    def __init__(self, bound: int, budget: Budget) -> None:
        self._bound = bound
        self._budget = budget
        self._pieces: list[str] = []
        self._kept = 0
        self.seen = 0

    def add(self, piece: Any) -> bool:
        """Append a delta; tell whether it was text and not empty."""
        if not isinstance(piece, str) or not piece:
            return False
        if self._kept == self.seen:  # nothing was left out so far
            granted = self._budget.take(min(len(piece), self._bound - self._kept))
            self._kept += granted
            self._pieces.append(piece if granted == len(piece) else piece[:granted])
            if len(self._pieces) > 512:
                self._pieces = ["".join(self._pieces)]
        self.seen += len(piece)
        return True

    @property
    def cut(self) -> bool:
        """Tell whether not all of it was kept."""
        return self._kept < self.seen

    def __str__(self) -> str:
        text = mend("".join(self._pieces))
        return text + cut_note(self.seen) if self.cut else text

    def __bool__(self) -> bool:
        return self.seen > 0


def cut_note(characters: int) -> str:
    """Return what ends a text of which only the beginning is kept."""
    return f"… [truncated, {characters}{_NOTE_END}"


class Trim:
    """Brings content within bounds. ``cut`` turns true when something of it was left out.

    Payloads left out by their nature (base64, vectors) do not count as cut. ``media_bytes`` is how much of what was
    kept are media; they have a bound of their own.
    """

    def __init__(self, limits: Limits, text_characters: int | None = None) -> None:
        self._characters = limits.text_characters if text_characters is None else text_characters
        self._items = limits.messages
        self._most_media_bytes = limits.media_bytes
        self.media_bytes = 0
        self.cut = False

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return the value with long texts cut, payloads named and depth bounded."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            if value.get("type") == "blob" and isinstance(value.get("content"), str):
                return self._media(value, depth)
            if depth >= MAX_DEPTH:
                self.cut = True
                return "[nested too deeply]"
            if len(value) > self._items:
                self.cut = True
                value = dict(list(value.items())[: self._items])
            return {mend(key[:MAX_NAME_CHARACTERS]): self.value(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return self._list(value, depth)
        return value

    def _media(self, part: Part, depth: int) -> Any:
        """Return a part for media, without its data where these are no base64 or there is no room for them."""
        data = part["content"]
        kept = self.media_bytes + len(data) <= self._most_media_bytes and _BASE64.fullmatch(data) is not None
        self.media_bytes += len(data) if kept else 0
        rest = {key: item for key, item in part.items() if key not in ("type", "content")}
        return {"type": "blob", "content": data if kept else ""} | self.value(rest, depth)

    def _list(self, value: list[Any], depth: int) -> Any:
        if depth >= MAX_DEPTH:
            self.cut = True
            return "[nested too deeply]"
        if len(value) > _VECTOR_ITEMS and all(type(item) in (float, int) for item in value):
            return f"[{len(value)} numbers]"
        if len(value) > self._items:
            self.cut = True
            half = self._items // 2
            value = [*value[:half], *value[len(value) - half :]]
        return [self.value(item, depth + 1) for item in value]

    def text(self, text: str) -> str:
        """Return a text within bounds; base64 is replaced by a statement of its length."""
        if len(text) >= _BASE64_CHARACTERS:
            start = text.find(",", 0, 128) + 1 if text.startswith("data:") else 0
            if _is_base64(text, start):
                return f"{text[:start]}[{len(text) - start} characters of base64]"
        if len(text) > self._characters:
            self.cut = True
            if len(text) <= self._characters + _NOTE_CHARACTERS and text.endswith(_NOTE_END):
                return mend(text)  # cut to this length before
            return mend(text[: self._characters]) + cut_note(len(text))
        if text.endswith((CUT_MARK, _NOTE_END)):
            self.cut = True
        return mend(text)


def _is_base64(text: str, start: int) -> bool:
    """Tell whether this is a payload: no word is that long, and one in one case would be a test's."""
    head = text[start : start + _BASE64_CHARACTERS]
    if not _BASE64.match(head) or head.isalpha() or head.upper() == head or head.lower() == head:
        return False
    return _BASE64.match(text, start) is not None
