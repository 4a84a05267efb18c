"""The spans of a trace as a tree, whatever their parent pointers say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.span import MODEL_CATEGORIES

#: Steps up a tree that are worth taking.
MAX_STEPS = 64

_BY_START = attrgetter("start_ns", "span_id")


@dataclass(slots=True)
class Tree:
    """Spans by start time, each once, with the index of their parent (-1 for roots).

    A span is a root when it has no parent, when its parent is not (yet) among the spans, when it
    is its own parent, or when it is the earliest of a circle of parents. ``upwards`` lists all
    indices so that children stand before their parents.
    """

    spans: list[SpanFacts]
    parents: list[int]
    upwards: Sequence[int]

    @property
    def top(self) -> int:
        """Return the span that stands for the trace: its earliest true root, else its earliest root."""
        first = -1
        for index, parent in enumerate(self.parents):
            if parent < 0:
                if not self.spans[index].parent_span_id:
                    return index
                if first < 0:
                    first = index
        return first


def build_tree(facts: Sequence[SpanFacts]) -> Tree:
    """Return the tree of the newest version of each span. The order of ``facts`` is without effect."""
    spans = _newest(facts)
    spans.sort(key=_BY_START)
    if spans[0].start_ns <= 0:
        # A start nobody told is not the beginning of the trace.
        spans.sort(key=lambda span: (span.start_ns <= 0, span.start_ns, span.span_id))
    places = {span.span_id: index for index, span in enumerate(spans)}
    parents: list[int] = []
    in_order = True
    for index, span in enumerate(spans):
        parent_id = span.parent_span_id
        parent = places.get(parent_id, -1) if parent_id else -1
        in_order = in_order and parent < index
        parents.append(parent)
    # Parents mostly start before their children; then there are no circles and the order is known.
    upwards = range(len(spans) - 1, -1, -1) if in_order else _cut_circles(parents)
    return Tree(spans, parents, upwards)


def stands_alone(tree: Tree, index: int) -> bool:
    """Tell whether only model spans stand above a model span, as far as they are known."""
    for _ in range(MAX_STEPS):
        parent = tree.parents[index]
        if parent < 0:
            return True
        if tree.spans[parent].category not in MODEL_CATEGORIES:
            return False
        index = parent
    return False


def _newest(facts: Sequence[SpanFacts]) -> list[SpanFacts]:
    newest: dict[str, SpanFacts] = {}
    for fact in facts:
        other = newest.setdefault(fact.span_id, fact)
        if other is not fact and (
            fact.version > other.version or (fact.version == other.version and repr(fact) > repr(other))
        ):
            newest[fact.span_id] = fact
    return list(newest.values())


def _cut_circles(parents: list[int]) -> list[int]:
    """Make the earliest span of each circle a root (in place); return all indices, children first.

    Leaves are taken off again and again; what remains are the circles, as each span has one parent.
    """
    children = [0] * len(parents)
    for parent in parents:
        if parent >= 0:
            children[parent] += 1
    taken = [False] * len(parents)
    upwards: list[int] = []
    leaves = [index for index, count in enumerate(children) if not count]
    for index in range(-1, len(parents)):
        if index >= 0:
            if taken[index]:
                continue
            before, parents[index] = parents[index], -1
            children[before] -= 1
            leaves = [] if children[before] else [before]
        while leaves:
            leaf = leaves.pop()
            taken[leaf] = True
            upwards.append(leaf)
            parent = parents[leaf]
            if parent >= 0:
                children[parent] -= 1
                if not children[parent]:
                    leaves.append(parent)
    return upwards
