"""What the keys of a span's attributes tell, worked out once for all spans that carry the same keys.

An instrumentation writes few combinations of keys, again and again. Which families are there, which of the
keys somebody looks for, which dialects come into question: that depends on the keys alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Shapes are remembered up to this weight together (at worst some 20 MB), and only those of a smaller one: flattened
#: keys have no end, and senders choose how long they are. A key weighs its characters and ``KEY_WEIGHT``.
MAX_WEIGHT = 2_000_000
MAX_SHAPE_WEIGHT = 20_000
KEY_WEIGHT = 32


class Shape:
    """The keys of a span's attributes, in their order.

    ``roots`` are their first segments. ``plans`` holds what others work out from the keys, by whatever
    they choose as its name.
    """

    __slots__ = ("_among", "_families", "_groups", "keys", "plans", "roots")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.roots = frozenset([key.partition(".")[0] for key in keys])
        self.plans: dict[Any, Any] = {}
        self._among: dict[frozenset[str], tuple[str, ...]] = {}
        self._families: dict[str, tuple[str, ...]] = {}
        self._groups: dict[str, tuple[tuple[str, str, str], ...]] = {}

    def among(self, wanted: frozenset[str]) -> tuple[str, ...]:
        """Return the keys that are among the ``wanted`` ones, which are written in code."""
        found = self._among.get(wanted)
        if found is None:
            found = () if wanted.isdisjoint(self.keys) else tuple([key for key in self.keys if key in wanted])
            self._among[wanted] = found
        return found

    def family(self, prefix: str) -> tuple[str, ...]:
        """Return the keys that start with ``prefix``, which is written in code."""
        found = self._families.get(prefix)
        if found is None:
            root, dot, _ = prefix.partition(".")
            absent = dot and root not in self.roots
            found = () if absent else tuple([key for key in self.keys if key.startswith(prefix)])
            self._families[prefix] = found
        return found

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
