"""Token counts: one meaning for the many ways emitters report them.

Canonical totals are inclusive. Most emitters report them so; where an emitter's own figures show
that cached or reasoning tokens stand beside the total, they are added to it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spanhouse_server.model.span import Usage
from spanhouse_server.normalise.values import count_of

Keys = Sequence[str]


class UsageKeys:
    """Where a dialect keeps each count: names in order of preference; the first usable one holds."""

    def __init__(
        self,
        *,
        input: Keys,  # noqa: A002  named as the conventions name it
        output: Keys,
        total: Keys = (),
        cache_read: Keys = (),
        cache_write: Keys = (),
        reasoning: Keys = (),
        audio_input: Keys = (),
        audio_output: Keys = (),
    ) -> None:
        fields = (input, output, cache_read, cache_write, reasoning, audio_input, audio_output, total)
        #: Attribute to (position of its count, preference among the names of that count).
        self.places = {key: (place, rank) for place, keys in enumerate(fields) for rank, key in enumerate(keys)}
        self.keys = frozenset(self.places)


def read_usage(attributes: Mapping[str, Any], keys: UsageKeys, exclusive: bool = False) -> Usage:
    """Return the usage an emitter reported.

    ``exclusive`` says that this emitter is known to leave cached tokens out of its input total.
    """
    counts: list[int | None] = [None] * 8
    ranks = [len(keys.places)] * 8
    for key in keys.keys.intersection(attributes):
        place, rank = keys.places[key]
        if rank < ranks[place]:
            count = count_of(attributes[key])
            if count is not None:
                counts[place], ranks[place] = count, rank
    if counts[0] is None and counts[1] is None:
        return Usage()
    usage = Usage(counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], "inclusive")
    return settle_totals(usage, counts[7], exclusive)


def settle_totals(usage: Usage, total: int | None, exclusive: bool) -> Usage:
    """Add details to their totals where the figures show that they were left out; return ``usage``."""
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    if usage.input_tokens is not None and cached:
        beside = total is not None and total == usage.input_tokens + (usage.output_tokens or 0) + cached
        if exclusive or beside or cached > usage.input_tokens:
            usage.input_tokens += cached
            usage.basis = "exclusive"
    if usage.input_tokens is not None and (usage.audio_input_tokens or 0) > usage.input_tokens:
        usage.input_tokens += usage.audio_input_tokens or 0
        usage.basis = "exclusive"
    if usage.output_tokens is not None:
        details = (usage.reasoning_tokens or 0) + (usage.audio_output_tokens or 0)
        if details > usage.output_tokens:
            usage.output_tokens += details
            usage.basis = "exclusive"
    return usage
