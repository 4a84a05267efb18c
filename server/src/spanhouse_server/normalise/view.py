"""A raw span as dialects look at it: its attributes grouped once, JSON opened on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.model.raw import Attributes, RawEvent, RawLog, RawSpan
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.values import name_of

#: Flattened lists (``llm.input_messages.7.…``) are read up to this index; nothing is allocated by index.
MAX_INDEX = 10_000


class View:
    """One raw span under the eyes of a dialect. ``truncated`` turns true when cut JSON was read."""

    __slots__ = ("_roots", "attributes", "get", "logs", "raw", "scope", "truncated")

    def __init__(self, raw: RawSpan, logs: Sequence[RawLog] = ()) -> None:
        self.raw = raw
        self.attributes: Attributes = raw.attributes
        self.scope = raw.scope.name
        self.logs = logs
        self.truncated = False
        self.get = raw.attributes.get
        self._roots: set[str] | None = None

    @property
    def roots(self) -> set[str]:
        """Return the first segments of the attribute keys: the families of attributes present."""
        if self._roots is None:
            self._roots = {key.partition(".")[0] for key in self.attributes}
        return self._roots

    def family(self, prefix: str) -> list[str]:
        """Return the attribute keys that start with ``prefix``."""
        return [key for key in self.attributes if key.startswith(prefix)]

    def overlay(self, extra: Attributes) -> None:
        """Let ``extra`` be read as if the span carried it, below what it does carry."""
        self.attributes = {**extra, **self.attributes}
        self.get = self.attributes.get
        self._roots = None

    def in_scope(self, prefix: str) -> bool:
        """Tell whether the instrumentation scope is ``prefix`` or lies under it, at a ``.``."""
        return self.scope == prefix or self.scope.startswith(prefix + ".")

    def name(self, *keys: str) -> str:
        """Return the first of these attributes that holds a label, as text."""
        for key in keys:
            value = self.get(key)
            if value is not None and (text := name_of(value)):
                return text
        return ""

    def text(self, key: str) -> str:
        """Return an attribute that is text, else an empty string."""
        value = self.get(key)
        return value if isinstance(value, str) else ""

    def json(self, key: str) -> Any:
        """Return an attribute with JSON in its text opened; the text itself where it is not JSON."""
        return self.opened(self.get(key))

    def opened(self, value: Any) -> Any:
        """Return a value with JSON in text opened, noting whether it had been cut."""
        if not isinstance(value, str):
            return value
        parsed = jsontext.parse(value)
        if parsed.truncated:
            self.truncated = True
        return parsed.value

    def groups(self, root: str) -> dict[str, dict[str, Any]]:
        """Return a family in two levels: ``llm.a.b.c`` is under ``a``, then ``b.c``; one pass over it."""
        groups: dict[str, dict[str, Any]] = {}
        prefix = root + "."
        start = len(prefix)
        for key, value in self.attributes.items():
            if key.startswith(prefix):
                second, _, rest = key[start:].partition(".")
                group = groups.get(second)
                if group is None:
                    groups[second] = {rest: value}
                else:
                    group[rest] = value
        return groups

    def events(self, *names: str) -> list[RawEvent]:
        """Return the span events of these names, in the order they came."""
        return [event for event in self.raw.events if event.name in names] if self.raw.events else []


def indexed(flat: dict[str, Any]) -> list[dict[str, Any]]:
    """Group ``{"0.a": 1, "0.b": 2, "1": 3}`` into ``[{"a": 1, "b": 2}, {"": 3}]``, in index order.

    Indices from ``MAX_INDEX`` on and keys that do not start with one are left out.
    """
    groups: dict[int, dict[str, Any]] = {}
    for key, value in flat.items():
        index_text, _, rest = key.partition(".")
        if not (index_text.isdecimal() and index_text.isascii()) or len(index_text) > 5:
            continue
        index = int(index_text)
        if index >= MAX_INDEX:
            continue
        group = groups.get(index)
        if group is None:
            groups[index] = {rest: value}
        else:
            group[rest] = value
    return [groups[index] for index in sorted(groups)]


def subtree(flat: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries under ``prefix`` (which ends in ``.``), the prefix removed."""
    length = len(prefix)
    return {key[length:]: value for key, value in flat.items() if key.startswith(prefix)}
