"""Token counts: one meaning for the many ways emitters report them.

Canonical totals are inclusive. Most emitters report them so; where an emitter's own figures show
that cached or reasoning tokens stand beside the total, they are added to it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanhouse_server.model.span import Usage
from spanhouse_server.normalise.values import count_of

Keys = Sequence[str]


@dataclass(frozen=True, slots=True)
class UsageKeys:
    """Where a dialect keeps each count: names in order of preference; the first usable one holds."""

    input: Keys
    output: Keys
    total: Keys = ()
    cache_read: Keys = ()
    cache_write: Keys = ()
    reasoning: Keys = ()
    audio_input: Keys = ()
    audio_output: Keys = ()


def read_usage(get: Callable[[str], Any], keys: UsageKeys, exclusive: bool = False) -> Usage:
    """Return the usage an emitter reported.

    ``exclusive`` says that this emitter is known to leave cached tokens out of its input total.
    """

    def first(names: Keys) -> int | None:
        for name in names:
            value = get(name)
            if value is not None:
                count = count_of(value)
                if count is not None:
                    return count
        return None

    input_tokens, output_tokens = first(keys.input), first(keys.output)
    if input_tokens is None and output_tokens is None:
        return Usage()
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=first(keys.cache_read),
        cache_write_tokens=first(keys.cache_write),
        reasoning_tokens=first(keys.reasoning),
        audio_input_tokens=first(keys.audio_input),
        audio_output_tokens=first(keys.audio_output),
        basis="inclusive",
    )
    return settle_totals(usage, first(keys.total), exclusive)


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


def usage_in_mapping(value: Any, keys: UsageKeys) -> Usage:
    """Return the usage inside a decoded provider response's ``usage`` object."""
    return read_usage(value.get, keys) if isinstance(value, Mapping) else Usage()
