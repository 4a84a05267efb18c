"""Microsoft's frameworks: scopes, steps, and names of enumerations."""

from __future__ import annotations

import pytest

from spanhouse_server.normalise import normalise
from tests.unit.normalise.make import raw_span


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
