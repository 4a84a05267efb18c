"""What a rule looks at where people named it elsewhere: budgets, service levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from spanhouse_server.errors import BadRequest


class Named(Protocol):
    """A record that rules may name."""

    @property
    def id(self) -> str:
        """Return its id."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    @property
    def enabled(self) -> bool:
        """Tell whether it counts at all."""


Record = TypeVar("Record", bound=Named)


def chosen(records: Sequence[Record], names: Sequence[str], what: str, path: str) -> list[Record]:
    """Return the enabled records with one of these names or ids, all of them without any; raise ``BadRequest``.

    ``what`` is the word for one of them, ``path`` where the API lists them.
    """
    enabled = [each for each in records if each.enabled]
    if not names:
        return enabled
    found = [each for each in enabled if each.id in names or each.name in names]
    known = {each.id for each in found} | {each.name for each in found}
    if missing := [name for name in names if name not in known]:
        raise BadRequest(f"there is no enabled {what} {missing[0][:60]!r}", f"GET {path} lists them")
    return found


def names_in(text: str) -> tuple[str, ...]:
    """Return the names or ids of a parameter, with commas between."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
