"""What a dialect is, and the small readers that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.messages import (
    fold_messages,
    fold_tool_definition,
    looks_like_messages,
    text_message,
)
from spanhouse_server.normalise.parts import MAX_PARTS, fold_parts, text_part
from spanhouse_server.normalise.values import name_of, number_of, text_of
from spanhouse_server.normalise.view import View, indexed, subtree

MAX_DOCUMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of writing LLM spans.

    ``matches`` is asked in the order of ``DIALECTS``; ``read`` fills what it knows into the span and
    leaves the rest alone. Most dialects are told by scope and keys alone, so that the answer for one span
    holds for all with the same. Where ``matches`` looks at anything else (values, the span's name, its
    events or logs), ``might_match`` tells by scope and keys whether it needs to be asked at all.
    """

    name: str
    matches: Callable[[View], bool]
    read: Callable[[View, Span], None]
    might_match: Callable[[View], bool] | None = None


def fill_input_output(span: Span, given: Any, result: Any) -> None:
    """Put the generic input and output of a span where its category keeps them.

    Tools get arguments and result; others get messages, read as a chat where they are one and
    wrapped as the user's and the assistant's text where not. Nothing already read is overwritten.
    """
    if span.category == "tool":
        if span.tool_arguments is None and given not in (None, ""):
            span.tool_arguments = given
        if span.tool_result is None and result not in (None, ""):
            _fill_tool_result(span, result)
        return
    if not span.input_messages:
        span.input_messages = messages_from(given, "user")
    if not span.output_messages and not (span.category in ("retriever", "reranker") and span.documents):
        span.output_messages = answers(messages_from(result, "assistant"))


def _fill_tool_result(span: Span, result: Any) -> None:
    """Set the result of a tool; of a whole tool message only what the tool said, and for which call."""
    span.tool_result = result
    if isinstance(result, dict) and looks_like_messages(result):
        parts = fold_messages(result, "tool")[0]["parts"]
        if len(parts) == 1 and parts[0].get("type") == "tool_call_response":
            span.tool_result = parts[0]["response"]
            span.tool_call_id = span.tool_call_id or name_of(parts[0].get("id"))


def messages_from(value: Any, role: str) -> list[Message]:
    """Return messages from decoded input or output: the chat it is, else one message holding its text."""
    if type(value) is str:
        return [text_message(role, value)] if value else []
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        if all(item.get("type") == "tool_call" for item in value):
            return [{"role": "assistant", "parts": fold_parts(value)}]
        if len(value) == 1 and isinstance(value[0].get("update"), dict):  # a LangGraph command
            value = value[0]["update"]
    if looks_like_messages(value):
        return fold_messages(value, role)
    if isinstance(value, list) and value and all(type(item) is str for item in value):
        return texts_as_parts(value, role)
    text = text_of(value)
    return [text_message(role, text)] if text else []


def embedded_texts(value: Any) -> list[Message]:
    """Return the texts an embedding was made of, one or many, as parts of one message."""
    return texts_as_parts(value if isinstance(value, list) else [value], "user")


def texts_as_parts(texts: list[Any], role: str) -> list[Message]:
    """Return one message with these texts as its parts, none where there is no text."""
    parts = [text_part(text) for text in texts[:MAX_PARTS] if isinstance(text, str) and text]
    return [{"role": role, "parts": parts}] if parts else []


def one_message(messages: list[Message]) -> list[Message]:
    """Return what an embedding was made of, one text a message, as the parts of one message."""
    parts = [part for message in messages for part in message["parts"]]
    return [{"role": "user", "parts": parts}] if parts else []


def flat_tools(view: View, flat: list[dict[str, Any]] | None = None) -> list[Any]:
    """Return the tools offered from a flattened list, ``llm.request.functions.N.name`` … if none is given."""
    if flat is None:
        if "llm.request.functions.0.name" not in view.attributes:
            return []
        flat = indexed(subtree(view.groups("llm").get("request", {}), "functions."))
    return [fold_tool_definition(function) for function in flat if function.get("name")]


def answers(messages: list[Message]) -> list[Message]:
    """Return what came after the user's last turn, where an output repeats the conversation so far."""
    for position in range(len(messages) - 1, -1, -1):
        if messages[position]["role"] == "user":
            return messages[position + 1 :] or messages
    return messages


def fold_documents(value: Any) -> list[dict[str, Any]]:
    """Return retrieved documents as ``{id, score, content, metadata}``; unnamed fields go to metadata."""
    if isinstance(value, dict):
        inner = next(
            (value[key] for key in ("documents", "results", "matches") if isinstance(value.get(key), list)), None
        )
        value = [value] if inner is None else inner
    if not isinstance(value, list):
        return []
    return [fold_document(item) for item in value[:MAX_DOCUMENTS] if item is not None and item != ""]


def fold_document(item: Any) -> dict[str, Any]:
    """Return one retrieved document; fields the emitter left out are left out."""
    if not isinstance(item, dict):
        return {"content": text_of(item)}
    rest = dict(item)
    document: dict[str, Any] = {}
    document_id = name_of(rest.pop("id", None))
    if document_id:
        document["id"] = document_id
    for key in ("score", "relevance_score", "similarity"):
        score = number_of(rest.get(key))
        if score is not None:
            document["score"] = score
            del rest[key]
            break
    for key in ("content", "text", "page_content", "document"):
        if rest.get(key) is not None:
            document["content"] = text_of(rest.pop(key))
            break
    metadata = rest.pop("metadata", None)
    if isinstance(metadata, dict):
        rest = {**rest, **metadata}
    elif metadata is not None:
        rest["metadata"] = metadata
    if rest:
        document["metadata"] = rest
    return document
