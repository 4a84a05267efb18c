"""Spring AI (Micrometer): every value is text, and what a span is stands in ``spring.ai.kind``.

Models (chat, embedding, image) speak OpenTelemetry's attributes under Spring Boot's own scope, with ``none`` where
they know nothing; chat clients, advisors, tools and vector stores have a kind and names of their own. Counts are
what the provider's API calls them, so Anthropic's and Bedrock's input leaves cached tokens out.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_documents
from spanhouse_server.normalise.messages import text_message
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY
from spanhouse_server.normalise.usage import usage_of
from spanhouse_server.normalise.values import names_of, number_of, unquoted
from spanhouse_server.normalise.view import View

KIND = "spring.ai.kind"
CATEGORIES = {"advisor": "workflow", "chat_client": "workflow", "tool_call": "tool", "vector_store": "retriever"}
#: Under which Spring Boot's tracer writes everything, models included.
SCOPE = "org.springframework.boot"
#: Providers whose API counts cached tokens beside the input.
_EXCLUSIVE = frozenset({"anthropic", "aws.bedrock"})
_TOOL = "spring.ai.tool."
_QUERY = "db.vector.query."
_CLIENT = "spring.ai.chat.client."
#: Names of the tools offered: of a chat model, of a chat client, and of the latter before 1.0.
_TOOL_NAMES = ("spring.ai.model.request.tool.names", _CLIENT + "tool.names", _CLIENT + "tool.function.names")
_METADATA = ("spring.ai.advisor.name", _CLIENT + "advisors", "db.system", "db.collection.name", "db.namespace")


def matches(view: View) -> bool:
    """Tell whether Spring AI wrote the span; of models, which have no key of its own, the scope tells."""
    if view.in_scope(SCOPE) and "gen_ai" in view.roots:
        return True
    return "spring" in view.roots and bool(view.family("spring.ai."))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    if span.provider in _EXCLUSIVE:
        span.usage = usage_of(view, otel.USAGE, exclusive=True)
    span.parameters = {name: _number(value) for name, value in span.parameters.items()}
    kind = view.name(KIND)
    if kind in CATEGORIES:
        span.category = CATEGORIES[kind]
        if kind == "vector_store" and view.name("db.operation.name") not in ("", "query"):
            span.category = "other"
        span.operation = OPERATION_OF_CATEGORY.get(span.category, "")
    elif span.operation == "text_to_speech":
        span.parameters.setdefault("output_type", "text_to_speech")
        span.category, span.operation = "llm", "generate_content"
    if span.category == "tool":
        span.tool_name = span.tool_name or view.name(_TOOL + "definition.name")
        fill_input_output(span, view.json(_TOOL + "call.arguments"), unquoted(view.json(_TOOL + "call.result")))
    elif kind == "vector_store":
        _read_store(view, span)
    elif kind == "chat_client":
        _read_client(view, span)
    for key in _TOOL_NAMES:
        if key in view.attributes and not span.tool_definitions:
            span.tool_definitions = [{"type": "function", "name": name} for name in names_of(view.get(key))]
    for key in _METADATA:
        add_metadata(span, key, view.get(key))


def _number(value: object) -> object:
    """Return the number or truth that a parameter's text is, else the value."""
    if not isinstance(value, str):
        return value
    if value in ("true", "false"):
        return value == "true"
    number = number_of(value)
    if number is None:
        return value
    return int(number) if value.lstrip("-").isdecimal() else number


def _read_store(view: View, span: Span) -> None:
    found = view.json(_QUERY + "response.documents")
    if isinstance(found, list):
        span.documents = fold_documents(found)
    query = view.text(_QUERY + "content")
    if query:
        span.input_messages = [text_message("user", query)]
    for name in ("top_k", "similarity_threshold", "filter"):
        if _QUERY + name in view.attributes:
            span.parameters[name] = _number(view.get(_QUERY + name))


def _read_client(view: View, span: Span) -> None:
    span.session_id = view.name("session.id", _CLIENT + "conversation.id")
    system, user = view.text(_CLIENT + "system.text"), view.text(_CLIENT + "user.text")
    if system and not span.system_instructions:
        span.system_instructions = [{"type": "text", "content": system}]
    if user and not span.input_messages:
        span.input_messages = [text_message("user", user)]


DIALECT = Dialect("spring_ai", matches, read)
