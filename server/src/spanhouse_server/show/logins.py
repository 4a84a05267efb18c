"""Logins of the web page: a cookie stands for a key, which never leaves the server again."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from hashlib import sha256

COOKIE = "spanhouse_session"
#: A login that was not used for this long has ended.
IDLE_S = 7 * 24 * 3600
MAX_LOGINS = 10_000


class Logins:
    """Maps cookies to keys, in memory: a restart of the server logs everyone out. Thread-safe."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[str, float]] = {}

    def open(self, key: str) -> str:
        """Return a new cookie value that stands for ``key``; the longest idle login makes room."""
        cookie = secrets.token_urlsafe(32)
        now_s = self._monotonic_s()
        with self._lock:
            if len(self._keys) >= MAX_LOGINS:
                del self._keys[min(self._keys, key=lambda digest: self._keys[digest][1])]
            self._keys[_digest(cookie)] = (key, now_s)
        return cookie

    def key(self, cookie: str) -> str | None:
        """Return the key behind a cookie, or nothing when it is unknown or was idle too long."""
        digest = _digest(cookie)
        now_s = self._monotonic_s()
        with self._lock:
            found = self._keys.get(digest)
            if found is None:
                return None
            if now_s - found[1] > IDLE_S:
                del self._keys[digest]
                return None
            self._keys[digest] = (found[0], now_s)
            return found[0]

    def close(self, cookie: str) -> None:
        """End a login."""
        with self._lock:
            self._keys.pop(_digest(cookie), None)


def _digest(cookie: str) -> str:
    return sha256(cookie.encode("utf-8", "replace")).hexdigest()
