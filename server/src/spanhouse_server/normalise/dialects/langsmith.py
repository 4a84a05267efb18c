"""LangSmith's OpenTelemetry export: LangChain runs with whole inputs and outputs in ``gen_ai.prompt``.

The kind of a run decides what a span is, as ``gen_ai.operation.name`` calls a retriever an embedding and
``gen_ai.system`` is a guess by the model's name. Usage with its details is in the run's metadata.
"""

from __future__ import annotations

import re
from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_documents
from spanhouse_server.normalise.dialects.provider_json import (
    add_usage,
    answer_messages,
    read_answer,
    read_provider_usage,
    read_request,
)
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY, fold_provider
from spanhouse_server.normalise.usage import usage_of
from spanhouse_server.normalise.values import name_of, names_of
from spanhouse_server.normalise.view import View

CATEGORIES = {
    "agent": "agent",
    "chain": "workflow",
    "embedding": "embedding",
    "llm": "llm",
    "retriever": "retriever",
    "tool": "tool",
}
_REPR_COUNT = re.compile(r"'(\w{1,64})': (\d{1,18})(?=[,}])")
MAX_REPR_CHARACTERS = 4096
_ERROR = re.compile(r"([A-Za-z_][\w.]{0,200})[(:]")


def matches(view: View) -> bool:
    """Tell whether LangSmith exported the span."""
    return "langsmith.span.kind" in view.attributes or view.in_scope("langsmith")


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    otel.read_identity(view, span)
    kind = view.name("langsmith.span.kind")
    if kind:
        span.category = CATEGORIES.get(kind, "other")
        span.operation = OPERATION_OF_CATEGORY.get(span.category, "")
    span.provider = fold_provider(view.name("langsmith.metadata.ls_provider")) or span.provider
    span.parameters = otel.read_parameters(view)
    span.finish_reasons = names_of(view.get("gen_ai.response.finish_reasons"))
    otel.read_tool(view, span)
    _read_usage(view, span)
    given, result = view.json("gen_ai.prompt"), view.json("gen_ai.completion")
    if span.category == "llm":
        _read_call(span, given, result)
    elif span.category == "tool":
        span.tool_name = span.tool_name or view.raw.name
    elif span.category == "agent":
        span.agent_name = span.agent_name or view.raw.name
    elif span.category == "retriever":
        span.documents = fold_documents(_inside(result))
    fill_input_output(span, _inside(given) if span.category != "tool" else given, _inside(result))
    if view.raw.status_code == "error" and "error.type" not in view.attributes:
        view.overlay(_error_type(view))


def _read_usage(view: View, span: Span) -> None:
    span.usage = usage_of(view, otel.USAGE)
    counts = view.json("langsmith.metadata.usage_metadata")
    if not isinstance(counts, dict):
        counts = {
            "input_tokens": view.get("gen_ai.usage.input_tokens"),
            "output_tokens": view.get("gen_ai.usage.output_tokens"),
            "total_tokens": view.get("gen_ai.usage.total_tokens"),
            "input_token_details": _details(view, "gen_ai.usage.input_token_details"),
            "output_token_details": _details(view, "gen_ai.usage.output_token_details"),
        }
    add_usage(span, read_provider_usage(counts))


def _details(view: View, key: str) -> Any:
    """Return details of a count, which are written as Python shows a dictionary: ``{'cache_read': 5}``."""
    value = view.json(key)
    return dict(_REPR_COUNT.findall(value[:MAX_REPR_CHARACTERS])) if isinstance(value, str) else value


def _read_call(span: Span, given: Any, result: Any) -> None:
    """Read the request and the answer of a model call, of a wrapped client or of LangChain's."""
    if isinstance(given, dict):
        read_request(span, given)
    if isinstance(result, dict):
        read_answer(span, result)
        inner = result.get("output")
        if not span.output_messages and isinstance(inner, dict):
            span.output_messages = answer_messages(inner)
        metadata = _response_metadata(result)
        span.response_id = span.response_id or name_of(metadata.get("id"))
        span.response_model = span.response_model or name_of(metadata.get("model_name") or metadata.get("model"))


def _response_metadata(result: dict[str, Any]) -> dict[str, Any]:
    """Return what LangChain kept of the provider's answer beside the message."""
    generations = result.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    message = generations.get("message") if isinstance(generations, dict) else None
    fields = message.get("kwargs") or message.get("data") if isinstance(message, dict) else None
    metadata = fields.get("response_metadata") if isinstance(fields, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _inside(value: Any) -> Any:
    """Return what stands alone under ``input`` or ``output``, as traced functions have it, or the only argument."""
    if isinstance(value, dict) and len(value) == 1:
        key, inner = next(iter(value.items()))
        if key in ("input", "output") or isinstance(inner, str):
            return inner
    return value


def _error_type(view: View) -> dict[str, Any]:
    """Return the error's type: every exception is an ``Exception`` here, with the true one in its message."""
    for event in reversed(view.raw.events):
        message = event.attributes.get("exception.message")
        if event.name == "exception" and event.attributes.get("exception.type") == "Exception":
            found = _ERROR.match(message) if isinstance(message, str) else None
            if found:
                return {"error.type": found[1]}
    return {}


DIALECT = Dialect("langsmith", matches, read)
