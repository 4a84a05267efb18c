"""OpenLLMetry (Traceloop): old flattened prompts, entities with JSON input and output, vector databases.

What it has migrated speaks OpenTelemetry; many of its instrumentations still flatten.
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, flat_tools, fold_documents
from spanhouse_server.normalise.messages import fold_message
from spanhouse_server.normalise.view import View, indexed, subtree

_OLD_PARAMETERS = {
    "llm.top_k": "top_k",
    "llm.frequency_penalty": "frequency_penalty",
    "llm.presence_penalty": "presence_penalty",
    "llm.chat.stop_sequences": "stop_sequences",
    "llm.is_streaming": "stream",
    "llm.request.repetition_penalty": "repetition_penalty",
}
#: Its scopes for vector databases, whose spans carry none of its own attributes.
DATABASES = frozenset(
    f"opentelemetry.instrumentation.{name}"
    for name in ("chromadb", "lancedb", "marqo", "milvus", "pinecone", "qdrant", "weaviate")
)
#: What asking a vector database is called: the last word of the span's name.
_SEARCHES = frozenset(
    {"fetch_objects", "hybrid_search", "near_text", "near_vector", "query", "query_batch", "query_points", "search"}
)
CATEGORIES = {"workflow": "workflow", "task": "workflow", "agent": "agent", "tool": "tool"}


def matches(view: View) -> bool:
    """Tell whether a Traceloop instrumentation wrote the span: only it flattens prompts by index."""
    if view.in_any(DATABASES):
        return True
    if "traceloop" in view.roots or "llm.request.type" in view.attributes:
        return True
    attributes = view.attributes
    return "gen_ai.prompt.0.role" in attributes or "gen_ai.completion.0.role" in attributes


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    for message in span.output_messages:
        if message["role"] == "unknown":  # it does not know whose the pieces of LangChain's streams are
            message["role"] = "assistant"
    if span.operation == "text_completion" and view.raw.name.endswith(".chat"):
        span.operation = "chat"  # Anthropic's messages were called a completion
    category = CATEGORIES.get(view.name("traceloop.span.kind"))
    entity = view.name("traceloop.entity.name")
    if category is not None and span.category != "retriever":  # LangChain's are tasks too
        span.category = category
        span.tool_name = span.tool_name or (entity if category == "tool" else "")
        span.agent_name = span.agent_name or (entity if category == "agent" else "")
    genai = view.groups("gen_ai")
    if not span.input_messages:
        span.input_messages = _flat_messages(genai.get("prompt", {}), "user")
    if not span.output_messages:
        span.output_messages = _flat_messages(genai.get("completion", {}), "assistant")
    if not span.finish_reasons:
        reasons = [message["finish_reason"] for message in span.output_messages if "finish_reason" in message]
        span.finish_reasons = list(dict.fromkeys(reasons))
    if "llm" in view.roots:
        span.tool_definitions = span.tool_definitions or flat_tools(view)
        for key in _OLD_PARAMETERS.keys() & view.attributes.keys():
            span.parameters.setdefault(_OLD_PARAMETERS[key], view.opened(view.get(key)))
    if "db" in view.roots:
        _read_database(view, span)
    for name in ("template", "variables", "template_variables"):
        if f"traceloop.prompt.{name}" in view.attributes:
            span.parameters[f"prompt_template.{name}"] = view.json(f"traceloop.prompt.{name}")
    if "traceloop.entity.input" in view.attributes or "traceloop.entity.output" in view.attributes:
        given, result = _inside(view, "input", "inputs"), _inside(view, "output", "outputs")
        if span.category == "retriever":
            span.documents = span.documents or fold_documents(result)
            given = given.get("query", given) if isinstance(given, dict) else given
        fill_input_output(span, given, result)
    if span.category == "tool":
        _unwrap_tool(view, span)


def _unwrap_tool(view: View, span: Span) -> None:
    """Take LangChain's callback off what a tool was given and what it gave back."""
    given, result = span.tool_arguments, span.tool_result
    if isinstance(given, dict) and "input_str" in given:
        span.tool_arguments = given.get("inputs") or view.opened_python(given["input_str"])
    if isinstance(result, dict) and result.keys() == {"output", "kwargs"}:
        span.tool_result = None
        fill_input_output(span, None, result["output"])


def _flat_messages(flat: dict[str, Any], role: str) -> list[Message]:
    messages = []
    for fields in indexed(flat):
        calls = indexed(subtree(fields, "tool_calls."))
        single = subtree(fields, "function_call.")
        if calls or single.get("name"):
            fields |= {"tool_calls": calls, "function_call": single if single.get("name") else None}
        message = fold_message(fields, role)
        if message["parts"]:
            messages.append(message)
    return messages


def _read_database(view: View, span: Span) -> None:
    """Read what a vector database was asked and found, one span event per result."""
    results = view.events("db.query.result", "db.search.result")
    searches = view.in_any(DATABASES) and view.raw.name.rpartition(".")[2] in _SEARCHES
    if not results and not searches and "db.vector.query.top_k" not in view.attributes:
        return
    if not view.name("traceloop.span.kind"):
        span.category, span.operation = "retriever", "retrieval"
    for key in ("db.vector.query.top_k", "db.chroma.query.n_results"):
        if key in view.attributes:
            span.parameters["top_k"] = view.get(key)
    if not span.documents:
        span.documents = fold_documents([_found(view, event.attributes) for event in results])


def _found(view: View, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return one result; a distance is kept as metadata, as it grows where a score falls."""
    fields = {key.rpartition(".")[2]: value for key, value in attributes.items()}
    fields["metadata"] = view.opened_python(fields.get("metadata"))
    return {key: value for key, value in fields.items() if value not in (None, "") and key != "vector"}


def _inside(view: View, side: str, wrapper: str) -> Any:
    """Return an entity's input or output without the ``{"inputs": …}`` around it."""
    value = view.json(f"traceloop.entity.{side}")
    if isinstance(value, dict) and isinstance(value.get(wrapper), (dict, list, str)):
        return value[wrapper]
    return value


DIALECT = Dialect("openllmetry", matches, read)
