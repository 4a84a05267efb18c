"""What the keys of a span's attributes tell, worked out once for all spans that carry the same keys.

An instrumentation writes few combinations of keys, again and again. Which families are there, which of the
keys somebody looks for, which dialects come into question: that depends on the keys alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from spanhouse_server.normalise.secret_names import is_secret_key

#: Shapes are remembered up to this weight together (at worst some 20 MB), and only those of a smaller one: flattened
#: keys have no end, and senders choose how long they are. A key weighs its characters and ``KEY_WEIGHT``.
MAX_WEIGHT = 2_000_000
MAX_SHAPE_WEIGHT = 20_000
KEY_WEIGHT = 32


# Asked several times per span, so an answer that is known costs no call of a Python function.
class _Among(dict[frozenset[str], tuple[str, ...]]):
    """From wanted keys to those of them that are there."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys

    def __missing__(self, wanted: frozenset[str]) -> tuple[str, ...]:
        keys = self._keys
        found = self[wanted] = () if wanted.isdisjoint(keys) else tuple([key for key in keys if key in wanted])
        return found


class _Families(dict[str, tuple[str, ...]]):
    """From a prefix to the keys that start with it."""

    __slots__ = ("_keys", "_roots")

    def __init__(self, keys: tuple[str, ...], roots: frozenset[str]) -> None:
        self._keys, self._roots = keys, roots

    def __missing__(self, prefix: str) -> tuple[str, ...]:
        root, dot, _ = prefix.partition(".")
        absent = dot and root not in self._roots
        found = self[prefix] = () if absent else tuple([key for key in self._keys if key.startswith(prefix)])
        return found


class Shape:
    """The keys of a span's attributes, in their order.

    ``roots`` are their first segments. ``plans`` holds what others work out from the keys, by whatever
    they choose as its name. ``among(wanted)`` and ``family(prefix)`` return the keys that are among the wanted ones,
    and those that start with a prefix; both are asked with what is written in code. ``names_secret`` tells whether
    a key says that its value is a credential.
    """

    __slots__ = ("_groups", "among", "family", "keys", "names_secret", "plans", "roots")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.roots = frozenset([key.partition(".")[0] for key in keys])
        self.names_secret = any(map(is_secret_key, keys))
        self.plans: dict[Any, Any] = {}
        self.among: Callable[[frozenset[str]], tuple[str, ...]] = _Among(keys).__getitem__
        self.family: Callable[[str], tuple[str, ...]] = _Families(keys, self.roots).__getitem__
        self._groups: dict[str, tuple[tuple[str, str, str], ...]] = {}

    def groups(self, root: str) -> tuple[tuple[str, str, str], ...]:
        """Return a family in two levels: ``llm.a.b.c`` as ``("a", "b.c", "llm.a.b.c")``."""
        found = self._groups.get(root)
        if found is None:
            start = len(root) + 1
            split = ((key, *key[start:].partition(".")) for key in self.family(root + "."))
            found = self._groups[root] = tuple((second, rest, key) for key, second, _, rest in split)
        return found


_shapes: dict[tuple[str, ...], Shape] = {}
_weight = 0


def shape_of(attributes: Iterable[str]) -> Shape:
    """Return the shape of these keys: the same object as for earlier spans with the same, if there were any."""
    global _weight
    keys = tuple(attributes)
    shape = _shapes.get(keys)
    if shape is None:
        shape = Shape(keys)
        weight = KEY_WEIGHT * (1 + len(keys)) + sum(map(len, keys))
        if weight <= MAX_SHAPE_WEIGHT:
            if _weight + weight > MAX_WEIGHT:
                _shapes.clear()
                _weight = 0
            _shapes[keys] = shape
            _weight += weight
    return shape
