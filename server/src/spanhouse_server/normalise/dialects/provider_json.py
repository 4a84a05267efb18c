"""Requests and answers of model providers' APIs, as several dialects keep them whole in JSON.

OpenAI's Chat Completions, Responses, Embeddings and Images, Anthropic's Messages, and what LangChain makes of
any of them (``generations``, ``usage_metadata``). Fields that a dialect has read before are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Message, Span, Usage
from spanhouse_server.normalise.dialects.images_api import drawn_messages, is_drawn, settle_drawn
from spanhouse_server.normalise.messages import fold_message, fold_messages, fold_tool_definitions
from spanhouse_server.normalise.parts import fold_parts
from spanhouse_server.normalise.usage import UsageKeys, read_usage
from spanhouse_server.normalise.values import name_of, names_of, number_of

#: Of a provider's usage object, with nested details joined by a dot.
USAGE = UsageKeys(
    input=("prompt_tokens", "input_tokens"),
    output=("completion_tokens", "output_tokens"),
    total=("total_tokens",),
    cache_read=(
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_token_details.cache_read",
        "input_token_details.flex_cache_read",
        "input_token_details.priority_cache_read",
        "cache_read_input_tokens",
    ),
    cache_write=(
        "prompt_tokens_details.cache_write_tokens",
        "input_token_details.cache_creation",
        "cache_creation_input_tokens",
        "cache_write_input_tokens",  # Haystack's Bedrock
    ),
    reasoning=(
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_token_details.reasoning",
        "output_token_details.flex_reasoning",
        "output_token_details.priority_reasoning",
        "reasoning_tokens",  # Perplexity
    ),
    audio_input=(
        "prompt_tokens_details.audio_tokens",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio",
    ),
    audio_output=(
        "completion_tokens_details.audio_tokens",
        "output_tokens_details.audio_tokens",
        "output_token_details.audio",
    ),
    cache_write_5m=(
        "cache_creation.ephemeral_5m_input_tokens",
        "input_token_details.ephemeral_5m_input_tokens",
    ),
    cache_write_1h=(
        "cache_creation.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1h_input_tokens",
    ),
    image_input=("prompt_tokens_details.image_tokens", "input_tokens_details.image_tokens"),
    image_output=("completion_tokens_details.image_tokens", "output_tokens_details.image_tokens"),
    tool_use=("citation_tokens", "output_token_details.citation_tokens"),  # Perplexity
    web_search=("server_tool_use.web_search_requests", "num_search_queries"),
    service_tier=("service_tier",),
)
#: Service tiers that LangChain tells by the names of the details: ``{"flex": 70, "flex_cache_read": 30}``.
LANGCHAIN_TIERS = ("flex", "priority")
_ANTHROPIC_ONLY = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens"})
#: What of a request is not a parameter, because it has a field of its own or is no business of the model.
NOT_PARAMETERS = frozenset(
    {
        *("model", "messages", "input", "instructions", "system", "prompt", "tools", "functions"),
        *("extra_headers", "extra_query", "extra_body", "timeout", "metadata"),
    }
)


def read_request(span: Span, request: Mapping[str, Any]) -> None:
    """Read the messages, tools, model and parameters of a request."""
    span.request_model = span.request_model or name_of(request.get("model"))
    if not span.input_messages:
        given = request.get("messages")
        if given is None:  # the last is Gemini's word
            given = next((request[key] for key in ("input", "prompt", "contents") if key in request), None)
        span.input_messages = fold_messages(given, "user")
    for key in ("instructions", "system"):
        if not span.system_instructions:
            span.system_instructions = fold_parts(request.get(key))
    if not span.tool_definitions:
        span.tool_definitions = fold_tool_definitions(request.get("tools") or request.get("functions"))
    for key, value in request.items():
        if key not in NOT_PARAMETERS and value is not None and key not in span.parameters:
            span.parameters[key] = value


def read_answer(span: Span, answer: Mapping[str, Any]) -> None:
    """Read the messages, served model, id, end and usage of an answer."""
    span.response_model = span.response_model or name_of(answer.get("model"))
    span.response_id = span.response_id or name_of(answer.get("id"))
    if not span.output_messages:
        span.output_messages = answer_messages(answer)
    if not span.finish_reasons:
        reasons = [message["finish_reason"] for message in span.output_messages if "finish_reason" in message]
        span.finish_reasons = list(dict.fromkeys(reasons)) or names_of(answer.get("stop_reason")) or _how_ended(answer)
    usage = answer.get("usage") or answer.get("usage_metadata")
    if isinstance(usage, dict):
        add_usage(span, read_provider_usage(usage))
        if span.cost.reported_usd is None:
            span.cost.reported_usd = _charged(usage)
    if is_drawn(answer):
        settle_drawn(span)


def _charged(usage: Mapping[str, Any]) -> Decimal | None:
    """Return what a provider says it charged, in US dollars: OpenRouter in one figure, Perplexity with its parts."""
    told = usage.get("cost")
    cost = number_of(told.get("total_cost") if isinstance(told, dict) else told)
    return Decimal(str(cost)) if cost is not None and cost >= 0 else None


def _how_ended(answer: Mapping[str, Any]) -> list[str]:
    """Return why an answer of the Responses API ended: what cut it short, else its status or the calls it asks for."""
    status = answer.get("status")
    if not isinstance(status, str) or not isinstance(answer.get("output"), list):
        return []
    details = answer.get("incomplete_details")
    cut = name_of(details.get("reason")) if isinstance(details, dict) else ""
    calls = any(isinstance(item, dict) and item.get("type") == "function_call" for item in answer["output"])
    return [cut or ("tool_call" if calls and status == "completed" else status)]


def answer_messages(answer: Mapping[str, Any]) -> list[Message]:
    """Return what the model said in an answer; nothing where this is not one."""
    choices = answer.get("choices")
    if isinstance(choices, list):
        messages = [_choice(choice) for choice in choices if isinstance(choice, dict)]
        return [message for message in messages if message["parts"] or "finish_reason" in message]
    generations = answer.get("generations")
    while isinstance(generations, list) and generations and isinstance(generations[0], list):
        generations = generations[0]
    if isinstance(generations, list):
        return [_generation(each) for each in generations if isinstance(each, dict)]
    output = answer.get("output")
    if isinstance(output, list):
        return _joined(fold_messages([item for item in output if isinstance(item, dict)], "assistant"))
    if is_drawn(answer):
        return drawn_messages(answer)
    if answer.get("role") == "assistant" or answer.get("type") == "message":
        return [fold_message({"role": "assistant", **answer}, "assistant")]
    return []


def is_answer(value: Any) -> bool:
    """Tell whether decoded JSON is an answer of a model's API, rather than other data."""
    if not isinstance(value, dict):
        return False
    return any(isinstance(value.get(key), list) for key in ("choices", "generations")) or (
        value.get("object") in ("response", "chat.completion") or value.get("type") == "message" or is_drawn(value)
    )


