"""Options of channels as given: what is missing, misspelt or malformed is named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from spanhouse_server.errors import BadRequest

MAX_TEXT = 2000
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252})|\[?[0-9A-Fa-f:.]{2,45}\]?")


class Options:
    """Reads options and secrets one by one and, at the end, refuses those that nobody read."""

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._options = options
        self._secrets = secrets
        self._known: set[str] = set()
        self.kept: dict[str, Any] = {}

    def text(self, name: str, default: str = "", *, needed: bool = False) -> str:
        """Return a text and keep it."""
        value = self._take(name, self._options, default, needed)
        self.kept[name] = value
        return value

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        """Return one of some words and keep it."""
        value = self.text(name, default)
        if value not in known:
            raise BadRequest(f"options.{name} must be one of {', '.join(known)}")
        return value

    def port(self, name: str, default: int) -> int:
        """Return a port and keep it."""
        self._known.add(name)
        value = self._options.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65_536:
            raise BadRequest(f"options.{name} must be a port between 1 and 65535")
        self.kept[name] = value
        return value

    def texts(self, name: str, limit: int) -> list[str]:
        """Return a list of texts, at least one, and keep it."""
        self._known.add(name)
        value = self._options.get(name)
        if not isinstance(value, list | tuple) or not 0 < len(value) <= limit:
            raise BadRequest(f"options.{name} must be a list of 1 to {limit} texts")
        if not all(isinstance(each, str) and 0 < len(each) <= 320 for each in value):
            raise BadRequest(f"options.{name} must hold texts of up to 320 characters")
        self.kept[name] = list(value)
        return list(value)

    def secret(self, name: str, *, needed: bool = False) -> str:
        """Return a secret; it is kept elsewhere."""
        return self._take(name, self._secrets, "", needed, "secrets")

    def finish(self) -> dict[str, Any]:
        """Return what is to be kept; raise ``BadRequest`` for names that nobody read."""
        for where, given in (("options", self._options), ("secrets", self._secrets)):
            for name in given:
                if name not in self._known:
                    near = difflib.get_close_matches(str(name), self._known, n=1)
                    raise BadRequest(
                        f"{where}.{str(name)[:60]} is unknown to this type of channel",
                        f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(self._known))}",
                    )
        return self.kept

    def _take(self, name: str, given: Mapping[str, Any], default: str, needed: bool, where: str = "options") -> str:
        self._known.add(name)
        value = given.get(name, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
            raise BadRequest(f"{where}.{name} must be one line of text of up to {MAX_TEXT} characters")
        if needed and not value:
            raise BadRequest(f"{where}.{name} is missing")
        return value


def origin_of(url: str, name: str) -> str:
    """Return the origin of an http(s) URL, e.g. ``https://hooks.example.com``; raise ``BadRequest``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in ("http", "https") or not is_host(parts.hostname or ""):
        raise BadRequest(f"{name} must be an address such as https://hooks.example.com/path")
    if not url.isascii() or " " in url:
        raise BadRequest(f"{name} holds a space or a character beyond ASCII", "write them percent-encoded, as %20")
    if parts.username is not None or parts.password is not None:
        raise BadRequest(f"{name} holds a user name or password", "give them as secrets of their own")
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def is_host(text: str) -> bool:
    """Tell whether a text can be a host name or an address."""
    return bool(_HOST.fullmatch(text))
