"""The demo's language models: no weights, only believable speed, token counts and manners."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import spanhouse
from spanhouse_server.demo.timeline import Timeline

_CHARACTERS_PER_TOKEN = 4.1
_CACHE_BLOCK_TOKENS = 128


@dataclass(frozen=True)
class Model:
    """How one model behaves. ``cache_share`` of a long prompt is read from the provider's cache."""

    name: str
    provider: str
    served_as: str
    ttft_ms: tuple[float, float]
    tokens_per_s: tuple[float, float]
    cache_share: float = 0.0
    reasoning_tokens: tuple[int, int] = (0, 0)


MODELS = {
    model.name: model
    for model in (
        Model("gpt-4o-mini", "openai", "gpt-4o-mini-2024-07-18", (260, 620), (85, 130), cache_share=0.6),
        Model("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5-20250929", (520, 1100), (55, 80), cache_share=0.7),
        Model("o4-mini", "openai", "o4-mini-2025-04-16", (1400, 3800), (90, 140), reasoning_tokens=(192, 960)),
        # A fine-tune served in house: no price list knows it, which is what an unpriced model looks like.
        Model("shop-guard-7b", "vllm", "shop-guard-7b", (45, 110), (140, 190)),
    )
}


class ModelOverloadedError(RuntimeError):
    """The provider answers 529 or 429: try another model or later."""

    # Shown as `error.type`; the sample application is called by its own name there.
    __module__ = "support_desk"


class ModelUnavailableError(RuntimeError):
    """The provider cannot be reached at all."""

    __module__ = "support_desk"


def count_tokens(value: Any) -> int:
    """Return about how many tokens a text or a structure takes."""
    text = value if isinstance(value, str) else json.dumps(value)
    return max(1, round(len(text) / _CHARACTERS_PER_TOKEN))


def call(
    timeline: Timeline,
    model: Model,
    messages: list[dict[str, Any]],
    answer: str | dict[str, Any],
    *,
    system: str,
    tools: list[dict[str, Any]] | None = None,
    stream: bool = False,
    temperature: float = 0.2,
) -> str | dict[str, Any]:
    """Record one chat call and return ``answer``: a text, or an assistant message with tool calls."""
    parameters = {"temperature": temperature, "max_tokens": 1024}
    span = spanhouse.llm_call(
        model.name,
        model.provider,
        messages,
        system=system,
        tools=tools,
        parameters=parameters,
        start_time_ns=timeline.now_ns,
    )
    with timeline.during(span) as recorded:
        input_tokens = count_tokens(system) + count_tokens(messages) + (count_tokens(tools) if tools else 0)
        reasoning = timeline.chance.randint(*model.reasoning_tokens)
        output_tokens = count_tokens(answer) + reasoning
        cached = int(input_tokens * model.cache_share) // _CACHE_BLOCK_TOKENS * _CACHE_BLOCK_TOKENS
        timeline.pass_ms(*model.ttft_ms)
        if stream:
            recorded.mark_first_token(timeline.now_ns)
        timeline.pass_s(*(output_tokens / speed for speed in reversed(model.tokens_per_s)))
        recorded.set_output(answer)
        recorded.set_response(
            model=model.served_as,
            response_id=f"resp-{timeline.chance.getrandbits(48):012x}",
            finish_reason="stop" if isinstance(answer, str) else "tool_calls",
        )
        recorded.set_usage(
            input_tokens, output_tokens, cache_read_tokens=cached or None, reasoning_tokens=reasoning or None
        )
    return answer


def refuse(
    timeline: Timeline, model: Model, messages: list[dict[str, Any]], error: RuntimeError, *, system: str
) -> None:
    """Record a chat call that the provider answers with an error, and raise it."""
    span = spanhouse.llm_call(model.name, model.provider, messages, system=system, start_time_ns=timeline.now_ns)
    with timeline.during(span):
        if isinstance(error, ModelUnavailableError):
            timeline.pass_s(9.8, 10.3)
        else:
            timeline.pass_ms(90, 240)
        raise error


def embed(timeline: Timeline, text: str) -> None:
    """Record the embedding of a query."""
    name = "text-embedding-3-small"
    span = spanhouse.llm_call(name, "openai", operation="embeddings", start_time_ns=timeline.now_ns)
    with timeline.during(span) as recorded:
        recorded.set_attribute("gen_ai.embeddings.dimension.count", 1536)
        timeline.pass_ms(35, 95)
        recorded.set_response(model=name)
        recorded.set_usage(input_tokens=count_tokens(text))