def _choice(choice: dict[str, Any]) -> Message:
    message = choice.get("message")
    if not isinstance(message, dict):  # the completions API, and streams an emitter joined
        delta = choice.get("delta")
        message = delta if isinstance(delta, dict) else {"content": choice.get("text")}
    return fold_message({"message": message, "finish_reason": choice.get("finish_reason")}, "assistant")


def _generation(generation: dict[str, Any]) -> Message:
    message = generation.get("message")
    folded = fold_message(message, "assistant") if isinstance(message, dict) else None
    if folded is None:
        folded = fold_message({"content": generation.get("text")}, "assistant")
    info = generation.get("generation_info")
    if isinstance(info, dict) and isinstance(info.get("finish_reason"), str):
        folded["finish_reason"] = info["finish_reason"]
    return folded


def _joined(messages: list[Message]) -> list[Message]:
    """Return the items of one answer (reasoning, text, calls) as the one message they are."""
    spoken = [message for message in messages if message["role"] == "assistant"]
    parts = [part for message in spoken for part in message["parts"]]
    kept = [part for part in parts if part.get("type") != "reasoning" or part.get("content")]
    return [{"role": "assistant", "parts": kept}] if kept else []


def read_provider_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the counts of a provider's usage object; Anthropic's leaves cached tokens out of its input."""
    flat: dict[str, Any] = {}
    for key, value in usage.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            flat[key] = value
    # Who renames Anthropic's `input_tokens` to OpenAI's name adds the cached ones (Haystack, LiteLLM).
    exclusive = "input_tokens" in flat and "total_tokens" not in flat and not _ANTHROPIC_ONLY.isdisjoint(flat)
    read = read_usage(flat, USAGE, exclusive)
    if read.known and not read.service_tier:
        named = (tier for tier in LANGCHAIN_TIERS if f"input_token_details.{tier}" in flat)
        read.service_tier = next(named, "")
    return read


def add_usage(span: Span, usage: Usage) -> None:
    """Take a usage that says more than the one read before: where that has none, or the same totals."""
    had = span.usage
    if usage.known and (
        not had.known or (had.input_tokens, had.output_tokens) == (usage.input_tokens, usage.output_tokens)
    ):
        for name in _DETAILS:
            value = getattr(had, name)
            if value and not getattr(usage, name):
                setattr(usage, name, value)
        span.usage = usage


_DETAILS = tuple(name for name in Usage.__slots__ if name != "basis")
