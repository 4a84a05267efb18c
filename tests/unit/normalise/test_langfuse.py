"""Langfuse's observations: their kinds, free usage keys, costs, and what is not theirs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from spanhouse_server.model.span import Span
from spanhouse_server.normalise import normalise
from spanhouse_server.normalise.dialects.langfuse import read_details
from spanhouse_server.normalise.dialects.provider_json import read_provider_usage
from tests.unit.normalise.make import START_NS, raw_span

OBSERVATION = "langfuse.observation."


def observation(kind: str = "generation", status_code: str = "unset", name: str = "work", **fields: Any) -> Span:
    """Return the canonical span of an observation; values that are not text are sent as JSON."""
    attributes = {OBSERVATION + "type": kind}
    for key, value in fields.items():
        attributes[OBSERVATION + key.replace("__", ".")] = (
            value if isinstance(value, str) else orjson.dumps(value).decode()
        )
    return normalise(raw_span(attributes, scope="langfuse-sdk", status_code=status_code, name=name))


@pytest.mark.parametrize(
    ("kind", "category", "operation"),
    [
        ("generation", "llm", "chat"),
        ("embedding", "embedding", "embeddings"),
        ("agent", "agent", "invoke_agent"),
        ("tool", "tool", "execute_tool"),
        ("chain", "workflow", ""),
        ("retriever", "retriever", "retrieval"),
        ("guardrail", "guardrail", ""),
        ("evaluator", "evaluator", ""),
        ("span", "other", ""),
        ("event", "other", ""),
    ],
)
def test_kinds(kind: str, category: str, operation: str) -> None:
    span = observation(kind)
    assert (span.dialect, span.category, span.operation) == ("langfuse", category, operation)


@pytest.mark.parametrize(
    ("details", "counts", "basis"),
    [
        ({"input": 7, "output": 3, "total": 10}, (7, 3, None, None, None), "inclusive"),
        ({"input": 7, "input_cached_tokens": 5, "output": 3}, (12, 3, 5, None, None), "exclusive"),
        (
            {"input": 7, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output": 3},
            (14, 3, 5, 2, None),
            "exclusive",
        ),
        ({"input": 7, "input_cache_read": 5, "output": 3, "output_reasoning": 4}, (12, 7, 5, None, 4), "exclusive"),
        ({"input": 12, "input_cached_tokens": 5, "output": 3, "total": 15}, (12, 3, 5, None, None), "inclusive"),
        (
            {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
            (12, 3, 5, None, None),
            "inclusive",
        ),
        (
            {
                "input_tokens": 12,
                "output_tokens": 3,
                "total_tokens": 15,
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            (12, 3, None, None, 2),
            "inclusive",
        ),
        (
            {"input_tokens": 4, "output_tokens": 6, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 0},
            (11, 6, 0, 7, None),
            "exclusive",
        ),
        ({"input": "7", "output": -3}, (7, None, None, None, None), "exclusive"),
        ({"seconds": 7}, (None, None, None, None, None), ""),
    ],
)
def test_usage(details: dict[str, Any], counts: tuple[int | None, ...], basis: str) -> None:
    usage = observation(usage_details=details).usage
    assert (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    ) == counts
    assert usage.basis == basis


@pytest.mark.parametrize(
    ("details", "usage", "cost"),
    [
        ({"input": 0.1, "output": 0.2, "total": 0.3}, {"input": 1}, Decimal("0.3")),
        ({"input": 0.1, "output": 0.2}, {"input": 1}, Decimal("0.3")),
        ({"total": 0}, {"input": 1}, Decimal("0")),
        ({"input": 0, "output": 0, "total": 0}, {}, None),
        ({"total": -1}, {"input": 1}, None),
        ([1], {"input": 1}, None),
    ],
)
def test_cost(details: Any, usage: dict[str, Any], cost: Decimal | None) -> None:
    assert observation(cost_details=details, usage_details=usage).cost.reported_usd == cost


def test_first_token() -> None:
    moment = "2027-01-15T08:00:00.250000Z"
    assert START_NS == 1_800_000_000_000_000_000  # 2027-01-15T08:00:00Z
    for text in (moment, f'"{moment}"', moment.replace("Z", "+00:00"), moment.removesuffix("Z")):
        span = observation(completion_start_time=text)
        assert (span.ttft_ns, span.ttft_source) == (250_000_000, "client_chunk")
    for text in ("2027-01-15T07:59:59Z", "soon", "2029-01-01T00:00:00Z"):
        assert observation(completion_start_time=text).ttft_ns is None


def test_decorated_functions() -> None:
    tool = observation("tool", name="look", input={"args": [], "kwargs": {"city": "Paris"}}, output="blue")
    assert (tool.tool_name, tool.tool_arguments, tool.tool_result) == ("look", {"city": "Paris"}, "blue")
    both = observation("tool", input={"args": [1], "kwargs": {"a": 2}})
    assert both.tool_arguments == {"args": [1], "kwargs": {"a": 2}}
    agent = observation("agent", name="helper", input={"args": ["Why?"], "kwargs": {}}, output="So.")
    assert (agent.agent_name, agent.input_preview, agent.output_preview) == ("helper", "Why?", "So.")


def test_responses_and_model() -> None:
    output = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
    ]
    span = observation(input=[{"role": "user", "content": "Hello"}], output=output, model__name="gpt-5")
    assert [part["type"] for part in span.output_messages[0]["parts"]] == ["text", "tool_call"]
    assert (span.request_model, span.response_model, span.output_preview) == ("gpt-5", "gpt-5", "Hi. look()")
    unanswered = observation(model__name="gpt-5", level="ERROR")
    assert (unanswered.request_model, unanswered.response_model) == ("gpt-5", "")
    assert (unanswered.raw.status_code, unanswered.error_type) == ("error", "unknown")


def test_metadata_and_context() -> None:
    attributes = {
        OBSERVATION + "type": "span",
        OBSERVATION + "metadata": '{"a": 1}',
        OBSERVATION + "metadata.plan": '"pro"',
        OBSERVATION + "metadata.old": "plain",
        "langfuse.trace.metadata.seats": '"3"',
        "langfuse.trace.tags": ["a"],
        "langfuse.environment": "staging",
        "langfuse.release": "r1",
        OBSERVATION + "prompt.name": "greet",
        OBSERVATION + "prompt.version": 4,
        "session.id": "s",
    }
    span = normalise(raw_span(attributes, scope="langfuse-sdk"))
    assert span.metadata == {"a": "1", "plan": "pro", "old": "plain", "seats": "3"}
    assert (span.environment, span.release, span.prompt_name, span.prompt_version) == ("staging", "r1", "greet", "4")
    assert (span.session_id, span.tags) == ("s", ["a"])


def test_context_on_others_spans_does_not_make_them_langfuses() -> None:
    attributes = {
        "langfuse.trace.tags": ["a"],
        "langfuse.trace.metadata.plan": '"pro"',
        OBSERVATION + "prompt.name": "greet",
        "openinference.span.kind": "LLM",
        "llm.model_name": "m",
    }
    span = normalise(raw_span(attributes, scope="openinference.instrumentation.openai"))
    assert (span.dialect, span.request_model, span.prompt_name) == ("openinference", "m", "greet")
    assert (span.tags, span.metadata) == (["a"], {"plan": "pro"})


def test_other_emitters_dressed_up_for_langfuse() -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", OBSERVATION + "type": "generation"}
    span = normalise(raw_span(attributes, scope="litellm"))
    assert (span.dialect, span.category, span.request_model) == ("langfuse", "llm", "m")


def test_what_is_said_of_the_whole_trace_stands_in_where_a_step_says_nothing_itself() -> None:
    trace = {"langfuse.trace.input": '"Why?"', "langfuse.trace.output": '{"answer": "Because."}'}
    step = normalise(raw_span({OBSERVATION + "type": "span", **trace}, scope="langfuse-sdk"))
    assert (step.input_preview, step.output_preview) == ("Why?", "Because.")
    own = {OBSERVATION + "type": "span", OBSERVATION + "input": "mine", OBSERVATION + "output": "too"}
    assert normalise(raw_span(own | trace, scope="langfuse-sdk")).input_preview == "mine"
    model = normalise(raw_span({OBSERVATION + "type": "generation", **trace}, scope="langfuse-sdk"))
    assert (model.input_messages, model.output_messages) == ([], [])
    other = normalise(raw_span(trace, scope="my_app"))
    assert (other.dialect, other.output_preview) == ("generic", "Because.")


def test_livekit_keeps_its_model_requests_though_they_tell_langfuse_when_the_answer_began() -> None:
    attributes = {
        OBSERVATION + "completion_start_time": '"2026-01-01T00:00:00+00:00"',
        OBSERVATION + "prompt.name": "greet",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "api.openai.com",
    }
    span = normalise(raw_span(attributes, name="llm_request", scope="livekit-agents"))
    assert (span.dialect, span.category, span.provider, span.prompt_name) == ("livekit", "llm", "openai", "greet")


@pytest.mark.parametrize(
    "written",
    [
        # Anthropic's usage as the handler of LangChain flattens it: the count and the parts it is the sum of.
        {
            "cache_creation_input_tokens": 100,
            "cache_creation_ephemeral_5m_input_tokens": 60,
            "cache_creation_ephemeral_1h_input_tokens": 40,
        },
        # LangChain's own details, which set the count to zero where they tell its parts.
        {"input_cache_creation": 0, "input_ephemeral_5m_input_tokens": 60, "input_ephemeral_1h_input_tokens": 40},
        {"input_cache_creation_5m": 60, "input_cache_creation_1h": 40},
    ],
)
def test_what_was_written_to_the_cache_counts_once(written: dict[str, int]) -> None:
    usage = read_details({"input": 50, "output": 5, "cache_read_input_tokens": 30, **written})
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (180, 30, 5)
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens, usage.basis) == (100, 40, "exclusive")


@pytest.mark.parametrize(
    ("tier", "details"),
    [
        # The handler of LangChain takes these parts out of the totals …
        ("flex", {"input": 0, "input_flex": 70, "input_flex_cache_read": 30, "output": 0, "output_flex": 8}),
        # … but not these.
        ("priority", {"input": 100, "input_priority": 70, "input_priority_cache_read": 30, "output": 10}),
    ],
)
def test_service_tiers_of_langchain(tier: str, details: dict[str, int]) -> None:
    usage = read_details(details | {f"output_{tier}_reasoning": 2, "total": 110})
    assert (usage.service_tier, usage.input_tokens, usage.cache_read_tokens) == (tier, 100, 30)
    assert (usage.output_tokens, usage.reasoning_tokens) == (10, 2)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_service_tiers_in_langchains_own_words(tier: str) -> None:
    given = {tier: 70, f"{tier}_cache_read": 30}
    made = {tier: 8, f"{tier}_reasoning": 2}
    usage = read_provider_usage(
        {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, "input_token_details": given}
        | {"output_token_details": made}
    )
    assert (usage.service_tier, usage.input_tokens, usage.cache_read_tokens) == (tier, 100, 30)
    assert (usage.output_tokens, usage.reasoning_tokens, usage.basis) == (10, 2, "inclusive")
