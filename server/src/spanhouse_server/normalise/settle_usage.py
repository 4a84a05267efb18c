"""Which spans of a trace count in sums, so that every token is counted once, and why.

A model span (llm, embedding, reranker) counts when it has usage or a cost and no model span of its
own category below it has: of a framework's span around an SDK's around a gateway's, the innermost
with figures counts. A tool span in between ends that search: a model called by a tool that the outer
model called is another call.

Everything else (agents, workflows, servers, engines) repeats what happens elsewhere. Such a span
counts only when its figures are all there is: none below it, and no model span above it that has
them (an engine's span below the client's).

Reports of one call that the tree does not show as such (two instrumentations side by side, a
response id twice) are found by ``settle_doubles``; of all reports of a call the best informed counts.
What another trace reports and counts (``settle_across``) does not count here.

Zero tokens are figures too, but they do not outvote a span that has more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle_doubles import Doubles, Shadows, find_doubles, known_figures
from spanhouse_server.normalise.settle_sums import summed_later
from spanhouse_server.normalise.settle_tree import MAX_STEPS, Tree

# Why a span counts …
CALL = "model_call"  # a model call, nothing below it has figures of its kind
ONLY = "only_figures"  # no call of its own, but nobody else tells its figures
BEST = "best_informed"  # of several reports of one call, this one tells most
# … or does not. Doubles say "same_response: <span id>" or "same_call: <span id>".
WRAPS = "wraps_call"  # a call of its kind below it has the figures
REPEATS = "repeats_children"  # sums up what is below it
INSIDE = "inside_call"  # part of the call above it: an engine, a raw request
SUMMED = "summed_by"  # a later call of its loop tells the sum of both: "summed_by: <span id>"
OTHER_TRACE = "other_trace"  # another trace has the same call: "other_trace: <trace id>/<span id>"
#: Without figures there is nothing to count.
NO_FIGURES = ""

_COUNTS = frozenset({CALL, ONLY, BEST})
#: Nothing is counted in other traces.
NOWHERE_ELSE: Mapping[str, str] = MappingProxyType({})

#: One bit per model category: "has figures"; shifted by ``_SEEN``: "is there at all".
_BITS = {"llm": 1, "embedding": 2, "reranker": 4}
_MODEL = 7
_ANY = 8
_SEEN = 4


@dataclass(slots=True)
class Counting:
    """``counted`` and ``reasons`` by index.

    ``found`` is ``counted`` before other traces took calls over, ``doubles`` which reports repeat which.
    ``unknown`` tells that some finished model call left no figures at all, nor did a span that sums it up;
    ``gave_way`` that another trace counts some; ``llm_calls`` is the number of llm spans that are calls of
    their own, not wrappers or doubles.
    """

    counted: list[bool]
    reasons: list[str]
    unknown: bool
    llm_calls: int
    gave_way: bool
    found: list[bool]
    doubles: dict[int, int]


def count_usage(tree: Tree, elsewhere: Mapping[str, str] = NOWHERE_ELSE) -> Counting:
    """Decide for every span whether it counts.

    ``elsewhere`` has the ids of spans that give way to a span of another trace, with ``trace id/span id`` of that.
    """
    spans = tree.spans
    bits = [_BITS.get(span.category, 0) for span in spans]
    own = [
        bit | _ANY if span.input_tokens or span.output_tokens or span.cost_usd else 0
        for span, bit in zip(spans, bits, strict=True)
    ]
    below, above = _spread(tree, bits, own)
    reasons = [_reason(*each) for each in zip(spans, bits, own, below, above, strict=True)]
    calls = [index for index, reason in enumerate(reasons) if reason is CALL]
    for index, telling in summed_later(tree, calls).items():
        reasons[index] = f"{SUMMED}: {spans[telling].span_id}"
    doubles = find_doubles(
        tree,
        calls={index: bits[index] for index, reason in enumerate(reasons) if reason is CALL},
        wrappers={index: bits[index] for index, reason in enumerate(reasons) if reason is WRAPS},
    )
    for index, counting in doubles.of.items():
        kind = "same_response" if index in doubles.by_response else "same_call"
        reasons[index] = f"{kind}: {spans[counting].span_id}"
        reasons[counting] = BEST
    found = [reason in _COUNTS for reason in reasons]
    gave_way = bool(elsewhere) and _give_way(tree, elsewhere, reasons, doubles)
    llm_calls, unknown = _calls(tree, bits, below, above, reasons, doubles)
    counted = [reason in _COUNTS for reason in reasons] if gave_way else found
    return Counting(counted, reasons, unknown, llm_calls, gave_way, found, doubles.of)


def _give_way(tree: Tree, elsewhere: Mapping[str, str], reasons: list[str], doubles: Doubles) -> bool:
    """Take out what another trace counts; tell whether there was any."""
    gone: set[int] = set()
    for index, span in enumerate(tree.spans):
        if span.span_id in elsewhere and reasons[index] in _COUNTS:
            reasons[index] = f"{OTHER_TRACE}: {elsewhere[span.span_id]}"
            gone.add(index)
    # They are no calls of this trace, nor is the call of a wrapper that counted in its place.
    doubles.repeats |= gone | {index for index, counting in doubles.of.items() if counting in gone}
    return bool(gone)


def _spread(tree: Tree, bits: list[int], own: list[int]) -> tuple[list[int], list[int]]:
    """Return, by index, the bits of all spans below and of all model spans above."""
    spans, parents = tree.spans, tree.parents
    below = [0] * len(spans)
    above = [0] * len(spans)
    for index in tree.upwards:
        parent = parents[index]
        if parent >= 0:
            under = below[index] & _ANY if spans[index].category == "tool" else below[index]
            below[parent] |= own[index] | (bits[index] << _SEEN) | under
    for index in reversed(tree.upwards):
        parent = parents[index]
        if parent >= 0:
            above[index] = own[parent] & _MODEL | (0 if spans[parent].category == "tool" else above[parent])
    return below, above


def _reason(span: SpanFacts, bit: int, own: int, below: int, above: int) -> str:
    if bit:
        if not own and not known_figures(span):
            return NO_FIGURES
        return WRAPS if below & bit else CALL
    if not own:
        return NO_FIGURES
    if below & _ANY:
        return REPEATS
    return INSIDE if above else ONLY


def _calls(
    tree: Tree, bits: list[int], below: list[int], above: list[int], reasons: list[str], doubles: Doubles
) -> tuple[int, bool]:
    """Return the number of llm calls, and whether some call left no figures."""
    unknown = False
    llm_calls = 0
    shadows: Shadows | None = None
    for index, bit in enumerate(bits):
        if not bit or below[index] & (bit << _SEEN):
            continue
        if reasons[index] or above[index] & bit or tree.spans[index].status_code == "error":
            repeats = index in doubles.repeats
        else:
            shadows = shadows or Shadows(tree, bits, reasons)
            repeats = shadows.has(index)
            unknown = unknown or not (repeats or _summed_up(tree, reasons, index))
        if bit == 1 and not repeats:
            llm_calls += 1
    return llm_calls, unknown


def _summed_up(tree: Tree, reasons: list[str], index: int) -> bool:
    """Tell whether a span above a call without figures sums up what was used, and counts."""
    for _ in range(MAX_STEPS):
        index = tree.parents[index]
        if index < 0 or reasons[index] is ONLY:
            return index >= 0
    return False
