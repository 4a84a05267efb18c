"""Token counts of each provider, folded to OpenTelemetry's inclusive totals.

What a provider counts beside its total (Anthropic's and Bedrock's cache, Gemini's thoughts) is added
to it here; what it counts within stays within. Nothing is estimated: an absent count stays ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from spanhouse_collector.parse.content import as_dict, dicts
from spanhouse_collector.parse.contract import Usage

MAX_COUNT = 2**53
_OLLAMA_FIGURES = (
    "prompt_eval_count",
    "eval_count",
    "prompt_eval_cached_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)


def count_of(value: Any) -> int | None:
    """Return a token count; ``None`` for booleans, negatives, fractions and what is no number."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 16:
        value = int(value)
    if isinstance(value, float):
        value = int(value) if math.isfinite(value) and value.is_integer() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_COUNT else None


def merge(known: dict[str, Any], newer: Any) -> None:
    """Overwrite the known figures with newer ones, field by field.

    Counts in a stream are cumulative: they replace, they never add. An absent or null field says
    nothing, and a zero does not undo a count that was there already.
    """
    if not isinstance(newer, dict):
        return
    for key, value in newer.items():
        before = known.get(key)
        if value is None or (value == 0 and not isinstance(value, bool) and isinstance(before, int) and before > 0):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            merge(before, value)
        else:
            known[key] = dict(value) if isinstance(value, dict) else value


