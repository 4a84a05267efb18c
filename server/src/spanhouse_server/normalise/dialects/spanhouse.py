"""Spanhouse's own SDK: standard GenAI attributes, with a kind and JSON input and output for the rest."""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_documents
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY
from spanhouse_server.normalise.view import View

CATEGORIES = {
    "workflow": "workflow",
    "task": "workflow",
    "agent": "agent",
    "tool": "tool",
    "llm": "llm",
    "retriever": "retriever",
    "embedding": "embedding",
    "reranker": "reranker",
    "guardrail": "guardrail",
    "evaluator": "evaluator",
    "span": "other",
}


def matches(view: View) -> bool:
    """Tell whether the SDK opened the span; tags and metadata it also puts on others' spans."""
    return "spanhouse.kind" in view.attributes or view.in_scope("spanhouse")


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then the kind and the generic input and output."""
    otel.read(view, span)
    category = CATEGORIES.get(view.name("spanhouse.kind"))
    if category is not None:
        span.category = category
        span.operation = span.operation or OPERATION_OF_CATEGORY.get(category, "")
    if span.category == "tool":
        span.tool_name = span.tool_name or view.raw.name
    elif span.category == "agent":
        span.agent_name = span.agent_name or view.raw.name
    result = view.json("spanhouse.output")
    if span.category == "retriever" and not span.documents:
        span.documents = fold_documents(result) if isinstance(result, (list, dict)) else []
    fill_input_output(span, view.json("spanhouse.input"), result)


DIALECT = Dialect("spanhouse", matches, read)
