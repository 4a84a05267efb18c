"""Base64 that is broken into lines, as mail has it: 60 to 76 characters, then a line break, be it escaped by JSON."""

from __future__ import annotations

import re

#: Lines are rarely shorter; the encoders of mail and of certificates, and the tools of Unix write 60, 64 or 76.
SHORTEST, LONGEST = 56, 80

_BREAK = r"(?:\r?\n|\\++r\\++n|\\++n)"
_LINES = re.compile(
    rf"(?:[A-Za-z0-9+/]{{{SHORTEST},{LONGEST}}}+{_BREAK})++(?:[A-Za-z0-9+/]++(?:={{1,2}}|(?:\\++u003[Dd]){{1,2}})?)?"
)
_BREAKS = re.compile(_BREAK)
_LAST_BREAK = re.compile(rf"{_BREAK}\Z")
_LONGEST_BREAK = 64
#: What belongs to base64 that ends a text or a string in it: its last line break, or the beginning of one.
_BEHIND = re.compile(rf"{_BREAK}(?=\\*[\"']|\Z)|(?:\r|\\++r?)\Z")


def lines_at(text: str, start: int) -> tuple[int, str]:
    """Return where the lines of base64 end that begin at ``start``, and their characters without the breaks.

    Where there are less than two lines: ``start`` and nothing.
    """
    found = _LINES.match(text, start)
    if found is None:
        return start, ""
    last = _LAST_BREAK.search(found[0], max(0, len(found[0]) - _LONGEST_BREAK))
    end = found.end() if last is None else start + last.start()
    behind = _BEHIND.match(text, end)
    return end if behind is None else behind.end(), _BREAKS.sub("", found[0])
