"""Spans in lists, and one span in full: the canonical span."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from spanhouse_server.show.schemas.common import Reply, ScoreSummary
from spanhouse_server.show.schemas.scores import Score


class SpanItem(Reply):
    """One span as a row."""

    trace_id: str
    span_id: str
    parent_span_id: str
    is_root: bool
    name: str
    kind: str
    status_code: str
    error_type: str
    start_time: str
    end_time: str
    duration_ms: float
    category: str
    operation: str
    provider: str
    model: str
    tool_name: str
    agent_name: str
    finish_reasons: list[str]
    input_tokens: int | None
    output_tokens: int | None
    counted: bool
    cost_usd: str | None
    cost_status: str
    ttft_ms: float | None
    output_tokens_per_s: float | None
    session_id: str
    user_id: str
    tags: list[str]
    environment: str
    release: str
    service_name: str
    host_name: str
    input_preview: str
    output_preview: str
    scores: dict[str, ScoreSummary]


class SpanList(Reply):
    """A page of spans."""

    items: list[SpanItem]
    next_cursor: str | None


class UsageDetail(Reply):
    """Token counts; null means the emitter did not say. Input and output are inclusive totals."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    cache_write_1h_tokens: int | None = Field(description="Of the cache writes, those kept for an hour.")
    audio_cache_read_tokens: int | None = Field(description="Of the cache reads, those of audio.")
    image_input_tokens: int | None
    image_output_tokens: int | None
    tool_use_tokens: int | None = Field(description="Of the input, prompts made by the provider's own tools.")
    web_search_requests: int | None
    service_tier: str = Field(description="batch, flex, priority and the like; empty: standard.")
    basis: str
    counted: bool = Field(description="Does it count in sums?")
    counted_reason: str = Field(
        description="Why: model_call, only_figures, best_informed; or why not: wraps_call, repeats_children,"
        " inside_call, same_response: <span id>, same_call: <span id>, summed_by: <span id>, other_trace: <trace id>/<span id>."
        " Empty: nothing to count."
    )


class CostDetail(Reply):
    """Money as decimal strings in US dollars."""

    total_usd: str | None
    input_usd: str | None
    output_usd: str | None
    computed_usd: str | None = Field(description="From tokens and prices; null where there was no price.")
    reported_usd: str | None = Field(description="The emitter's own figure, beside the computed one.")
    difference_usd: str | None = Field(description="Computed less reported, where there are both.")
    status: str = Field(description="priced, partial, unpriced, reported, or empty.")
    reason: str
    source: str = Field(description="Whose prices: list, rule (a published discount), own:<price id>, or empty.")


class SpanEvent(Reply):
    """A span event as received."""

    name: str
    time: str
    attributes: dict[str, Any]


class SpanLink(Reply):
    """A span link as received."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, Any]


class ScopeDetail(Reply):
    """The instrumentation scope that emitted the span."""

    name: str
    version: str
    attributes: dict[str, Any]


class SpanDetail(Reply):
    """The canonical span. Messages and parts follow OpenTelemetry's GenAI conventions."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    status_code: str
    status_message: str
    error_type: str
    start_time: str
    end_time: str
    duration_ms: float
    category: str
    operation: str
    provider: str
    request_model: str
    response_model: str
    response_id: str
    finish_reasons: list[str]
    parameters: dict[str, Any]
    system_instructions: list[Any]
    input_messages: list[Any]
    output_messages: list[Any]
    tool_definitions: list[Any]
    documents: list[Any]
    tool_name: str
    tool_call_id: str
    tool_arguments: Any = Field(description="Any JSON value; null when absent.")
    tool_result: Any = Field(description="Any JSON value; null when absent.")
    agent_name: str
    input_preview: str
    output_preview: str
    usage: UsageDetail
    cost: CostDetail
    ttft_ms: float | None
    ttft_source: str
    output_tokens_per_s: float | None
    session_id: str
    user_id: str
    tags: list[str]
    metadata: dict[str, str]
    environment: str
    release: str
    prompt_name: str
    prompt_version: str
    service_name: str
    host_name: str
    service_instance_id: str
    dialect: str
    mapper_version: int
    truncated: bool
    flags: list[str] = Field(description="What had to be mended in decoding, e.g. end_before_start.")
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    scores: list[Score]
    trace_state: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: ScopeDetail
    events: list[SpanEvent]
    links: list[SpanLink]
