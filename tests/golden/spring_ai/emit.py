"""What Spring AI puts on its spans, written from the source of its observation conventions.

No Java runs where the other goldens are recorded, so this follows the classes of spring-projects/spring-ai by hand:
``DefaultChatModelObservationConvention`` and its kin for embeddings, tools, advisors, chat clients and vector stores,
``ChatModelPromptSpanContentObservationHandler`` (2.x) and ``ChatModelCompletionObservationTraceHandler`` (1.0
milestones), ``AnthropicChatModel.getDefaultUsage`` (2.x: input without cached tokens, total of input and output).
Micrometer makes every value text and writes ``none`` for a model nobody knows; Spring Boot's tracer is the scope.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests import otlp

SCOPE = "org.springframework.boot"
TRACE = "5b" * 16
START_NS = 1_795_000_000_000_000_000
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Served:
    """What a provider served in one call, as its API counts: Anthropic's input leaves cached tokens out."""

    model: str
    input_tokens: int
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    response_id: str = ""
    finish: str = "end_turn"


@dataclass(slots=True)
class Application:
    """One request to an application, span by span in the order they began."""

    spans: list[dict[str, Any]] = field(default_factory=list)

    def span(self, number: int, parent: int, name: str, begins_ms: int, lasts_ms: int, **attributes: str) -> None:
        """Add a span; ``__`` in a name stands for a dot."""
        self.spans.append(
            otlp.span(
                TRACE,
                f"{number:016x}",
                f"{parent:016x}" if parent else "",
                name,
                START_NS + begins_ms * MS,
                lasts_ms * MS,
                attributes={key.replace("__", "."): value for key, value in attributes.items()},
            )
        )

    def chat(self, number: int, parent: int, at: int, provider: str, call: Served, **content: str) -> None:
        """Add a chat model's call; of models that do not tell who served, ``none`` is written."""
        usage = {
            "gen_ai.usage.input_tokens": str(call.input_tokens),
            "gen_ai.usage.output_tokens": str(call.output_tokens),
            "gen_ai.usage.total_tokens": str(call.input_tokens + call.output_tokens),
        }
        if call.cache_read_tokens or call.cache_write_tokens:
            usage["gen_ai.usage.cache_read.input_tokens"] = str(call.cache_read_tokens)
            usage["gen_ai.usage.cache_creation.input_tokens"] = str(call.cache_write_tokens)
        served = {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": provider,
            "gen_ai.request.model": call.model,
            "gen_ai.response.model": call.model if call.response_id else "none",
            "gen_ai.request.max_tokens": "1024",
            "gen_ai.request.temperature": "0.7",
            "spring.ai.model.request.tool.names": '["getWeather"]',
            "gen_ai.response.finish_reasons": f'["{call.finish}"]',
        }
        if call.response_id:
            served["gen_ai.response.id"] = call.response_id
        self.span(number, parent, f"chat {call.model}", at, 900, **served, **usage, **content)

    def embedding(self, number: int, parent: int, at: int, provider: str, call: Served) -> None:
        """Add an embedding model's call."""
        self.span(
            number,
            parent,
            f"embedding {call.model}",
            at,
            50,
            gen_ai__operation__name="embedding",
            gen_ai__system=provider,
            gen_ai__request__model=call.model,
            gen_ai__response__model=call.model,
            gen_ai__usage__input_tokens=str(call.input_tokens),
            gen_ai__usage__total_tokens=str(call.input_tokens),
        )

    def advisor(self, number: int, parent: int, at: int, lasts: int, name: str) -> None:
        """Add a step of the chain of advisors."""
        self.span(
            number,
            parent,
            name.removesuffix("Advisor").lower(),
            at,
            lasts,
            gen_ai__operation__name="framework",
            gen_ai__system="spring_ai",
            spring__ai__kind="advisor",
            spring__ai__advisor__name=name,
            spring__ai__advisor__order="0",
        )


def messages(*turns: tuple[str, str]) -> str:
    """Return ``gen_ai.input.messages`` as 2.x writes it: role and content only."""
    return json.dumps([{"role": role, "content": content} for role, content in turns])


def answer(text: str, finish: str) -> str:
    """Return ``gen_ai.output.messages`` as 2.x writes it."""
    parts = [{"type": "text", "content": text}]
    return json.dumps([{"role": "assistant", "parts": parts, "finish_reason": finish}])


def request_of(application: Application) -> bytes:
    """Return the spans as OTLP."""
    return otlp.request(*application.spans, resource={"service.name": "shop"}, scope=SCOPE)
