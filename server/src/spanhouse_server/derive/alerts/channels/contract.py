"""What a type of channel is, and what it may use to reach the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from spanhouse_server.errors import Unavailable, Undelivered

Message = Mapping[str, Any]
"""A notification as ``derive.alerts.message`` makes it."""
Secrets = Mapping[str, str]


class Outward(Protocol):
    """The guard of the way out: it comes from whoever puts the house together."""

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to. Raises ``Undelivered`` for those that may not be reached."""

    def seal(self, secrets: Secrets, bound_to: Sequence[str]) -> bytes:
        """Return secrets encrypted, readable again only with the same ``bound_to``."""

    def unseal(self, sealed: bytes, bound_to: Sequence[str]) -> dict[str, str]:
        """Return sealed secrets. Raises ``Undelivered`` when they were changed or sealed with another key."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A channel's options as checked, and its target as it may be shown (no path, no credentials)."""

    options: Mapping[str, Any]
    target: str


class ChannelType(Protocol):
    """A way to tell people. ``name`` is the channel's ``type``; ``secrets`` names what is never shown again."""

    name: str

    @property
    def secrets(self) -> Sequence[str]:
        """Return the names of its secrets."""

    def check(self, options: Mapping[str, Any], secrets: Secrets) -> Setup:
        """Return the options as they can be kept; raise ``BadRequest`` naming the one at fault."""

    def send(self, options: Mapping[str, Any], secrets: Secrets, message: Message, outward: Outward) -> None:
        """Deliver a message. Raises ``Undelivered``. The same message may be sent again: it carries its id."""


class NoOutward:
    """Stands where no guard is installed: nothing goes out, and the reason is said."""

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Raise ``Undelivered``."""
        raise Undelivered(_MISSING, _HOW, retry=True)

    def seal(self, secrets: Secrets, bound_to: Sequence[str]) -> bytes:
        """Raise ``Unavailable``."""
        raise Unavailable(_MISSING, _HOW)

    def unseal(self, sealed: bytes, bound_to: Sequence[str]) -> dict[str, str]:
        """Raise ``Undelivered``."""
        raise Undelivered(_MISSING, _HOW, retry=True)


_MISSING = "channels need spanhouse-collector, which is not installed"
_HOW = "pip install './collector' and start again"
