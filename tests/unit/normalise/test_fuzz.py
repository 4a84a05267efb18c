"""Whatever types arrive under whatever keys: never an exception, never an invented number, always JSON."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.model.raw import RawEvent, RawLog, RawSpan, Scope
from spanhouse_server.normalise import normalise, redact_log
from spanhouse_server.normalise.context import SESSION_KEYS, TAG_KEYS, USER_KEYS
from spanhouse_server.normalise.dialects import generic, openinference, otel, pydantic_ai, vercel_ai_legacy
from spanhouse_server.normalise.dialects.otel_content import LOG_EVENTS
from spanhouse_server.normalise.outcome import TTFT_EVENTS, TTFT_KEYS
from tests.unit.normalise.make import raw_span

SCOPES = [
    *("", "spanhouse", "openinference.instrumentation.x", "ai", "gen_ai", "langfuse-sdk", "pydantic-ai"),
    *("logfire.openai", "mlflow.tracing.provider", "langsmith"),
]
#: Of the dialects that frameworks speak: markers, content, and what holds several counts at once.
DIALECT_KEYS = (
    *(f"langfuse.observation.{name}" for name in ("type", "input", "output", "usage_details", "cost_details")),
    *("langfuse.observation.completion_start_time", "langfuse.observation.metadata", "langfuse.observation.level"),
    *("langfuse.observation.model.parameters", "langfuse.observation.metadata.finish_reason"),
    *("ai.operationId", "operation.name", "ai.prompt", "ai.prompt.messages", "ai.prompt.tools", "ai.response.text"),
    *("ai.response.toolCalls", "ai.response.files", "ai.response.reasoning", "ai.response.providerMetadata"),
    *("ai.values", "ai.documents", "ai.ranking", "ai.toolCall.args", "ai.toolCall.result", "ai.model.provider"),
    *("ai.response.msToFirstChunk", "ai.settings.context.a", "ai.settings.maxTokens", "ai.prompt.toolChoice"),
    *("pydantic_ai.all_messages", "all_messages_events", "events", "final_result", "operation.cost", "inputs"),
    *("tool_arguments", "tool_response", "gen_ai.agent.call.id", "model_name"),
    *("request_data", "response_data", "gen_ai.usage.raw", "logfire.span_type", "logfire.feedback.name"),
    *("mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage", "mlflow.llm.cost"),
    *("mlflow.message.format", "mlflow.llm.model", "mlflow.chat.tools", "mlflow.trace.session"),
    *("langsmith.span.kind", "langsmith.metadata.usage_metadata", "gen_ai.usage.input_token_details"),
    *("langsmith.metadata.thread_id", "langfuse.trace.metadata.a"),
)
KEYS = st.sampled_from(
    [
        *otel.USAGE.places,
        *openinference.USAGE.places,
        *SESSION_KEYS,
        *USER_KEYS,
        *TAG_KEYS,
        *generic.INPUT_KEYS,
        *generic.OUTPUT_KEYS,
        *(key for key, _ in TTFT_KEYS),
        *vercel_ai_legacy.USAGE.places,
        *pydantic_ai.SUMMED_USAGE.places,
        *DIALECT_KEYS,
        *[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.system",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "gen_ai.tool.name",
            "gen_ai.tool.call.id",
            "gen_ai.retrieval.documents",
            "gen_ai.retrieval.query.text",
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.event.content",
            "gen_ai.response.finish_reasons",
            "gen_ai.prompt.0.role",
            "gen_ai.prompt.0.content",
            "gen_ai.prompt.0.tool_calls.0.name",
            "gen_ai.completion.0.content",
            "openinference.span.kind",
            "llm.model_name",
            "llm.invocation_parameters",
            "llm.input_messages",
            "llm.input_messages.0.message.role",
            "llm.input_messages.0.message.content",
            "llm.input_messages.0.message.tool_call_id",
            "llm.input_messages.0.message.contents.0.message_content.type",
            "llm.output_messages.0.message.content",
            "llm.input_messages.0.message.contents.0.message_content.text",
            "llm.output_messages.999999999.message.role",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
            "llm.tools.0.tool.json_schema",
            "llm.tools",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id",
            "llm.prompts",
            "llm.choices.0.completion.text",
            "llm.function_call",
            "llm.cost.total",
            "llm.cost.prompt",
            "llm.provider",
            "llm.system",
            "retrieval.documents.0.document.score",
            "retrieval.documents",
            "retrieval.documents.0.document.metadata",
            "reranker.query",
            "reranker.output_documents.0.document.content",
            "embedding.embeddings.0.embedding.text",
            "embedding.embeddings",
            "tool.name",
            "tool.parameters",
            "metadata",
            "input.mime_type",
            "output.mime_type",
            "traceloop.span.kind",
            "traceloop.entity.name",
            "llm.request.functions.0.parameters",
            "spanhouse.kind",
            "spanhouse.metadata.a",
            "error.type",
            "exception.type",
            "message",
            "content",
            "role",
            "tool_calls",
            "id",
            "index",
            "finish_reason",
            "api_key",
            "deployment.environment",
            "service.name",
        ],
    ]
)
WORDS = st.sampled_from(
    ["chat", "LLM", "TOOL", "RETRIEVER", "EMBEDDING", "CHAIN", "tool", "user", "assistant", "execute_tool", "text", "12", "NaN", "-3", "generation", "llm", "ai.generateText.doGenerate", "ai.embed.doEmbed", "ai.rerank", "invoke_agent", "span"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text(max_size=12)  # fmt: skip
FIELDS = st.sampled_from(
    [
        *(
            "choices",
            "usage",
            "usage_metadata",
            "total",
            "prompt_tokens",
            "input_tokens",
            "output_tokens",
            "args",
            "kwargs",
        ),
        *(
            "cache_read_input_tokens",
            "total_tokens",
            "originalIndex",
            "relevanceScore",
            "toolName",
            "event.name",
            "model",
        ),
        *(
            "combined_chunk_content",
            "total_cost",
            "mediaType",
            "system",
            "prompt",
            "anthropic",
            "instructions",
            "tools",
        ),
        "role",
        "content",
        "parts",
        "type",
        "text",
        "name",
        "id",
        "tool_calls",
        "function",
        "arguments",
        "response",
        "result",
        "message",
        "kwargs",
        "lc",
        "data",
        "messages",
        "index",
        "finish_reason",
        "image_url",
        "url",
        "source",
        "input_audio",
        "summary",
        "thinking",
        "update",
        "generations",
        "llm_output",
        "documents",
        "score",
        "metadata",
        "toolUse",
        "toolResult",
        "functionCall",
        "inlineData",
        "input",
        "output",
        "value",
        "choices",
    ]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=14,
)
ANY_VALUE = VALUES | VALUES.map(lambda value: orjson.dumps(value).decode()) | VALUES.map(
    lambda value: orjson.dumps(value).decode()[:-2]
)  # fmt: skip
#: Keys with the positions of their values among those drawn for the whole example: values are what costs time.
POSITIONS = st.dictionaries(KEYS | st.text(max_size=10), st.integers(0, 9), max_size=12)
EVENTS = st.tuples(st.sampled_from([*LOG_EVENTS, *TTFT_EVENTS, "exception", "x"]), st.integers(0, 2**63), POSITIONS)
LOGS = st.tuples(st.sampled_from([*LOG_EVENTS, "", "x"]), st.integers(0, 9), POSITIONS)


@st.composite
def records(draw: st.DrawFn) -> tuple[RawSpan, list[RawLog]]:
    """Draw a span and log records of it, whose attributes and bodies are any of a few values of any type."""
    values = draw(st.lists(ANY_VALUE, min_size=10, max_size=10))

    def filled(positions: dict[str, int]) -> dict[str, Any]:
        return {key: deepcopy(values[position]) for key, position in positions.items()}

    span = RawSpan(
        trace_id="1" * 32,
        span_id="1" * 16,
        parent_span_id="",
        name=draw(st.text(max_size=12) | WORDS),
        kind=draw(st.sampled_from(["internal", "server"])),
        start_ns=draw(st.integers(0, 2**62)),
        end_ns=draw(st.integers(0, 2**62)),
        status_code=draw(st.sampled_from(["unset", "ok", "error"])),
        status_message="",
        attributes=filled(draw(POSITIONS)),
        events=[
            RawEvent(name=name, time_ns=time_ns, attributes=filled(positions))
            for name, time_ns, positions in draw(st.lists(EVENTS, max_size=3))
        ],
        links=[],
        resource=filled(draw(POSITIONS)),
        scope=Scope(draw(st.sampled_from(SCOPES))),
    )
    logs = [
        RawLog(
            time_ns=position,
            observed_ns=9 - position,
            severity_number=9,
            severity_text="",
            event_name=name,
            body=deepcopy(values[position]),
            attributes=filled(positions),
            resource={},
            scope=Scope(),
        )
        for name, position, positions in draw(st.lists(LOGS, max_size=2))
    ]
    return span, logs


TEXT_FIELDS = [
    "category",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "tool_name",
    "tool_call_id",
    "agent_name",
    "input_preview",
    "output_preview",
    "text",
    "error_type",
    "ttft_source",
    "session_id",
    "user_id",
    "environment",
    "release",
    "prompt_name",
    "prompt_version",
    "service_name",
    "host_name",
    "service_instance_id",
    "dialect",
]
PARTS_FIELDS = ("system_instructions",)
MESSAGE_FIELDS = ("input_messages", "output_messages")


def numbers_in(value: Any) -> set[float]:
    """Return every number that a value holds or spells, however deep."""
    if isinstance(value, bool):
        return set()
    if isinstance(value, (int, float)):
        return {float(value)}
    if isinstance(value, str):
        try:
            return {float(value)}
        except (ValueError, OverflowError):
            pass
        try:
            return numbers_in(orjson.loads(value))
        except ValueError:
            return set()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {number for item in items for number in numbers_in(item)}


@settings(max_examples=200, deadline=None)
@given(records())
def test_any_types(drawn: tuple[RawSpan, list[RawLog]]) -> None:
    raw, logs = drawn
    before = repr(raw)
    span = normalise(raw, logs)
    assert repr(raw) == before
    assert "unmapped" not in span.raw.flags
    assert all(type(getattr(span, name)) is str for name in TEXT_FIELDS)
    assert len(span.input_preview) <= 200
    assert len(span.output_preview) <= 200
    for name in MESSAGE_FIELDS:
        for message in getattr(span, name):
            assert type(message["role"]) is str
            assert type(message.get("finish_reason", "")) is str
            assert all(type(part["type"]) is str for part in message["parts"])
    assert all(type(part["type"]) is str for part in span.system_instructions)
    assert all(type(key) is str and type(value) is str for key, value in span.metadata.items())
    assert all(type(item) is str for item in [*span.tags, *span.finish_reasons])
    assert all(type(document) is dict for document in span.documents)

    fields = {name: getattr(span, name) for name in span.__slots__ if name not in ("raw", "cost")}
    orjson.dumps(fields)
    orjson.dumps(span.raw)
    assert normalise(span.raw, [redact_log(log) for log in logs]).input_messages == span.input_messages


NUMBERS = st.one_of(
    st.booleans(), st.integers(-5, 2**63 - 1), st.floats(), WORDS, st.integers(0, 99).map(str), st.floats().map(str), st.none()
)  # fmt: skip
COUNT_KEYS = st.sampled_from(
    sorted(
        {
            *otel.USAGE.places,
            *openinference.USAGE.places,
            *(key for key, _ in TTFT_KEYS),
            "llm.cost.total",
            "llm.cost.prompt",
        }
    )
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(COUNT_KEYS, NUMBERS, min_size=2, max_size=12), st.sampled_from(["LLM", None]))
def test_no_number_is_invented(attributes: dict[str, Any], kind: str | None) -> None:
    told = {number for value in attributes.values() for number in numbers_in(value)}
    span = normalise(raw_span(attributes | ({"openinference.span.kind": kind} if kind else {})))
    usage = span.usage
    counts = [usage.cache_read_tokens, usage.reasoning_tokens, usage.cache_write_1h_tokens]
    # Five-minute and one-hour cache writes add up where nobody told their total.
    five_minutes = (usage.cache_write_tokens or 0) - (usage.cache_write_1h_tokens or 0)
    counts += [usage.cache_write_tokens if float(usage.cache_write_tokens or 0) in told else five_minutes or None]
    counts += [usage.audio_input_tokens, usage.audio_output_tokens]
    if usage.basis != "exclusive":
        counts += [usage.input_tokens, usage.output_tokens]
    for count in counts:
        assert count is None or (type(count) is int and count >= 0 and float(count) in told)
    for total in (usage.input_tokens, usage.output_tokens):
        assert total is None or type(total) is int
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    assert usage.input_tokens is None or usage.input_tokens >= cached
    assert span.ttft_ns is None or span.ttft_ns >= 0
    cost = span.cost.reported_usd
    assert cost is None or (cost.is_finite() and cost >= 0)
    orjson.dumps([getattr(usage, name) for name in usage.__slots__])
