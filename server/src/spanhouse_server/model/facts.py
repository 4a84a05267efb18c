"""What a whole trace is judged by: the few facts of each of its spans."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(slots=True)
class SpanFacts:
    """The narrow part of a stored span, enough to settle its trace.

    Field names are the columns of the ``spans`` table, so that facts read back from the store
    and facts of spans just normalised are the same thing.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    version: int
    received_at: int
    retention_days: int
    name: str
    kind: str
    status_code: str
    error_type: str
    start_ns: int
    end_ns: int
    category: str
    operation: str
    provider: str
    request_model: str
    response_model: str
    response_id: str
    finish_reasons: list[str]
    tool_name: str
    agent_name: str
    input_preview: str
    output_preview: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    cost_usd: Decimal | None
    cost_input_usd: Decimal | None
    cost_output_usd: Decimal | None
    cost_status: str
    ttft_ns: int | None
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
    scope_name: str


@dataclass(slots=True)
class IndexRow(SpanFacts):
    """A row of ``span_index``: the facts, with what the whole trace adds to them.

    ``version`` is the settle stamp here; session, user, tags and the rest of the context are
    those of the trace where the span had none of its own. ``counted_reason`` says why the span
    counts or does not (``normalise.settle_usage``). A model span that another trace may report too
    (``normalise.settle_across``) has its scope in ``call_scope``; ``lone_call`` tells that its trace has
    nothing but other model spans above it. ``stream_key`` ties it to a record of its end without a response id
    (``normalise.settle_streams``), or is an id that another report in its trace lends it (``normalise.settle_ids``).
    """

    project_id: str = ""
    is_deleted: int = 0
    is_root: bool = False
    duration_ns: int = 0
    model: str = ""
    counted: bool = False
    counted_reason: str = ""
    call_scope: str = ""
    lone_call: bool = False
    stream_key: str = ""


@dataclass(slots=True)
class TraceRow:
    """A row of ``traces``. Sums run over counted spans; ``None`` where none of them said."""

    project_id: str
    start_ns: int
    trace_id: str
    version: int
    received_at: int
    retention_days: int
    is_deleted: int = 0
    end_ns: int = 0
    duration_ns: int = 0
    name: str = ""
    root_span_id: str = ""
    status_code: str = "unset"
    span_count: int = 0
    error_count: int = 0
    llm_count: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: Decimal | None = None
    cost_input_usd: Decimal | None = None
    cost_output_usd: Decimal | None = None
    cost_status: str = ""
    ttft_ns: int | None = None
    models: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    tool_names: list[str] = field(default_factory=list)
    agent_names: list[str] = field(default_factory=list)
    error_types: list[str] = field(default_factory=list)
    session_id: str = ""
    user_id: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    release: str = ""
    prompt_names: list[str] = field(default_factory=list)
    dialects: list[str] = field(default_factory=list)
    input_preview: str = ""
    output_preview: str = ""


@dataclass(slots=True)
class SettledTrace:
    """A whole trace after its rules were applied."""

    trace: TraceRow
    spans: list[IndexRow]
