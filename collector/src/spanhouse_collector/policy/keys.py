"""Stored provider keys: callers hold a virtual key, the proxy swaps it for the real one.

A virtual key is bound to a tenant and to a set of origins (scheme, host, port, compared exactly: no
patterns, no prefixes). Four things keep the real key where it belongs:

- it is sent only to an origin in its set; for any other the call is refused before anything is sent;
- it lies encrypted (AES-256-GCM) and the tenant and origins are authenticated with it, so that whoever
  can write the file cannot bind a key to another host: it then no longer decrypts;
- only the SHA-256 of a virtual key is stored; the lookup goes by that hash, so its time tells nothing of
  the key itself;
- a ``Secret`` shows itself in no ``repr``, log line or traceback.

A virtual key that is unknown or revoked is refused and never passed on either.

The master key comes from the environment (32 bytes in base64) or from a file of mode 0600 that is made at
first use. Without it the stored keys are lost: that is the point.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from spanhouse_collector.policy.database import open_database
from spanhouse_collector.policy.errors import KeyNotForHost, MalformedPolicy, PolicyStoreError, UnknownKey
from spanhouse_collector.policy.origins import origin

#: How a virtual key begins; what begins so is never sent upstream.
PREFIX = "sk-spanhouse-"
_NONCE_BYTES = 12
_MASTER_BYTES = 32
_MAX_ORIGINS = 32
_MAX_KEY_CHARACTERS = 8_192
_TABLE = """
CREATE TABLE IF NOT EXISTS provider_keys (
    key_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,
    origins TEXT NOT NULL, nonce BLOB NOT NULL, sealed BLOB NOT NULL, ending TEXT NOT NULL,
    created_ns INTEGER NOT NULL, revoked_ns INTEGER
)
"""
_COLUMNS = "key_id, tenant, name, digest, origins, nonce, sealed, ending, created_ns, revoked_ns"
_INSERT = f"INSERT INTO provider_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"  # noqa: S608
_SELECT = f"SELECT {_COLUMNS} FROM provider_keys WHERE revoked_ns IS NULL"  # noqa: S608
_UNKNOWN = ("the stored key is not known, or was revoked", "make one with: spanhouse-collector keys add")


class Secret:
    """A real key. Only ``reveal`` gives it out; it cannot be printed, pickled or compared by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key, to be put into the request that goes out and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What may be shown of a stored key: ``ending`` holds the last characters of the real one."""

    key_id: str
    tenant: str
    name: str
    origins: tuple[str, ...]
    ending: str
    created_ns: int


@dataclass(frozen=True, slots=True)
class _Sealed:
    stored: StoredKey
    digest: bytes
    nonce: bytes
    sealed: bytes


def master_key(path: Path, encoded: str = "") -> bytes:
    """Return the 32 bytes that encrypt: ``encoded`` (base64, from the environment) or from the file.

    The file is made with mode 0600 when missing. Raises ``PolicyStoreError`` when it is readable by others
    or not a key.
    """
    if encoded:
        return _decode(encoded, "the master key in the environment")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read_master(path)
    except OSError as error:
        raise PolicyStoreError(
            f"{path} cannot be made: {error.strerror}; choose a folder that can be written"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(_MASTER_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return _read_master(path)


def _read_master(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise PolicyStoreError(f"{path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise PolicyStoreError(f"{path} is open to other users (mode {mode:o}); run: chmod 600 {path}")
    return _decode(text, str(path))


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _MASTER_BYTES:
        raise PolicyStoreError(
            f"{source} is not {_MASTER_BYTES} bytes in base64; make one with: openssl rand -base64 32"
        )
    return key


class Vault:
    """The stored keys, in one SQLite file of mode 0600; looked up in memory. For one thread."""

    def __init__(self, path: Path, master: bytes, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._database = open_database(path, _TABLE)
        self._cipher = AESGCM(master)
        self._clock = clock
        self._by_digest: dict[bytes, _Sealed] = {}
        self._version = 0
        self.reload()
        self.changed()

    def add(self, tenant: str, name: str, real_key: str, urls: Sequence[str]) -> tuple[str, StoredKey]:
        """Store a provider key and return its virtual key, which is shown this once, and what is kept.

        ``urls`` name the origins it may be sent to (``https://api.openai.com``; a bare host means https).
        """
        real_key = real_key.strip()
        if not real_key or len(real_key) > _MAX_KEY_CHARACTERS or not real_key.isascii() or not real_key.isprintable():
            raise MalformedPolicy("the provider key is empty, too long or not printable text")
        if real_key.startswith(PREFIX):
            raise MalformedPolicy("the provider key is itself a virtual key", "give the key the provider issued")
        virtual_key = PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(virtual_key.encode()).digest()
        ending = real_key[-4:] if len(real_key) >= 20 else ""
        stored = StoredKey(uuid.uuid4().hex, tenant, name, _origins(urls), ending, self._clock())
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, real_key.encode(), _bound_to(stored, digest))
        origins = orjson.dumps(stored.origins).decode()
        values = (stored.key_id, tenant, name, digest, origins, nonce, sealed, ending, stored.created_ns)
        self._database.execute(_INSERT, values)
        self._by_digest[digest] = _Sealed(stored, digest, nonce, sealed)
        return virtual_key, stored

    def resolve(self, virtual_key: str, url: str, tenant: str | None = None) -> Secret:
        """Return the real key to send to ``url``; ``tenant`` is whom the caller proved to be, if anyone.

        Raises ``UnknownKey`` (also for another tenant's) or ``KeyNotForHost``.
        """
        digest = hashlib.sha256(virtual_key.encode("utf-8", "surrogateescape")).digest()
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            raise UnknownKey(*_UNKNOWN)
        if tenant is not None and found.stored.tenant != tenant:
            raise UnknownKey(*_UNKNOWN)
        asked = _origin_of(url)
        if asked not in found.stored.origins:
            raise KeyNotForHost(
                f"the stored key {found.stored.name!r} is not for {asked}",
                f"it is bound to {', '.join(found.stored.origins)}",
            )
        try:
            opened = self._cipher.decrypt(found.nonce, found.sealed, _bound_to(found.stored, digest))
        except InvalidTag:
            raise UnknownKey(
                f"the stored key {found.stored.name!r} cannot be decrypted: its record was changed, or sealed with "
                "another master key",
                "restore the master key, or store the provider key again",
            ) from None
        return Secret(opened.decode())

    def tenant_of(self, virtual_key: str) -> str | None:
        """Return whose key it is, ``None`` when it is not known."""
        digest = hashlib.sha256(virtual_key.encode("utf-8", "surrogateescape")).digest()
        found = self._by_digest.get(digest)
        return found.stored.tenant if found is not None else None

    def list(self, tenant: str | None = None) -> list[StoredKey]:
        """Return the keys in use, oldest first; of one tenant when named."""
        stored = [item.stored for item in self._by_digest.values() if tenant in (None, item.stored.tenant)]
        return sorted(stored, key=lambda item: (item.created_ns, item.key_id))

    def revoke(self, key_id: str, tenant: str) -> bool:
        """Stop a key of a tenant and wipe the real one; return whether there was such a key."""
        wiped = "UPDATE provider_keys SET revoked_ns = ?, sealed = x'', nonce = x'' WHERE key_id = ? AND tenant = ?"
        done = self._database.execute(wiped + " AND revoked_ns IS NULL", (self._clock(), key_id, tenant)).rowcount
        self.reload()
        return done > 0

    def reload(self) -> None:
        """Read the file again: another process may have added or revoked keys."""
        found: dict[bytes, _Sealed] = {}
        for key_id, tenant, name, digest, origins, nonce, sealed, ending, created_ns, _ in self._database.execute(
            _SELECT
        ):
            stored = StoredKey(key_id, tenant, name, tuple(orjson.loads(origins)), ending, created_ns)
            found[digest] = _Sealed(stored, digest, nonce, sealed)
        self._by_digest = found

    def changed(self) -> bool:
        """Tell whether another connection changed the file since the last call; cheap enough to poll."""
        version = int(self._database.execute("PRAGMA data_version").fetchone()[0])
        changed, self._version = version != self._version, version
        return changed

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def __repr__(self) -> str:
        return f"Vault({str(self._path)!r}, {len(self._by_digest)} keys)"


def is_virtual(value: str) -> bool:
    """Tell whether a credential is a virtual key."""
    return value.startswith(PREFIX)


def swap_header(value: str, exchange: Callable[[str], str]) -> str:
    """Return a header's value with the virtual key in it exchanged; others come back as they are.

    ``exchange`` returns the real key.

    Understands the bare key (``x-api-key``) and a scheme before it (``Authorization: Bearer …``).
    """
    scheme, space, token = value.rpartition(" ")
    if not is_virtual(token):
        return value
    return scheme + space + exchange(token)


def swap_query(query: str, exchange: Callable[[str], str]) -> str:
    """Return a raw query with a virtual key in any parameter (``key=…``) exchanged."""
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        parts.append(name + equals + exchange(value) if is_virtual(value) else part)
    return "&".join(parts)


def _origins(urls: Sequence[str]) -> tuple[str, ...]:
    if not 1 <= len(urls) <= _MAX_ORIGINS:
        raise MalformedPolicy(f"a stored key needs 1 to {_MAX_ORIGINS} hosts it may be sent to")
    return tuple(sorted({_origin_of(url if "://" in url else f"https://{url}") for url in urls}))


def _origin_of(url: str) -> str:
    try:
        return origin(url)
    except ValueError as error:
        raise MalformedPolicy(str(error), "write https://host or https://host:port") from None


def _bound_to(stored: StoredKey, digest: bytes) -> bytes:
    """Return what is authenticated with the sealed key: nobody can change it without breaking the seal."""
    return orjson.dumps([digest.hex(), stored.key_id, stored.tenant, list(stored.origins)])
