"""Spring AI (Micrometer): every value is text, and what a span is stands in ``spring.ai.kind``.

Chat models speak OpenTelemetry's attributes; chat clients, advisors, tools and vector stores do not.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_documents
from spanhouse_server.normalise.messages import text_message
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY
from spanhouse_server.normalise.view import View

KIND = "spring.ai.kind"
CATEGORIES = {"advisor": "workflow", "chat_client": "workflow", "tool_call": "tool", "vector_store": "retriever"}
_TOOL = "spring.ai.tool."
_QUERY = "db.vector.query."
_CLIENT = "spring.ai.chat.client."


def matches(view: View) -> bool:
    """Tell whether Spring AI wrote the span; of chat models only the system ``spring_ai`` tells."""
    return "spring" in view.roots and bool(view.family("spring.ai."))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    kind = view.name(KIND)
    if span.provider == "spring_ai":
        span.provider = ""
    if kind in CATEGORIES:
        span.category = CATEGORIES[kind]
        if kind == "vector_store" and view.name("db.operation.name") not in ("", "query"):
            span.category = "other"
        span.operation = OPERATION_OF_CATEGORY.get(span.category, "")
    if span.category == "tool":
        span.tool_name = span.tool_name or view.name(_TOOL + "definition.name")
        fill_input_output(span, view.json(_TOOL + "call.arguments"), view.json(_TOOL + "call.result"))
    elif kind == "vector_store":
        _read_store(view, span)
    elif kind == "chat_client":
        _read_client(view, span)
    names = view.json(_CLIENT + "tool.names")
    if isinstance(names, list) and not span.tool_definitions:
        span.tool_definitions = [{"type": "function", "name": name} for name in names if isinstance(name, str)]
    add_metadata(span, "spring.ai.advisor.name", view.get("spring.ai.advisor.name"))


def _read_store(view: View, span: Span) -> None:
    found = view.json(_QUERY + "response.documents")
    if isinstance(found, list):
        span.documents = fold_documents(found)
    query = view.text(_QUERY + "content")
    if query:
        span.input_messages = [text_message("user", query)]
    for name in ("top_k", "similarity_threshold", "filter"):
        if _QUERY + name in view.attributes:
            span.parameters[name] = view.get(_QUERY + name)


def _read_client(view: View, span: Span) -> None:
    span.session_id = view.name("session.id", _CLIENT + "conversation.id")
    system, user = view.text(_CLIENT + "system.text"), view.text(_CLIENT + "user.text")
    if system and not span.system_instructions:
        span.system_instructions = [{"type": "text", "content": system}]
    if user and not span.input_messages:
        span.input_messages = [text_message("user", user)]


DIALECT = Dialect("spring_ai", matches, read)