def openai(served: Mapping[str, Any]) -> Usage:
    """Read the usage of OpenAI's APIs and of all that speak like them.

    Chat names (``prompt_tokens``), Responses names (``input_tokens``) and Realtime's singular
    ``input_token_details`` alike; DeepSeek's cache hits, Moonshot's ``cached_tokens``, OpenRouter's cost.
    """
    given = as_dict(served.get("prompt_tokens_details") or served.get("input_tokens_details"))
    given = given or as_dict(served.get("input_token_details"))
    made = as_dict(served.get("completion_tokens_details") or served.get("output_tokens_details"))
    made = made or as_dict(served.get("output_token_details"))
    usage = Usage(
        input_tokens=_first(served, "prompt_tokens", "input_tokens"),
        output_tokens=_first(served, "completion_tokens", "output_tokens"),
        cache_read_tokens=_either(
            _first(given, "cached_tokens", "cache_read_tokens"),
            _first(served, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"),
        ),
        cache_write_tokens=_either(
            _first(given, "cache_write_tokens", "cache_creation_tokens"),
            _first(served, "cache_creation_input_tokens"),
        ),
        reasoning_tokens=_either(_first(made, "reasoning_tokens"), _first(served, "reasoning_tokens")),
        audio_input_tokens=_first(given, "audio_tokens"),
        audio_output_tokens=_first(made, "audio_tokens"),
        image_input_tokens=_first(given, "image_tokens"),
        image_output_tokens=_first(made, "image_tokens"),
        cost_usd=_money(served.get("cost")),
        served=dict(served),
    )
    total = count_of(served.get("total_tokens"))
    hits, misses = count_of(served.get("prompt_cache_hit_tokens")), count_of(served.get("prompt_cache_miss_tokens"))
    if usage.input_tokens is None and hits is not None and misses is not None:
        usage.input_tokens = hits + misses
    counted = (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens)
    if (
        usage.output_tokens is not None
        and usage.reasoning_tokens
        and None not in counted
        and total == sum(count or 0 for count in counted)
    ):
        usage.output_tokens += usage.reasoning_tokens  # xAI counts reasoning beside the completion
    return usage


def input_only(served: Mapping[str, Any]) -> Usage:
    """Read the usage of embeddings and reranking, where the total is the input (Jina, Voyage)."""
    usage = openai(served)
    if usage.input_tokens is None:
        usage.input_tokens = count_of(served.get("total_tokens"))
    if not usage.output_tokens:
        usage.output_tokens = None
    return usage


def anthropic(served: Mapping[str, Any]) -> Usage:
    """Read Anthropic's usage, whose ``input_tokens`` leaves out both cache buckets."""
    kept = as_dict(served.get("cache_creation"))
    read = _first(served, "cache_read_input_tokens")
    written = _first(served, "cache_creation_input_tokens")
    if written is None:
        written = _sum(count_of(kept.get(key)) for key in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
    return Usage(
        input_tokens=_plus(_first(served, "input_tokens"), read, written),
        output_tokens=_first(served, "output_tokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=count_of(kept.get("ephemeral_1h_input_tokens")),
        reasoning_tokens=_first(as_dict(served.get("output_tokens_details")), "thinking_tokens", "reasoning_tokens"),
        served=dict(served),
    )


def gemini(served: Mapping[str, Any]) -> Usage:
    """Read Gemini's usage: thoughts stand beside the candidates, tool-use prompts beside the prompt.

    The Live API calls the candidates the response.
    """
    thoughts = _first(served, "thoughtsTokenCount")
    output = _plus(_first(served, "candidatesTokenCount", "responseTokenCount"), thoughts)
    made = served.get("candidatesTokensDetails") or served.get("responseTokensDetails")
    return Usage(
        input_tokens=_plus(_first(served, "promptTokenCount"), _first(served, "toolUsePromptTokenCount")),
        output_tokens=thoughts if output is None else output,
        cache_read_tokens=_first(served, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        audio_input_tokens=_modality(served.get("promptTokensDetails"), "AUDIO"),
        audio_output_tokens=_modality(made, "AUDIO"),
        image_input_tokens=_modality(served.get("promptTokensDetails"), "IMAGE"),
        image_output_tokens=_modality(made, "IMAGE"),
        served=dict(served),
    )


def bedrock(served: Mapping[str, Any]) -> Usage:
    """Read the usage of Bedrock's Converse API, whose ``inputTokens`` leaves out the cache."""
    read = _first(served, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _first(served, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    hour = _sum(
        count_of(item.get("inputTokens")) for item in dicts(served.get("cacheDetails")) if item.get("ttl") == "1h"
    )
    return Usage(
        input_tokens=_plus(_first(served, "inputTokens"), read, written),
        output_tokens=_first(served, "outputTokens"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        served=dict(served),
    )


def bedrock_metrics(served: Mapping[str, Any]) -> Usage:
    """Read ``amazon-bedrock-invocationMetrics``, which ends the stream of an invoked model."""
    renamed = {
        "inputTokens": served.get("inputTokenCount"),
        "outputTokens": served.get("outputTokenCount"),
        "cacheReadInputTokens": served.get("cacheReadInputTokenCount"),
        "cacheWriteInputTokens": served.get("cacheWriteInputTokenCount"),
    }
    usage = bedrock(renamed)
    usage.served = dict(served)
    return usage


def ollama(served: Mapping[str, Any]) -> Usage:
    """Read Ollama's counts from the last line of its answer."""
    return Usage(
        input_tokens=_first(served, "prompt_eval_count"),
        output_tokens=_first(served, "eval_count"),
        cache_read_tokens=_first(served, "prompt_eval_cached_count"),
        served={key: served[key] for key in _OLLAMA_FIGURES if key in served},
    )


def cohere(served: Mapping[str, Any]) -> Usage:
    """Read Cohere's ``usage`` or ``meta``: billed tokens, as the conventions ask, else those consumed."""
    billed, consumed = as_dict(served.get("billed_units")), as_dict(served.get("tokens"))
    keep = ("billed_units", "tokens", "cached_tokens")
    return Usage(
        input_tokens=_either(_first(billed, "input_tokens"), _first(consumed, "input_tokens")),
        output_tokens=_either(_first(billed, "output_tokens"), _first(consumed, "output_tokens")),
        cache_read_tokens=_first(served, "cached_tokens"),
        served={key: served[key] for key in keep if key in served},
    )


def tgi(served: Mapping[str, Any]) -> Usage:
    """Read TGI's counts, from its details or its headers."""
    return Usage(
        input_tokens=_first(served, "input_length"),
        output_tokens=_first(served, "generated_tokens"),
        served=dict(served),
    )


def sglang(meta: Mapping[str, Any]) -> Usage:
    """Read the counts in SGLang's ``meta_info``."""
    keep = ("prompt_tokens", "completion_tokens", "cached_tokens")
    return Usage(
        input_tokens=_first(meta, "prompt_tokens"),
        output_tokens=_first(meta, "completion_tokens"),
        cache_read_tokens=_first(meta, "cached_tokens"),
        served={key: meta[key] for key in keep if key in meta},
    )


def predicted(metadata: Mapping[str, Any], predictions: Sequence[Mapping[str, Any]]) -> Usage:
    """Read the usage of ``:predict``: in the metadata (text), in each embedding, or a completion's own."""
    tokens = as_dict(metadata.get("tokenMetadata"))
    if tokens:
        given, made = as_dict(tokens.get("inputTokenCount")), as_dict(tokens.get("outputTokenCount"))
        return Usage(_first(given, "totalTokens"), _first(made, "totalTokens"), served=tokens)
    counts = [_first(as_dict(as_dict(each.get("embeddings")).get("statistics")), "token_count") for each in predictions]
    total = _sum(counts)
    if total is not None:
        return Usage(input_tokens=total, served={"token_count": total})
    served = next((each["usage"] for each in predictions if isinstance(each.get("usage"), dict)), None)
    return openai(served) if served else Usage()


def _first(source: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        count = count_of(source.get(key))
        if count is not None:
            return count
    return None


def _either(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _plus(total: int | None, *beside: int | None) -> int | None:
    """Return the total with what stands beside it; unknown when the total is."""
    return None if total is None else total + sum(count or 0 for count in beside)


def _sum(counts: Any) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _modality(details: Any, name: str) -> int | None:
    return _sum(count_of(item.get("tokenCount")) for item in dicts(details) if item.get("modality") == name)


def _money(value: Any) -> Decimal | None:
    """Return dollars: a number (OpenRouter), or the total of an object (Perplexity)."""
    if isinstance(value, dict):
        value = value.get("total_cost")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = Decimal(str(value)[:64])
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None
