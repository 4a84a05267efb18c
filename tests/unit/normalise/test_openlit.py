"""OpenLIT: placeholders dropped, the generation before, vector databases and the operations only it has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span

SCOPE = "openlit.instrumentation.openai"
BASE = {"telemetry.sdk.name": "openlit", "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


@pytest.mark.parametrize(
    ("attributes", "scope", "dialect"),
    [
        (BASE, "anything", "openlit"),
        ({"gen_ai.sdk.version": "1.0", "gen_ai.operation.name": "chat"}, "x", "openlit"),
        ({}, SCOPE, "openlit"),
        ({}, "openlit", "openlit"),
        ({}, "openlitish", "generic"),
        ({"telemetry.sdk.name": "opentelemetry", "gen_ai.system": "openai"}, "x", "otel"),
    ],
)
def test_choice(attributes: dict[str, Any], scope: str, dialect: str) -> None:
    assert normalise(raw_span(attributes, scope=scope)).dialect == dialect


def test_placeholders_are_not_told() -> None:
    extra = {
        "gen_ai.request.user": "",
        "gen_ai.request.seed": "",
        "gen_ai.request.max_tokens": -1,
        "gen_ai.request.stream": False,
        "gen_ai.server.time_to_first_token": 0.9,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cost": 0,
        "deployment.environment": "default",
    }
    span = normalise(raw_span(BASE | extra, scope=SCOPE))
    assert span.parameters == {"stream": False}
    assert (span.ttft_ns, span.cost.reported_usd, span.environment, span.user_id) == (None, None, "", "")
    priced = normalise(raw_span(BASE | extra | {"gen_ai.usage.cost": 0.25, "gen_ai.environment": "prod"}, scope=SCOPE))
    assert (priced.cost.reported_usd, priced.environment) == (Decimal("0.25"), "prod")


@pytest.mark.parametrize(("cached", "known"), [({}, False), ({"gen_ai.usage.cache_read.input_tokens": 0}, True)])
def test_guessed_usage_of_a_stream_is_left_out(cached: dict[str, int], known: bool) -> None:
    usage = {
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.server.time_to_first_token": 0.5,
    }
    span = normalise(raw_span(BASE | usage | cached, scope=SCOPE))
    assert span.usage.known is known
    assert span.ttft_ns == 500_000_000


def test_lines_of_the_generation_before() -> None:
    prompt = "system: Be brief.\nuser: Two\nlines: of it.\nassistant: Yes?\nuser: Go."
    events = [
        event("gen_ai.content.prompt", gen_ai__prompt=prompt),
        event("gen_ai.content.completion", gen_ai__completion="Done."),
    ]
    span = normalise(raw_span(BASE, scope="openlit", events=events))
    assert [(message["role"], message["parts"][0]["content"]) for message in span.input_messages] == [
        ("system", "Be brief."),
        ("user", "Two\nlines: of it."),
        ("assistant", "Yes?"),
        ("user", "Go."),
    ]
    assert span.output_preview == "Done."


@pytest.mark.parametrize(
    ("attributes", "category", "operation"),
    [
        ({"gen_ai.operation.name": "vectordb", "db.operation.name": "QUERY"}, "retriever", "retrieval"),
        ({"gen_ai.operation.name": "vectordb", "db.operation.name": "INSERT"}, "other", "vectordb"),
        ({"gen_ai.operation.name": "image"}, "llm", "generate_content"),
        ({"gen_ai.operation.name": "framework"}, "workflow", "framework"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool", "execute_tool"),
        ({"gen_ai.operation.name": "retrieval"}, "retriever", "retrieval"),
    ],
)
def test_categories(attributes: dict[str, Any], category: str, operation: str) -> None:
    span = normalise(raw_span(attributes, scope="openlit.instrumentation.x"))
    assert (span.category, span.operation) == (category, operation)


def test_tool_reasoning_and_nested_system_blocks() -> None:
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look", "gen_ai.tool.args": "{'at': 'it'}"}
    assert normalise(raw_span(BASE | tool, scope=SCOPE)).tool_arguments == {"at": "it"}
    nested = '[{"type": "text", "content": [{"type": "text", "text": "Be brief."}]}]'
    span = normalise(
        raw_span(
            BASE
            | {
                "gen_ai.system_instructions": nested,
                "gen_ai.output.messages": '[{"role": "assistant", "parts": [{"type": "text", "content": "Yes."}]}]',
                "gen_ai.content.reasoning": "Hm.",
            },
            scope=SCOPE,
        )
    )
    assert span.system_instructions == [{"type": "text", "content": "Be brief."}]
    assert [part["type"] for part in span.output_messages[0]["parts"]] == ["reasoning", "text"]


@pytest.mark.parametrize(("api", "input_tokens"), [("anthropic", 140), ("bedrock", 140), ("openai", 100)])
def test_cached_tokens_stand_beside_the_input_of_two_apis(api: str, input_tokens: int) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    span = normalise(raw_span(attributes, scope=f"openlit.instrumentation.{api}"))
    assert (span.dialect, span.usage.input_tokens) == ("openlit", input_tokens)
