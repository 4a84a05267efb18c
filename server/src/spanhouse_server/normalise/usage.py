"""Token counts: one meaning for the many ways emitters report them.

Canonical totals are inclusive. Most emitters report them so; where an emitter's own figures show
that cached, reasoning or other tokens stand beside the total, they are added to it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from typing import Any

from spanhouse_server.model.span import Usage
from spanhouse_server.model.tiers import fold_tier
from spanhouse_server.normalise.shape import Shape, shape_of
from spanhouse_server.normalise.values import MAX_COUNT, count_of, number_of
from spanhouse_server.normalise.view import View

Keys = Sequence[str]
#: (position of a count, attribute that may hold it): the counts themselves, then the finer ones and the tier.
UsagePlan = tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]

_GENAI = "gen_ai.usage."
_OPENINFERENCE = "llm.token_count."
# Finer counts that mean the same wherever they appear; a dialect may name its own in their place.
CACHE_WRITE_5M = (
    _GENAI + "cache_write.5m.input_tokens",
    _GENAI + "cache_creation.5m.input_tokens",
    _GENAI + "cache_creation.ephemeral_5m_input_tokens",
    _GENAI + "details.cache_write_5m_tokens",
    _GENAI + "details.ephemeral_5m_input_tokens",
    "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",  # Anthropic's own client
)
CACHE_WRITE_1H = (
    _GENAI + "cache_write.1h.input_tokens",
    _GENAI + "cache_creation.1h.input_tokens",
    _GENAI + "cache_creation.ephemeral_1h_input_tokens",
    _GENAI + "details.cache_write_1h_tokens",
    _GENAI + "details.ephemeral_1h_input_tokens",
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
)
AUDIO_CACHE_READ = (
    _GENAI + "audio.cache_read.input_tokens",
    _GENAI + "details.cache_audio_read_tokens",
    _OPENINFERENCE + "prompt_details.cache_read_audio",
)
IMAGE_INPUT = (
    _GENAI + "image.input_tokens",
    _GENAI + "details.input_image_tokens",
    _OPENINFERENCE + "prompt_details.image",
)
IMAGE_OUTPUT = (
    _GENAI + "image.output_tokens",
    _GENAI + "details.output_image_tokens",
    _OPENINFERENCE + "completion_details.image",
)
TOOL_USE = (
    _GENAI + "tool_use.input_tokens",
    _GENAI + "tool_use_prompt_tokens",
    _GENAI + "details.tool_use_prompt_tokens",
    _GENAI + "tool_token_count",
    _GENAI + "details.citation_tokens",  # Perplexity: what it found on the web and read
)
WEB_SEARCH = (
    _GENAI + "web_search_requests",
    _GENAI + "server_tool_use.web_search_requests",
    _GENAI + "details.web_search_requests",
    _GENAI + "details.num_search_queries",  # Perplexity
)
#: What was served before what was asked for: providers may serve another tier.
SERVICE_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "gen_ai.response.service_tier",
    "anthropic.response.service_tier",  # Anthropic's own client
    _GENAI + "service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
    "gen_ai.request.service_tier",
)

#: Where emitters put what they think a call cost, in US dollars.
REPORTED_COST = (
    "gen_ai.usage.cost",
    "gen_ai.usage.total_cost",
    "gen_ai.cost.total_cost",
    "litellm.cost.total",
    "operation.cost",
)
COST_KEYS = frozenset(REPORTED_COST)

# Positions of the counts while they are read.
_INPUT, _OUTPUT, _READ, _WRITE, _REASONING, _HEARD, _SPOKEN = range(7)
_NO_DETAILS: list[int | None] = [None] * 5
_TOTAL, _WRITE_5M, _WRITE_1H, _HEARD_CACHED, _SEEN, _DRAWN, _TOOL_USE, _SEARCHES, _TIER = range(7, 16)


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
        cache_write_5m: Keys = CACHE_WRITE_5M,
        cache_write_1h: Keys = CACHE_WRITE_1H,
        audio_cache_read: Keys = AUDIO_CACHE_READ,
        image_input: Keys = IMAGE_INPUT,
        image_output: Keys = IMAGE_OUTPUT,
        tool_use: Keys = TOOL_USE,
        web_search: Keys = WEB_SEARCH,
        service_tier: Keys = SERVICE_TIER,
    ) -> None:
        fields = (
            *(input, output, cache_read, cache_write, reasoning, audio_input, audio_output, total),
            *(cache_write_5m, cache_write_1h, audio_cache_read, image_input, image_output),
            *(tool_use, web_search, service_tier),
        )
        #: Attribute to (position of its count, preference among the names of that count).
        self.places = {key: (place, rank) for place, keys in enumerate(fields) for rank, key in enumerate(keys)}
        self.names = frozenset(self.places)

    def plan(self, shape: Shape) -> UsagePlan:
        """Return where to look for the counts among the keys of a shape: by position, names preferred first."""
        plan: UsagePlan | None = shape.plans.get(self)
        if plan is None:
            found = sorted([(*self.places[key], key) for key in shape.among(self.names)])
            plan = shape.plans[self] = (
                tuple((place, key) for place, _, key in found if place <= _TOTAL),
                tuple((place, key) for place, _, key in found if place > _TOTAL),
            )
        return plan


def usage_of(view: View, keys: UsageKeys, exclusive: bool = False) -> Usage:
    """Return the usage that a span's attributes report; see ``read_usage``."""
    return _read(view.attributes, keys.plan(view.shape), exclusive)


