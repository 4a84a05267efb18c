"""Which spans of a trace count in sums, so that every token is counted once.

A model span (llm, embedding, reranker) counts when it has usage or a cost and no model span of its
own category below it has: of a framework's span around an SDK's around a retry, the innermost with
figures counts. A tool span in between ends that search: a model called by a tool that the outer
model called is another call.

Everything else (agents, workflows, servers, engines) repeats what happens elsewhere. Such a span
counts only when its figures are all there is: none below it, and no model span above it that has
them (an engine's span below the client's).

Two counting model spans of one category with the same response id are one call seen twice, if
they overlap in time or report the same tokens: the earlier counts. (Some servers give every
response the same id, so the id alone does not do.)

Zero tokens are figures too, but they do not outvote a span that has more.
"""

from __future__ import annotations

from dataclasses import dataclass

from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.normalise.settle_tree import Tree

#: One bit per model category: "has figures"; shifted by ``_SEEN``: "is there at all".
_BITS = {"llm": 1, "embedding": 2, "reranker": 4}
_MODEL = 7
_ANY = 8
_SEEN = 4


@dataclass(slots=True)
class Counting:
    """``counted`` by index. ``unknown`` tells that some finished model call left no figures at all.

    ``llm_calls`` is the number of llm spans that are calls of their own, not wrappers or doubles.
    """

    counted: list[bool]
    unknown: bool
    llm_calls: int


def count_usage(tree: Tree) -> Counting:
    """Decide for every span whether it counts."""
    spans = tree.spans
    bits = [_BITS.get(span.category, 0) for span in spans]
    own = [
        bit | _ANY if span.input_tokens or span.output_tokens or span.cost_usd else 0
        for span, bit in zip(spans, bits, strict=True)
    ]
    below, above = _spread(tree, bits, own)
    candidates = [_is_leaf(*each) for each in zip(spans, bits, own, below, above, strict=True)]
    doubles = _drop_doubles(spans, bits, candidates)
    responses = {span.response_id for span, yes in zip(spans, candidates, strict=True) if yes and span.response_id}
    unknown = False
    llm_calls = -doubles
    for index, bit in enumerate(bits):
        if not bit or below[index] & (bit << _SEEN):
            continue
        span = spans[index]
        if bit == 1:
            llm_calls += 1
        if candidates[index] or own[index] or _is_known(span) or above[index] & bit or span.status_code == "error":
            continue
        unknown = unknown or not span.response_id or span.response_id not in responses
    return Counting(candidates, unknown, llm_calls)


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


def _is_leaf(span: SpanFacts, bit: int, own: int, below: int, above: int) -> bool:
    if bit:
        return not below & bit and _is_known(span)
    return bool(own) and not below & _ANY and not above


def _is_known(span: SpanFacts) -> bool:
    return span.input_tokens is not None or span.output_tokens is not None or span.cost_usd is not None


def _drop_doubles(spans: list[SpanFacts], bits: list[int], candidates: list[bool]) -> int:
    """Unmark candidates that repeat an earlier one's call; return how many of them were llm spans."""
    until_ns: dict[tuple[str, int], int] = {}
    tokens_seen: set[tuple[str, int, int | None, int | None]] = set()
    dropped = 0
    for index, span in enumerate(spans):
        response_id = span.response_id
        if not response_id or not candidates[index] or not bits[index]:
            continue
        key = (response_id, bits[index])
        tokens = (*key, span.input_tokens, span.output_tokens)
        end_ns = until_ns.get(key)
        if end_ns is not None and (span.start_ns < end_ns or tokens in tokens_seen):
            candidates[index] = False
            dropped += bits[index] == 1
            continue
        tokens_seen.add(tokens)
        until_ns[key] = span.end_ns
    return dropped
