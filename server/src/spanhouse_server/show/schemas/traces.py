"""Traces in lists, and one trace with the skeleton of its spans."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Reply, ScoreSummary
from spanhouse_server.show.schemas.scores import Score

MONEY = "US dollars as a decimal string; null when unknown."


class TraceItem(Reply):
    """One trace as a row. Token and cost sums run over counted spans; null means nobody said."""

    trace_id: str
    name: str
    start_time: str = Field(description="RFC 3339 with nanoseconds.")
    end_time: str
    duration_ms: float
    status_code: str = Field(description="unset, ok or error: that of the root span.")
    complete: bool = Field(description="False while the root span has not arrived.")
    span_count: int
    error_count: int
    llm_count: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None = Field(description=MONEY)
    cost_status: str = Field(description="priced, partial, unpriced, reported, or empty.")
    ttft_ms: float | None
    models: list[str]
    providers: list[str]
    categories: list[str]
    services: list[str]
    tool_names: list[str]
    agent_names: list[str]
    error_types: list[str]
    session_id: str
    user_id: str
    tags: list[str]
    environment: str
    release: str
    input_preview: str
    output_preview: str
    scores: dict[str, ScoreSummary]


class TraceList(Reply):
    """A page of traces."""

    items: list[TraceItem]
    next_cursor: str | None = Field(description="Give it as cursor to get the next page; null on the last.")


class SkeletonSpan(Reply):
    """A span as the tree and the waterfall need it; fields that are empty are left out."""

    span_id: str
    parent_span_id: str = ""
    name: str
    category: str
    start_ms: float = Field(description="Milliseconds since the trace's start_time.")
    duration_ms: float
    status_code: str = "unset"
    model: str = ""
    tokens: int | None = Field(default=None, description="Input and output together.")
    cost_usd: str | None = Field(default=None, description=MONEY)
    ttft_ms: float | None = None
    counted: bool | None = Field(default=None, description="False: its usage is shown but not summed.")


class TraceDetail(TraceItem):
    """One trace: its totals and the skeleton of its spans, in order of start time."""

    root_span_id: str = Field(description="Empty while the root is missing.")
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_input_usd: str | None
    cost_output_usd: str | None
    operations: list[str]
    prompt_names: list[str]
    dialects: list[str]
    metadata: dict[str, str]
    missing_parents: int = Field(description="How many spans name a parent that is not stored.")
    score_items: list[Score]
    spans: list[SkeletonSpan]
    next_cursor: str | None = Field(description="For the spans that follow; null on the last page.")


class LiveTraces(Reply):
    """The data of a ``traces`` event of the live stream."""

    items: list[TraceItem]
    missed: int = Field(description="Traces that arrived too fast to be sent; reload to see them.")