def read_usage(counts: Mapping[str, Any], keys: UsageKeys, exclusive: bool = False) -> Usage:
    """Return the usage an emitter reported.

    ``exclusive`` says that this emitter is known to leave cached tokens out of its input total.
    """
    return _read(counts, keys.plan(shape_of(counts)), exclusive)


def _read(attributes: Mapping[str, Any], plan: UsagePlan, exclusive: bool) -> Usage:
    coarse, fine = plan
    if not coarse:
        return Usage()
    counts: list[int | None] = [None] * 8
    for place, key in coarse:
        if counts[place] is None:
            value = attributes[key]
            counts[place] = value if type(value) is int and 0 <= value <= MAX_COUNT else count_of(value)
    if counts[_INPUT] is None and counts[_OUTPUT] is None:
        return Usage()
    usage = Usage(counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], "inclusive")
    total = counts[_TOTAL]
    if fine:
        _fill_fine(usage, [(place, attributes[key]) for place, key in fine])
    elif counts[_READ:_TOTAL] == _NO_DETAILS and (total is None or total <= (counts[0] or 0) + (counts[1] or 0)):
        return usage  # no details that could have been left out
    return settle_totals(usage, total, exclusive)


def _fill_fine(usage: Usage, found: list[tuple[int, Any]]) -> None:
    """Fill in the finer counts and the tier from (place, value); the first usable one of a place holds."""
    counts: dict[int, int] = {}
    tier: str | None = None
    for place, value in found:
        if place == _TIER:
            if tier is None and isinstance(value, str):
                tier = fold_tier(value)
        elif place not in counts and (count := count_of(value)) is not None:
            counts[place] = count
    usage.service_tier = tier or ""
    five_minutes, hour = counts.get(_WRITE_5M), counts.get(_WRITE_1H)
    if usage.cache_write_tokens is None and (five_minutes is not None or hour is not None):
        usage.cache_write_tokens = (five_minutes or 0) + (hour or 0)
    usage.cache_write_1h_tokens = hour
    usage.audio_cache_read_tokens = counts.get(_HEARD_CACHED)
    usage.image_input_tokens = counts.get(_SEEN)
    usage.image_output_tokens = counts.get(_DRAWN)
    usage.tool_use_tokens = counts.get(_TOOL_USE)
    usage.web_search_requests = counts.get(_SEARCHES)


def reported_cost(view: View) -> Decimal | None:
    """Return the cost an emitter reported, in US dollars; nothing for negatives, NaN and what is no number."""
    for key in REPORTED_COST:
        amount = number_of(view.get(key))
        if amount is not None and amount >= 0:
            return Decimal(str(amount))
    return None


def settle_totals(usage: Usage, total: int | None, exclusive: bool) -> Usage:
    """Add details to their totals where the figures show that they were left out; return ``usage``.

    ``total`` is the emitter's own sum of input and output, if it gave one: what it has above the
    two is explained by the details that were left out, if any of them add up to it.
    """
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    if usage.input_tokens is not None and cached and (exclusive or cached > usage.input_tokens):
        usage.input_tokens += cached
        usage.basis = "exclusive"
        cached = 0
    if total is not None and total > (usage.input_tokens or 0) + (usage.output_tokens or 0):
        _explain(usage, total - (usage.input_tokens or 0) - (usage.output_tokens or 0), cached)
    if usage.input_tokens is not None and (usage.audio_input_tokens or 0) > usage.input_tokens:
        usage.input_tokens += usage.audio_input_tokens or 0
        usage.basis = "exclusive"
    if usage.output_tokens is not None:
        details = (usage.reasoning_tokens or 0) + (usage.audio_output_tokens or 0)
        if details > usage.output_tokens:
            usage.output_tokens += details
            usage.basis = "exclusive"
    return usage


def settle_research(usage: Usage, model: str) -> None:
    """Put in order what Perplexity's models search, read and think, which none of its totals counts.

    ``sonar-deep-research`` bills each search, what it read (at the price of input) and its thoughts. The other
    ``sonar`` models bill a fee per request that covers all three.
    """
    name = model.rpartition("/")[2]
    if not name.startswith("sonar") or usage.input_tokens is None:
        return
    if "deep-research" not in name:
        usage.web_search_requests = usage.tool_use_tokens = None
        return
    if usage.reasoning_tokens and usage.output_tokens is not None and usage.basis == "inclusive":
        usage.output_tokens += usage.reasoning_tokens
        usage.basis = "exclusive"
    if usage.tool_use_tokens:
        usage.input_tokens += usage.tool_use_tokens
        usage.basis = "exclusive"


def _explain(usage: Usage, missing: int, cached: int) -> None:
    """Add to the totals those details that make up what the emitter's own total has above them."""
    left_out: list[tuple[int, int]] = []  # tokens to add to input, tokens to add to output
    if usage.input_tokens is not None:
        left_out += [(tokens, 0) for tokens in (cached, usage.tool_use_tokens) if tokens]
    if usage.output_tokens is not None and usage.reasoning_tokens:
        left_out.append((0, usage.reasoning_tokens))
    for added in _subsets(left_out):
        if sum(map(sum, added)) == missing:
            if usage.input_tokens is not None:
                usage.input_tokens += sum(given for given, _ in added)
            if usage.output_tokens is not None:
                usage.output_tokens += sum(made for _, made in added)
            usage.basis = "exclusive"
            return


def _subsets(parts: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Return the subsets of at most three parts, small ones first."""
    for size in range(1, len(parts) + 1):
        yield from combinations(parts, size)
