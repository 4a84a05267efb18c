"""Parameters as given, read one by one: what is missing, misspelt or out of range is named."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spanhouse_server.errors import BadRequest

MAX_TEXT = 500


class Parameters:
    """Reads a rule's parameters and, at the end, refuses those that nobody read.

    >>> given = Parameters({"above": 5})
    >>> given.number("above"), given.number("below", None)
    (5.0, None)
    >>> given.finish()
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._known: list[str] = []

    def number(
        self, name: str, default: float | None = None, *, lowest: float = -math.inf, highest: float = math.inf
    ) -> float | None:
        """Return a number, the default when it is not given."""
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e308 <= value <= 1e308:
            raise BadRequest(f"params.{name} must be a number, not {_shown(value)}")
        if not lowest <= value <= highest:
            raise BadRequest(f"params.{name} must lie between {lowest:g} and {highest:g}, not {_shown(value)}")
        return float(value)

    def whole(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        """Return a whole number, the default when it is not given."""
        value = self.number(name, default, lowest=lowest, highest=highest)
        if value is None or value != int(value):
            raise BadRequest(f"params.{name} must be a whole number")
        return int(value)

    def choice(self, name: str, default: str, known: Sequence[str]) -> str:
        """Return one of some words."""
        value = self._take(name)
        if value is None:
            return default
        if value not in known:
            raise BadRequest(f"params.{name} must be one of {', '.join(known)}, not {_shown(value)}")
        return str(value)

    def text(self, name: str, default: str = "") -> str:
        """Return a text of bounded length."""
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise BadRequest(f"params.{name} must be a text of up to {MAX_TEXT} characters")
        return value

    def finish(self) -> None:
        """Raise ``BadRequest`` for parameters that this kind does not have."""
        for name in self._given:
            if name not in self._known:
                near = difflib.get_close_matches(str(name), self._known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self._known)}"
                raise BadRequest(f"params.{str(name)[:60]} is no parameter of this type of rule", hint)

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._given.get(name)


def _shown(value: Any) -> str:
    return repr(value)[:60]
