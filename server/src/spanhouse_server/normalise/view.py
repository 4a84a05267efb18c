"""A raw span as dialects look at it: its attributes grouped once, JSON opened on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.model.raw import Attributes, RawEvent, RawLog, RawSpan
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.values import MAX_NAME_CHARACTERS, name_of

#: Flattened lists (``llm.input_messages.7.…``) are read up to this index; nothing is allocated by index.
MAX_INDEX = 10_000


#: Answers about keys and scopes are remembered, as these repeat from span to span. Bounded: flattened keys have no end.
MAX_REMEMBERED = 20_000


class _Roots(dict[str, str]):
    """From an attribute key to its first segment."""

    def __missing__(self, key: str) -> str:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        root = self[key] = key.partition(".")[0]
        return root


class _Scopes(dict[str, frozenset[str]]):
    """From the name of a scope to all scopes it lies in, itself included: ``a.b.c`` is in ``a`` and ``a.b``."""

    def __missing__(self, scope: str) -> frozenset[str]:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        segments = scope.split(".", MAX_SCOPE_DEPTH)
        around = self[scope] = frozenset([scope, *(".".join(segments[:length]) for length in range(1, len(segments)))])
        return around


class _Family(dict[str, bool]):
    """From an attribute key to whether it starts with a prefix."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def __missing__(self, key: str) -> bool:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        member = self[key] = key.startswith(self.prefix)
        return member


class _Families(dict[str, _Family]):
    """From a prefix to its family. Prefixes are written in code, so there are few."""

    def __missing__(self, prefix: str) -> _Family:
        family = self[prefix] = _Family(prefix)
        return family


MAX_SCOPE_DEPTH = 16
_roots = _Roots()
_scopes = _Scopes()
_families = _Families()


class View:
    """One raw span under the eyes of a dialect. ``truncated`` turns true when cut JSON was read.

    ``roots`` are the first segments of the attribute keys: the families of attributes present.
    """

    __slots__ = ("_scopes", "attributes", "get", "logs", "raw", "roots", "scope", "truncated")

    def __init__(self, raw: RawSpan, logs: Sequence[RawLog] = ()) -> None:
        self.raw = raw
        self.attributes: Attributes = raw.attributes
        self.scope = raw.scope.name
        self.logs = logs
        self.truncated = False
        self.get = raw.attributes.get
        self.roots = set(map(_roots.__getitem__, raw.attributes))
        self._scopes = _scopes[raw.scope.name]

    def family(self, prefix: str) -> list[str]:
        """Return the attribute keys that start with ``prefix``, which is written in code."""
        return list(filter(_families[prefix].__getitem__, self.attributes))

    def overlay(self, extra: Attributes) -> None:
        """Let ``extra`` be read as if the span carried it, below what it does carry."""
        self.attributes = {**extra, **self.attributes}
        self.get = self.attributes.get
        self.roots = set(map(_roots.__getitem__, self.attributes))

    def in_scope(self, prefix: str) -> bool:
        """Tell whether the instrumentation scope is ``prefix`` or lies under it, at a ``.``."""
        return prefix in self._scopes

    def in_any(self, prefixes: frozenset[str]) -> bool:
        """Tell whether the instrumentation scope is one of ``prefixes`` or lies under one."""
        return not prefixes.isdisjoint(self._scopes)

    def name(self, *keys: str) -> str:
        """Return the first of these attributes that holds a label, as text."""
        get = self.get
        for key in keys:
            value = get(key)
            if value is not None:
                text = value if type(value) is str and len(value) <= MAX_NAME_CHARACTERS else name_of(value)
                if text:
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

    def python(self, key: str) -> Any:
        """Return an attribute with JSON in its text opened, or what Python's ``str`` made of an object."""
        return self.opened_python(self.get(key))

    def opened_python(self, value: Any) -> Any:
        """Return a value with JSON or a Python literal in text opened, noting whether it had been cut."""
        if not isinstance(value, str):
            return value
        parsed = jsontext.parse_python(value)
        if parsed.truncated:
            self.truncated = True
        return parsed.value

    def hide(self, *keys: str) -> None:
        """Let attributes not be read, as if the span did not carry them: an emitter's placeholders."""
        hidden = [key for key in keys if key in self.attributes]
        if hidden:
            self.attributes = {key: value for key, value in self.attributes.items() if key not in hidden}
            self.get = self.attributes.get
            self.roots = set(map(_roots.__getitem__, self.attributes))

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
