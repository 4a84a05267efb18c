"""What a text says of media in it: their address, their type, the name of the field they stand in."""

from __future__ import annotations

import re
from functools import cached_property

from spanhouse_server.model.blob import media_type_of
from spanhouse_server.normalise.secret_names import is_secret_key

#: How far around media is looked for what they are called.
_AROUND = 300

_DATA_ADDRESS = re.compile(r"data:([\w.+\\/-]{0,128}?)(?:;[\w.+-]{1,64}=[^;,\"']{0,128})*;base64,\Z")
#: What goes on behind is no type: the window may show only its beginning, and a second reading more of it.
_TYPE = (
    r"""(?:mime|media|content)_?-?type(?:\\*["'])?\s*[:=]\s*\\*["']([\w.+-]{1,61}\\*/[\w.+-]{1,101})(?=\\*["';\s])"""
)
_TYPE_BEFORE = re.compile(rf"(?i:{_TYPE})[^{{}}]*\Z")
_TYPE_BEHIND = re.compile(rf"[^{{}}]*?(?i:{_TYPE})")
SOUND_FORMATS = ("pcm16", "pcm", "wav", "mp3", "flac", "opus", "aac", "ogg", "g711_ulaw", "g711_alaw")
_FORMAT = re.compile(rf"""["']format\\*["']\s*:\s*\\*["']({"|".join(SOUND_FORMATS)})\b""")
#: What says that base64 follows, whatever its bytes look like: OpenAI's sound, Gemini's data, Anthropic's and
#: OpenTelemetry's words for it.
_SAID = re.compile(
    r"""["'](?:input_audio|audio|inline_?[Dd]ata)\\*["']\s*:\s*\{[^{}]*\Z"""
    r"""|["']type\\*["']\s*:\s*\\*["'](?:base64|blob|binary)\\*["'][^{}]*\Z"""
)
_KEY_BEFORE = re.compile(r"""["']([\w. -]{1,64})\\*["']\s*:\s*\\*["'](?:data:[^"']*)?\Z""")
#: What is named so may be base64 beside media, and is none itself.
OPAQUE = re.compile(r"(?i)signature|encrypt|token|cursor|hash")


class Place:
    """Where media stand in a text: from ``start`` to ``end``, behind ``opening``, which may be told apart from it."""

    def __init__(self, text: str, start: int, end: int, opening: str = "") -> None:
        self.text, self.start, self.end = text, start, end
        self._before = text[max(0, start - _AROUND) : start] + opening
        self._behind = text[end : end + _AROUND]
        self._key = _KEY_BEFORE.search(self._before)
        self._address = _DATA_ADDRESS.search(self._before)

    @property
    def secret(self) -> bool:
        """Tell whether the field is named as a secret: what is in it is not kept at all."""
        return self._key is not None and is_secret_key(self._key[1])

    @property
    def addressed(self) -> bool:
        """Tell whether the media are the data of a ``data:`` address."""
        return self._address is not None

    @property
    def opaque(self) -> bool:
        """Tell whether the field is named as one that holds no media."""
        return not self.addressed and self._key is not None and OPAQUE.search(self._key[1]) is not None

    @property
    def certain(self) -> bool:
        """Tell whether the text says that this is base64, whatever its bytes look like."""
        return self.addressed or (not self.opaque and _SAID.search(self._before) is not None)

    @cached_property
    def media_type(self) -> str:
        """Return the type that the text names, empty where it names none."""
        if self._address is not None:
            return media_type_of(self._address[1].replace("\\", ""))
        return "" if self.opaque else media_type_of(self._named())

    @property
    def whole(self) -> bool:
        """Tell whether the media are all of the text."""
        return self.start == 0 and self.end == len(self.text)

    @property
    def string(self) -> str:
        """Return the quote of the string whose only content ends or begins here, empty where other text is around."""
        quote = self.text[self.start - 1 : self.start] if self.start else ""
        return quote if quote in ('"', "'") and self._behind.lstrip("\\")[:1] in (quote, "") else ""

    def _named(self) -> str:
        """Return what the JSON object around calls its type."""
        found = _TYPE_BEFORE.search(self._before) or _TYPE_BEHIND.match(self._behind)
        if found is not None:
            return found[1].replace("\\", "")
        sound = _FORMAT.search(self._before) or _FORMAT.search(self._behind)
        return f"audio/{sound[1]}" if sound is not None else ""
