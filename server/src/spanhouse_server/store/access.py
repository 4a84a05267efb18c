"""Who may open which project: by the admin key, by a project's key, or by being on this machine."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from spanhouse_server.config import Settings
from spanhouse_server.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from spanhouse_server.store.contract import RecordsStore

DEFAULT_PROJECT = "default"
_SIGNING_KEY = "signing_key"

#: A revoked key or a new project is seen after at most this long.
FRESH_S = 3.0
#: While the records store is down, what was known is believed for this long.
STALE_S = 24 * 3600.0
#: After a fault of the records store it is not asked again for so long: an answer may take until its time is up, and
#: meanwhile every request would wait for one of its own.
AWAY_S = 5.0
MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    value: str | None
    read_s: float


class Access:
    """Answers from memory for a few seconds, so that ingest does not depend on the records store.

    Thread-safe. Secrets are held only as hashes.
    """

    def __init__(
        self, settings: Settings, records: RecordsStore, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._admin_key = str(settings.admin_key or "")
        self._keys_required = settings.keys_required
        self._records = records
        self._monotonic_s = monotonic_s
        self._keys: dict[str, _Known] = {}
        self._projects: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._away: tuple[float, Unavailable] | None = None
        self._signing_key = b""

    def is_admin(self, secret: str | None) -> bool:
        """Tell whether the caller may manage projects and keys.

        Without keys in force everyone who reaches the server (this machine only) may.
        """
        if secret:
            return self._is_admin_key(secret)
        return not self._keys_required

    def project_for(self, secret: str | None, project: str | None) -> str:
        """Return the project a request works in.

        ``secret`` is the key the request carried, ``project`` the one it asked for; both may be
        missing. Raises ``Unauthenticated`` for a missing, unknown or revoked key, ``Forbidden``
        for a key of another project, ``NotFound`` for a project that does not exist.
        """
        if not secret:
            if self._keys_required:
                raise Unauthenticated(
                    "a key is required", "send `Authorization: Bearer <key>` with a project key or the admin key"
                )
            return self._existing(project or DEFAULT_PROJECT)
        if self._is_admin_key(secret):
            return self._existing(project or DEFAULT_PROJECT)
        own = self._project_of_key(secret)
        if own is None:
            raise Unauthenticated("the key is unknown or revoked", "create a key on the Settings page or ask its owner")
        if project and project != own:
            raise Forbidden("the key does not open this project", "leave the project out to use the key's own")
        return own

    def signing_key(self) -> bytes:
        """Return the key that all servers of these records sign their own addresses with, made at first use."""
        if not self._signing_key:
            self._signing_key = bytes.fromhex(self._records.first_setting(_SIGNING_KEY, token_hex(32)))
        return self._signing_key

    def forget(self) -> None:
        """Drop what is remembered, so that the next request sees a change at once."""
        with self._lock:
            self._keys.clear()
            self._projects.clear()

    def _is_admin_key(self, secret: str) -> bool:
        return bool(self._admin_key) and hmac.compare_digest(
            secret.encode("utf-8", "replace"), self._admin_key.encode()
        )

    def _existing(self, project: str) -> str:
        if project == DEFAULT_PROJECT:
            return project
        if self._lookup(self._projects, project, self._read_project) is None:
            raise NotFound(f"no project {project!r}", "create it first, or leave the project out to use `default`")
        return project

    def _project_of_key(self, secret: str) -> str | None:
        digest = sha256(secret.encode("utf-8", "replace")).hexdigest()
        return self._lookup(self._keys, digest, lambda _: self._read_key(secret))

    def _read_project(self, project: str) -> str | None:
        found = self._records.project(project)
        return found.id if found else None

    def _read_key(self, secret: str) -> str | None:
        key = self._records.authenticate(secret)
        return key.project_id if key else None

    def _lookup(self, cache: dict[str, _Known], name: str, read: Callable[[str], str | None]) -> str | None:
        now_s = self._monotonic_s()
        known = cache.get(name)
        if known and now_s - known.read_s < FRESH_S:
            return known.value
        try:
            if self._away and now_s - self._away[0] < AWAY_S:
                raise self._away[1].with_traceback(None)
            value = read(name)
        except Unavailable as error:
            if self._away is None or self._away[1] is not error:
                self._away = self._monotonic_s(), error
            # An outage of the records store must not turn known senders away.
            if known and known.value is not None and now_s - known.read_s < STALE_S:
                return known.value
            raise
        self._away = None
        with self._lock:
            if len(cache) >= MAX_CACHED:
                _make_room(cache)
            cache[name] = _Known(value, now_s)
        return value


def _make_room(cache: dict[str, _Known]) -> None:
    """Drop what was not found, then the older half: guesses must not push known senders out."""
    for name in [name for name, known in cache.items() if known.value is None]:
        del cache[name]
    if len(cache) >= MAX_CACHED:
        for name in sorted(cache, key=lambda name: cache[name].read_s)[: len(cache) // 2]:
            del cache[name]
