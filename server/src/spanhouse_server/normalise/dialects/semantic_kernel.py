"""Microsoft's frameworks: Semantic Kernel, Agent Framework, AutoGen, Microsoft.Extensions.AI.

Model calls and tools speak OpenTelemetry; the steps around them have scopes and names of their own.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, flat_tools
from spanhouse_server.normalise.view import View

SCOPES = frozenset(
    {
        "semantic_kernel",
        "Microsoft.SemanticKernel",
        "agent_framework",
        "Microsoft.Agents.AI",
        "Experimental.Microsoft.Agents.AI",
        "Microsoft.Extensions.AI",
        "Experimental.Microsoft.Extensions.AI",
        "autogen-core",
    }
)
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


def matches(view: View) -> bool:
    """Tell whether one of the frameworks wrote the span."""
    return "sk.available_functions" in view.attributes or view.in_any(SCOPES)


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    if span.category == "other":
        span.category = _STEPS.get(view.raw.name.partition(" ")[0], "other")
    span.tool_definitions = span.tool_definitions or flat_tools(view)
    if not span.tool_definitions and view.text("sk.available_functions"):
        names = view.text("sk.available_functions").split(",")
        span.tool_definitions = [{"type": "function", "name": name.strip()} for name in names if name.strip()]
    if span.category == "workflow":
        fill_input_output(span, view.json("executor.input"), view.json("executor.output"))


DIALECT = Dialect("semantic_kernel", matches, read)
