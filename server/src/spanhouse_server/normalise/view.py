"""A raw span as dialects look at it: its attributes grouped once, JSON opened on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spanhouse_server.model.raw import Attributes, RawEvent, RawLog, RawSpan
from spanhouse_server.normalise import jsontext
from spanhouse_server.normalise.shape import Shape, shape_of
from spanhouse_server.normalise.values import MAX_NAME_CHARACTERS, name_of

#: Flattened lists (``llm.input_messages.7.…``) are read up to this index; nothing is allocated by index.
MAX_INDEX = 10_000


#: Answers about scopes are remembered, as these repeat from span to span. Bounded: senders name them.
MAX_REMEMBERED = 20_000


class _Scopes(dict[str, frozenset[str]]):
    """From the name of a scope to all scopes it lies in, itself included: ``a.b.c`` is in ``a`` and ``a.b``."""

    def __missing__(self, scope: str) -> frozenset[str]:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        segments = scope.split(".", MAX_SCOPE_DEPTH)
        around = self[scope] = frozenset([scope, *(".".join(segments[:length]) for length in range(1, len(segments)))])
        return around


MAX_SCOPE_DEPTH = 16
_scopes = _Scopes()


class View:
    """One raw span under the eyes of a dialect. ``truncated`` turns true when cut JSON was read.

    ``shape`` is what its keys tell, given where it is known already. ``roots``, ``among(keys)`` and ``family(prefix)``
    are the shape's: the first segments of the keys, those that are among others, those that start with a prefix.
    """

    __slots__ = (
        *("_scopes", "among", "attributes", "family", "get", "logs", "raw", "roots", "scope", "shape", "truncated"),
    )

    def __init__(self, raw: RawSpan, logs: Sequence[RawLog] = (), shape: Shape | None = None) -> None:
        self.raw = raw
        self.scope = raw.scope.name
        self.logs = logs
        self.truncated = False
        self._scopes = _scopes[raw.scope.name]
        self._look_at(raw.attributes, shape or shape_of(raw.attributes))

    def _look_at(self, attributes: Attributes, shape: Shape) -> None:
        self.attributes = attributes
        self.get = attributes.get
        self.shape = shape
        self.roots = shape.roots
        self.among = shape.among
        self.family = shape.family

    def overlay(self, extra: Attributes) -> None:
        """Let ``extra`` be read as if the span carried it, below what it does carry."""
        attributes = {**extra, **self.attributes}
        self._look_at(attributes, shape_of(attributes))

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

    def names(self, keys: Sequence[str]) -> list[str]:
        """Return these attributes as text where they hold labels, empty where not."""
        get = self.get
        return [
            ""
            if (value := get(key)) is None
            else value
            if type(value) is str and len(value) <= MAX_NAME_CHARACTERS
            else name_of(value)
            for key in keys
        ]

    def text(self, key: str) -> str:
        """Return an attribute that is text, else an empty string."""
        value = self.get(key)
        return value if isinstance(value, str) else ""

    def json(self, key: str) -> Any:
        """Return an attribute with JSON in its text opened; the text itself where it is not JSON."""
        value = self.get(key)
        return self.opened(value) if type(value) is str else value

    def opened(self, value: Any) -> Any:
        """Return a value with JSON in text opened, noting whether it had been cut."""
        if type(value) is not str or value[:1] not in jsontext.BEGINNINGS:
            return value
        found, cut = jsontext.parse(value)
        if cut:
            self.truncated = True
        return found

    def python(self, key: str) -> Any:
        """Return an attribute with JSON in its text opened, or what Python's ``str`` made of an object."""
        return self.opened_python(self.get(key))

    def opened_python(self, value: Any) -> Any:
        """Return a value with JSON or a Python literal in text opened, noting whether it had been cut."""
        if not isinstance(value, str):
            return value
        found, cut = jsontext.parse_python(value)
        if cut:
            self.truncated = True
        return found

    def hide(self, *keys: str) -> None:
        """Let attributes not be read, as if the span did not carry them: an emitter's placeholders."""
        hidden = [key for key in keys if key in self.attributes]
        if hidden:
            attributes = {key: value for key, value in self.attributes.items() if key not in hidden}
            self._look_at(attributes, shape_of(attributes))

    def groups(self, root: str) -> dict[str, dict[str, Any]]:
        """Return a family in two levels: ``llm.a.b.c`` is under ``a``, then ``b.c``."""
        groups: dict[str, dict[str, Any]] = {}
        attributes = self.attributes
        for second, rest, key in self.shape.groups(root):
            group = groups.get(second)
            if group is None:
                groups[second] = {rest: attributes[key]}
            else:
                group[rest] = attributes[key]
        return groups

    def events(self, *names: str) -> list[RawEvent]:
        """Return the span events of these names, in the order they came."""
        return [event for event in self.raw.events if event.name in names] if self.raw.events else []


def indexed(flat: dict[str, Any]) -> list[dict[str, Any]]:
    """Group ``{"0.a": 1, "0.b": 2, "1": 3}`` into ``[{"a": 1, "b": 2}, {"": 3}]``, in index order.

    Indices from ``MAX_INDEX`` on and keys that do not start with one are left out.
    """
    shape = shape_of(flat)
    plan: list[list[tuple[str, str]]] | None = shape.plans.get(indexed)
    if plan is None:
        plan = shape.plans[indexed] = _by_index(shape.keys)
    return [{rest: flat[key] for rest, key in group} for group in plan]


def _by_index(keys: tuple[str, ...]) -> list[list[tuple[str, str]]]:
    groups: dict[int, list[tuple[str, str]]] = {}
    for key in keys:
        index_text, _, rest = key.partition(".")
        if not (index_text.isdecimal() and index_text.isascii()) or len(index_text) > 5:
            continue
        index = int(index_text)
        if index < MAX_INDEX:
            groups.setdefault(index, []).append((rest, key))
    return [groups[index] for index in sorted(groups)]


def subtree(flat: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries under ``prefix`` (which ends in ``.``), the prefix removed."""
    length = len(prefix)
    return {key[length:]: value for key, value in flat.items() if key.startswith(prefix)}
