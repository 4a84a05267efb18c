"""Microsoft's frameworks: Semantic Kernel, Agent Framework, AutoGen, Microsoft.Extensions.AI.

Model calls and tools speak OpenTelemetry; the steps around them have scopes and names of their own. Semantic
Kernel for .NET counted under ``gen_ai.response`` first, with -1 for a count and ``N/A`` for a name it did not know.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, flat_tools
from spanhouse_server.normalise.names import UNTOLD
from spanhouse_server.normalise.usage import UsageKeys, usage_of
from spanhouse_server.normalise.view import View

_AGENT_FRAMEWORK = "agent_framework"
SCOPES = frozenset(
    {
        "semantic_kernel",
        "Microsoft.SemanticKernel",
        _AGENT_FRAMEWORK,
        "Microsoft.Agents.AI",
        "Experimental.Microsoft.Agents.AI",
        "Microsoft.Extensions.AI",
        "Experimental.Microsoft.Extensions.AI",
        "autogen-core",
    }
)
#: Of the first versions for .NET.
_FIRST_USAGE = UsageKeys(input=("gen_ai.response.prompt_tokens",), output=("gen_ai.response.completion_tokens",))
#: First words of names that only these frameworks give to steps.
_STEPS = {
    "AutoFunctionInvocationLoop": "workflow",
    "autogen": "other",
    "edge_group.process": "other",
    "executor.process": "workflow",
    "message.send": "other",
    "orchestrate_tools": "workflow",
    "workflow.build": "workflow",
    "workflow.run": "workflow",
    "workflow_invoke": "workflow",
}


def _beside(span: Span) -> bool:
    """Tell whether the API called counts cached tokens beside the input, which Agent Framework hands on as it is."""
    if span.provider in ("anthropic", "aws.bedrock"):
        return True
    return "claude" in span.model and span.provider not in ("openai", "openrouter")  # Vertex AI's, Foundry's


def matches(view: View) -> bool:
    """Tell whether one of the frameworks wrote the span."""
    return "sk.available_functions" in view.attributes or view.in_any(SCOPES)


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    if not span.usage.known:
        span.usage = usage_of(view, _FIRST_USAGE)
    elif view.in_scope(_AGENT_FRAMEWORK) and _beside(span):
        span.usage = usage_of(view, otel.USAGE, exclusive=True)
    # A list that is no JSON: ``[Stop, Length]``.
    reasons = [reason.strip("[] ") for reason in span.finish_reasons]
    span.finish_reasons = [reason for reason in reasons if reason and reason not in UNTOLD]
    if "max_token" in span.parameters:
        span.parameters.setdefault("max_tokens", span.parameters.pop("max_token"))
    if span.category == "other":
        span.category = _STEPS.get(view.raw.name.partition(" ")[0], "other")
    span.tool_definitions = span.tool_definitions or flat_tools(view)
    if not span.tool_definitions and view.text("sk.available_functions"):
        names = view.text("sk.available_functions").split(",")
        span.tool_definitions = [{"type": "function", "name": name.strip()} for name in names if name.strip()]
    if span.category == "workflow":
        fill_input_output(span, view.json("executor.input"), view.json("executor.output"))


DIALECT = Dialect("semantic_kernel", matches, read)
