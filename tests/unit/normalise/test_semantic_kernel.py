"""Microsoft's frameworks: scopes, steps, and names of enumerations."""

from __future__ import annotations

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import event, raw_span


@pytest.mark.parametrize(
    ("scope", "dialect"),
    [
        ("semantic_kernel.functions.kernel_function", "semantic_kernel"),
        ("Microsoft.SemanticKernel.Connectors.OpenAI", "semantic_kernel"),
        ("agent_framework", "semantic_kernel"),
        ("Experimental.Microsoft.Extensions.AI", "semantic_kernel"),
        ("autogen-core", "semantic_kernel"),
        ("semantic_kernelish", "otel"),
    ],
)
def test_choice(scope: str, dialect: str) -> None:
    assert normalise(raw_span({"gen_ai.operation.name": "chat"}, scope=scope)).dialect == dialect


@pytest.mark.parametrize(
    ("reason", "reasons"),
    [
        ("FinishReason.TOOL_CALLS", ["tool_call"]),
        ("FinishReason.STOP,FinishReason.LENGTH", ["stop", "length"]),
        ("stop", ["stop"]),
    ],
)
def test_finish_reason(reason: str, reasons: list[str]) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.response.finish_reason": reason}
    assert normalise(raw_span(attributes, scope="semantic_kernel.x")).finish_reasons == reasons


@pytest.mark.parametrize(
    ("name", "scope", "category"),
    [
        ("AutoFunctionInvocationLoop", "semantic_kernel.x", "workflow"),
        ("workflow.run", "agent_framework", "workflow"),
        ("executor.process writer", "agent_framework", "workflow"),
        ("message.send", "agent_framework", "other"),
        ("autogen send agent", "autogen-core", "other"),
    ],
)
def test_steps(name: str, scope: str, category: str) -> None:
    assert normalise(raw_span({"executor.id": "writer"}, name=name, scope=scope)).category == category


def test_framework_is_no_provider() -> None:
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "microsoft.agent_framework"}
    assert normalise(raw_span(attributes, scope="agent_framework")).provider == ""


@pytest.mark.parametrize(("operation", "category"), [("chat.completions", "llm"), ("text.completions", "llm")])
def test_model_calls_of_dotnet(operation: str, category: str) -> None:
    span = normalise(
        raw_span(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.system": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.request.max_tokens": 100,
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.usage.output_tokens": 3,
                "gen_ai.response.finish_reason": '["N/A"]',
                "gen_ai.response.id": "chatcmpl-1",
            },
            name=f"{operation} gpt-4o",
            scope="Microsoft.SemanticKernel.Diagnostics",
            events=[
                event("gen_ai.user.message", **{"gen_ai.event.content": '{"role": "user", "content": "Why?"}'}),
                event(
                    "gen_ai.choice",
                    **{"gen_ai.event.content": '{"index": 0, "message": {"role": "Assistant", "content": "So."}}'},
                ),
            ],
        )
    )
    assert (span.category, span.usage.input_tokens, span.usage.output_tokens) == (category, 12, 3)
    assert (span.finish_reasons, span.response_id) == ([], "chatcmpl-1")
    assert (span.input_preview, span.output_preview) == ("Why?", "So.")


def test_first_versions_of_dotnet() -> None:
    attributes = {
        "gen_ai.operation.name": "chat.completions",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.max_token": 100,
        "gen_ai.response.prompt_tokens": 12,
        "gen_ai.response.completion_tokens": 3,
        "gen_ai.response.finish_reason": "[Stop, Length]",
        "gen_ai.response.id": "N/A",
    }
    span = normalise(raw_span(attributes, scope="Microsoft.SemanticKernel.Diagnostics"))
    assert (span.category, span.usage.input_tokens, span.usage.output_tokens) == ("llm", 12, 3)
    assert (span.finish_reasons, span.response_id, span.parameters) == (["stop", "length"], "", {"max_tokens": 100})
    unknown = attributes | {"gen_ai.response.prompt_tokens": -1, "gen_ai.response.completion_tokens": -1}
    assert not normalise(raw_span(unknown, scope="Microsoft.SemanticKernel.Diagnostics")).usage.known


@pytest.mark.parametrize(
    ("provider", "model", "folded", "input_tokens"),
    [
        ("anthropic", "claude-sonnet-4-5", "anthropic", 140),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "aws.bedrock", 140),
        ("google.vertex.ai", "claude-sonnet-4-5@20250929", "gcp.vertex_ai", 140),
        ("azure.ai.foundry", "claude-sonnet-4-5", "azure.ai.openai", 140),
        ("azure.ai.foundry", "gpt-4o", "azure.ai.openai", 100),
        ("openai", "gpt-4o", "openai", 100),
        ("openai", "claude-sonnet-4-5", "openai", 100),
    ],
)
def test_agent_framework_hands_on_how_an_api_counts(provider: str, model: str, folded: str, input_tokens: int) -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_creation.input_tokens": 10,
    }
    span = normalise(raw_span(attributes, scope="agent_framework"))
    assert (span.provider, span.usage.input_tokens) == (folded, input_tokens)
