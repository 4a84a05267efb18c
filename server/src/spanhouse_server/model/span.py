"""The canonical span: what every dialect is folded into, and what the API shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from spanhouse_server.model.blob import Blob
from spanhouse_server.model.raw import RawSpan

CATEGORIES = (
    "llm",
    "embedding",
    "retriever",
    "reranker",
    "tool",
    "agent",
    "workflow",
    "guardrail",
    "evaluator",
    "server",
    "other",
)
#: Categories whose usage may be billed; whether a span counts is decided for the whole trace.
MODEL_CATEGORIES = frozenset({"llm", "embedding", "reranker"})

#: Categories whose usage sums up that of several calls.
ROLL_UP_CATEGORIES = frozenset({"agent", "workflow"})

PREVIEW_CHARACTERS = 200

#: A message is ``{"role": str, "parts": [part, …], "name"?: str, "finish_reason"?: str}``; a part is
#: ``{"type": "text", "content": str}`` and its kin, as in OpenTelemetry's GenAI conventions.
Message = dict[str, Any]
Part = dict[str, Any]


@dataclass(slots=True)
class Usage:
    """Token counts; ``None`` means the emitter did not say, which is not zero.

    ``input_tokens`` and ``output_tokens`` are inclusive totals: cache reads and writes and audio
    are part of input, reasoning and audio part of output. ``basis`` tells how the emitter
    reported them: ``inclusive``, ``exclusive`` (details were added to the total here) or
    ``unknown``; it is empty when there is no usage at all.

    Finer parts: ``cache_write_1h_tokens`` of ``cache_write_tokens`` live an hour, the rest five
    minutes; ``audio_cache_read_tokens`` of ``cache_read_tokens`` are audio; ``tool_use_tokens`` of
    input are prompts that the provider's own tools made. ``web_search_requests`` counts searches,
    not tokens. ``service_tier`` is ``batch flex priority fast`` and the like, empty for standard.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    basis: str = ""
    cache_write_1h_tokens: int | None = None
    audio_cache_read_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    tool_use_tokens: int | None = None
    web_search_requests: int | None = None
    service_tier: str = ""

    @property
    def known(self) -> bool:
        """Tell whether the emitter reported any tokens."""
        return self.input_tokens is not None or self.output_tokens is not None


@dataclass(slots=True)
class Cost:
    """Money in US dollars, exact.

    ``status``: ``priced`` (all tokens priced), ``partial`` (some bucket had no price),
    ``unpriced`` (no price, ``reason`` says why), ``reported`` (the emitter's own figure, no
    price known here), or empty for spans that cost nothing by nature (tools). What agents sum up is priced as far
    as the number and the length of their calls make no difference.
    ``reported_usd`` keeps the emitter's figure beside the computed one. ``source`` tells whose
    prices were used: ``list`` (the public ones), ``rule`` (the public ones by a published discount),
    ``own:<id>`` (the project's own) or empty.
    """

    total_usd: Decimal | None = None
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    reported_usd: Decimal | None = None
    status: str = ""
    reason: str = ""
    source: str = ""


@dataclass(slots=True)
class Span:
    """One canonical span, with the raw one it was read from.

    Lists and dicts here hold JSON-ready values. ``text`` is what full-text search reads: the
    words of input and output, bounded. ``blobs`` are the media that were taken out of the raw span and
    of the log records it was read with; references to them stand in their places.
    """

    raw: RawSpan
    category: str = "other"
    operation: str = ""
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    finish_reasons: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    system_instructions: list[Part] = field(default_factory=list)
    input_messages: list[Message] = field(default_factory=list)
    output_messages: list[Message] = field(default_factory=list)
    tool_definitions: list[Any] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    tool_name: str = ""
    tool_call_id: str = ""
    tool_arguments: Any = None
    tool_result: Any = None
    agent_name: str = ""
    input_preview: str = ""
    output_preview: str = ""
    text: str = ""
    error_type: str = ""
    usage: Usage = field(default_factory=Usage)
    cost: Cost = field(default_factory=Cost)
    ttft_ns: int | None = None
    ttft_source: str = ""
    session_id: str = ""
    user_id: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    release: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    service_name: str = ""
    host_name: str = ""
    service_instance_id: str = ""
    dialect: str = ""
    mapper_version: int = 0
    truncated: bool = False
    blobs: list[Blob] = field(default_factory=list)

    @property
    def model(self) -> str:
        """Return the model served, or the one asked for where the emitter tells no more."""
        return self.response_model or self.request_model
