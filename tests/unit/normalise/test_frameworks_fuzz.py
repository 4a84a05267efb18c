"""Any value of any type under the keys of frameworks, gateways and engines: nothing breaks, nothing is invented."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects import DIALECTS
from tests.unit.normalise.make import event, raw_span

BLOCKS = '[{"role": "user", "content": [{"text": "x"}], "parts": [{"type": "text", "content": ["y"]}], "meta": 3}]'
REPR = "{'replies': [{'role': 5, 'meta': {'usage': {'prompt_tokens': 'x'}}}], 'usage': {'inputTokens': -1}}"
TEXTS = st.sampled_from(
    [BLOCKS, REPR, REPR[:40], '{"messages": [[]], "documents": [1, null], "contents": {"parts": 3}}', "null", '"q"']
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
#: Scope and span name that select a dialect, and the keys it reads beside the common ones.
CASES: dict[str, tuple[str, str, list[str]]] = {
    "openlit": ("openlit.instrumentation.x", "chat", ["gen_ai.tool.args", "gen_ai.usage.cost", "gen_ai.environment"]),
    "google_adk": (
        "gcp.vertex.agent",
        "call_llm",
        [f"gcp.vertex.agent.{name}" for name in ("llm_request", "llm_response", "tool_call_args", "tool_response")],
    ),
    "strands": ("strands.telemetry.tracer", "chat", ["gen_ai.server.time_to_first_token", "event_loop.cycle_id"]),
    "litellm": (
        "litellm",
        "litellm_request",
        [
            *("metadata.usage_object", "metadata.requester_metadata", "gen_ai.completion.0.function_call.name"),
            *("llm.request.functions.0.name", "litellm.cache_hit", "litellm.provider.model", "gen_ai.tool.0.name"),
        ],
    ),
    "crewai": ("crewai", "x", ["crewai.task.output", "crewai.memory.query", "crewai.agent.role", "crewai.flow.inputs"]),
    "semantic_kernel": ("semantic_kernel", "chat", ["gen_ai.response.finish_reason", "sk.available_functions"]),
    "haystack": (
        "x",
        "haystack.component.run",
        [f"haystack.component.{name}" for name in ("type", "name", "input", "output")],
    ),
    "claude_code": (
        "x",
        "claude_code.tool",
        ["span.type", "input_tokens", "ttft_ms", "tool_input", "success", "error"],
    ),
    "genkit": (
        "genkit-tracer",
        "x",
        ["genkit:type", "genkit:name", "genkit:input", "genkit:output", "genkit:metadata:subtype", "genkit:state"],
    ),
    "livekit": (
        "livekit-agents",
        "llm_node",
        ["lk.pii.chat_ctx", "lk.response.ttft", "lk.pii.response.function_calls", "lk.function_tools"],
    ),
    "openrouter": (
        "openrouter",
        "LLM Generation",
        [
            *("gen_ai.prompt", "gen_ai.completion", "gen_ai.usage.input_tokens.cached", "gen_ai.usage.total_cost"),
            *("trace.metadata.openrouter.first_token_ms", "trace.metadata.a", "span.input", "span.output"),
        ],
    ),
    "spring_ai": (
        "x",
        "x",
        ["spring.ai.kind", "spring.ai.tool.call.result", "db.vector.query.response.documents", "db.operation.name"],
    ),
    "engines": (
        "vllm.x",
        "llm_request",
        ["gen_ai.latency.e2e", "queue_time", "inference_time", "parameters", "seed", "triton.model_name"],
    ),
    "openllmetry": (
        "traceloop.tracer",
        "x.chat",
        ["llm.request.type", "gen_ai.prompt.0.content", "traceloop.entity.input", "db.vector.query.top_k"],
    ),
}
COMMON = [
    *("gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),
    *("gen_ai.tool.definitions", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.request.stream"),
]
EVENTS = st.sampled_from(
    ["gen_ai.content.prompt", "gen_ai.choice", "gen_ai.tool.message", "db.query.result", "tool.output", "QUEUE_START"]
)


def test_every_framework_is_tried() -> None:
    elsewhere = {"spanhouse", "langfuse", "openinference", "vercel_ai", "vercel_ai_legacy", "pydantic_ai", "logfire"}
    elsewhere |= {"mlflow", "langsmith", "otel", "generic"}
    assert {dialect.name for dialect in DIALECTS} == elsewhere | set(CASES)


@pytest.mark.parametrize("dialect", CASES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_types(dialect: str, data: st.DataObject) -> None:
    scope, name, keys = CASES[dialect]
    attributes: dict[str, Any] = data.draw(st.dictionaries(st.sampled_from(keys + COMMON), VALUES, max_size=8))
    names = data.draw(st.lists(EVENTS, max_size=2))
    fields = data.draw(st.dictionaries(st.sampled_from(["content", "message", "gen_ai.prompt", "output"]), VALUES))
    events = [event(each, 5, **fields) for each in names]
    if dialect == "spring_ai":
        attributes.setdefault("spring.ai.kind", "chat_client")
    if dialect == "openllmetry":
        attributes.setdefault("traceloop.entity.name", "x")
    raw = raw_span(attributes, name=name, scope=scope, events=events)
    before = repr(raw)
    span = normalise(raw)
    assert repr(raw) == before
    assert "unmapped" not in span.raw.flags
    assert span.dialect == dialect
    for message in span.input_messages + span.output_messages:
        assert type(message["role"]) is str
        assert all(type(part["type"]) is str for part in message["parts"])
    assert all(type(part["type"]) is str for part in span.system_instructions)
    assert all(type(getattr(span, field)) is str for field in ("tool_name", "agent_name", "response_id", "user_id"))
    assert all(type(key) is str and type(value) is str for key, value in span.metadata.items())
    assert all(type(reason) is str for reason in span.finish_reasons)
    assert all(type(document) is dict for document in span.documents)
    counts = (span.usage.input_tokens, span.usage.output_tokens)
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)
    assert span.ttft_ns is None or span.ttft_ns >= 0
    assert span.cost.reported_usd is None or span.cost.reported_usd >= 0
    orjson.dumps({field: getattr(span, field) for field in span.__slots__ if field not in ("raw", "cost")})
