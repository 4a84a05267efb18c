"""The way out for notifications: the proxy's rules for addresses and its way of keeping secrets.

Beside ``proxy_mount`` the only place that knows the collector. A name is resolved and checked once, and connected
to by the address that was checked; private addresses may be reached only on hosts that the operator named.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from spanhouse_collector.errors import CollectorError, ForbiddenTarget
from spanhouse_collector.policy.engine import MASTER_FILE
from spanhouse_collector.policy.keys import master_key
from spanhouse_collector.proxy.addresses import resolve
from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError, Undelivered

_NONCE_BYTES = 12


class Guard:
    """The guard of the way out of one server; an ``Outward``."""

    def __init__(self, settings: Settings) -> None:
        """Raises ``ConfigError`` when the master key cannot be read."""
        hosts = str(settings.alert_private_hosts).split(",")
        self._private = [host.strip().lower() for host in hosts if host.strip()]
        folder = Path(settings.data_dir).resolve() / "proxy"
        try:
            self._cipher = AESGCM(master_key(folder / MASTER_FILE, settings.proxy_master_key))
        except CollectorError as error:
            raise ConfigError(error.message, error.hint) from None

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to. Raises ``Undelivered`` for those that may not be reached."""
        try:
            return asyncio.run(resolve(host, port, private_allowed=self._may_be_private(host)))
        except ForbiddenTarget as error:
            raise Undelivered(
                error.message, "name the host in SPANHOUSE_ALERT_PRIVATE_HOSTS to allow it", retry=False
            ) from None
        except CollectorError as error:
            raise Undelivered(error.message, error.hint, retry=True) from None

    def seal(self, secrets: Mapping[str, str], bound_to: Sequence[str]) -> bytes:
        """Return secrets encrypted (AES-256-GCM), authenticated together with what they are bound to."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, orjson.dumps(dict(secrets)), orjson.dumps(list(bound_to)))

    def unseal(self, sealed: bytes, bound_to: Sequence[str]) -> dict[str, str]:
        """Return sealed secrets. Raises ``Undelivered`` when they do not belong to what they are bound to."""
        try:
            opened = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], orjson.dumps(list(bound_to)))
        except (InvalidTag, ValueError):
            raise Undelivered(
                "the channel's secrets cannot be decrypted: they were changed, or sealed with another master key",
                "give them again, or restore the master key",
                retry=False,
            ) from None
        found: dict[str, str] = orjson.loads(opened)
        return found

    def _may_be_private(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return any(name == each or (each.startswith("*.") and name.endswith(each[1:])) for each in self._private)
