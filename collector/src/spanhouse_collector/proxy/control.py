"""What a caller is told about control headers that could not be followed as sent.

A call is never refused for them: the answer carries ``Spanhouse-Warning``, once for each. What policies
are asked for is judged by the policies (``Spanhouse-Policy-Warning``).
"""

from __future__ import annotations

from collections.abc import Mapping

from spanhouse_collector.proxy.headers import MAX_PROPERTIES, MAX_VALUE_CHARACTERS, RawHeaders, read_bool

WARNING = b"spanhouse-warning"
MAX_WARNINGS = 8
MAX_WARNING_CHARACTERS = 400
_PREFIXES = (b"x-spanhouse-", b"spanhouse-")
#: Names behind the prefix that say something, and how a malformed value of a boolean one is taken.
_BOOLEANS = {
    "omit-request": "the request is left out of the record",
    "omit-response": "the answer is left out of the record",
    "stream-usage": "it is ignored",
}
_TEXTS = frozenset(
    [
        "session-id",
        "session-name",
        "session-path",
        "user-id",
        "environment",
        "prompt-id",
        "prompt-name",
        "prompt-version",
    ]
)
_OTHERS = frozenset(["auth", "key", "project", "tags", "target-url", "request-id", "fallbacks", "ratelimit-policy"])
_FAMILIES = ("property-", "cache-", "retry-")


def warnings_for(headers: RawHeaders, own: Mapping[str, str]) -> RawHeaders:
    """Return the warnings about a call's headers of ours as headers of its answer; usually none.

    ``own`` is ``RequestHead.own``. Unknown names are told for our prefix only: another gateway's
    headers, whose prefix is taken too, are more than what is supported here.
    """
    if not own:
        return []
    said = [
        f"{shown(name)} is neither true nor false: {taken}"
        for name, taken in _BOOLEANS.items()
        if name in own and read_bool(own[name]) is None
    ]
    long = [name for name, value in own.items() if _is_text(name) and len(value) > MAX_VALUE_CHARACTERS]
    said += [f"{shown(name)} is cut to {MAX_VALUE_CHARACTERS} characters" for name in long]
    for name, value in (("properties", _properties(own)), ("tags", _tags(own))):
        if value > MAX_PROPERTIES:
            said.append(f"{value} {name} were sent, {MAX_PROPERTIES} are kept")
    for raw, _ in headers:
        prefix = next((prefix for prefix in _PREFIXES if raw.startswith(prefix)), b"")
        if prefix:
            name = raw[len(prefix) :].decode("latin-1")
            if not _is_known(name):
                said.append(f"{shown(name)} is no header of this proxy")
    return [(WARNING, header_text(text)) for text in said[:MAX_WARNINGS]]


def header_text(text: str) -> bytes:
    """Return what a header can carry of a text, which may quote what a caller sent."""
    return "".join(char if 32 <= ord(char) < 127 else "?" for char in text)[:MAX_WARNING_CHARACTERS].encode("ascii")


def shown(name: str) -> str:
    """Return a header's name as the documentation writes it; what a caller sent may be anything."""
    return "Spanhouse-" + "-".join(word.capitalize() for word in name[:64].split("-"))


def _is_known(name: str) -> bool:
    return name in _BOOLEANS or name in _TEXTS or name in _OTHERS or name.startswith(_FAMILIES)


def _is_text(name: str) -> bool:
    return name in _TEXTS or name.startswith("property-")


def _properties(own: Mapping[str, str]) -> int:
    return sum(name.startswith("property-") for name in own)


def _tags(own: Mapping[str, str]) -> int:
    return sum(bool(tag.strip()) for tag in own.get("tags", "").split(","))
