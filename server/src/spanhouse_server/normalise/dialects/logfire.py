"""Logfire's own instrumentations of model clients: the GenAI conventions, or ``request_data`` before them.

Every span that passes through Logfire's SDK carries ``logfire.*`` attributes; only those that its own
instrumentations wrote are read here. A streamed call comes in two records: the request, which ends when
the stream opens and knows nothing, and a log record of no length with answer and usage when it has ended.
"""

from __future__ import annotations

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts
from spanhouse_server.normalise.dialects.images_api import settle_drawn
from spanhouse_server.normalise.dialects.provider_json import (
    add_usage,
    read_answer,
    read_provider_usage,
    read_request,
)
from spanhouse_server.normalise.dialects.pydantic_ai import read_reported_cost
from spanhouse_server.normalise.messages import text_message
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY
from spanhouse_server.normalise.view import View

FEEDBACK = "logfire.feedback.name"


def matches(view: View) -> bool:
    """Tell whether Logfire or one of its own instrumentations wrote the span."""
    if view.in_scope("logfire"):
        return True
    return "request_data" in view.attributes and ("response_data" in view.attributes or "logfire" in view.roots)


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    request, response = view.json("request_data"), view.json("response_data")
    if isinstance(request, dict):
        if isinstance(request.get("model"), str) and span.category == "other" and not span.operation:
            span.category = "embedding" if _embeds(view) else "llm"
        if span.category == "embedding":
            span.input_messages = embedded_texts(request.get("input"))
        if span.category == "llm" and not span.operation and view.text("url").startswith("/images/"):
            settle_drawn(span)  # from other images, without an operation
        if span.category in ("llm", "embedding"):
            span.operation = span.operation or OPERATION_OF_CATEGORY[span.category]
            read_request(span, request)
    if isinstance(response, dict):
        message = response.get("message")
        read_answer(span, {**response, "choices": [response]} if isinstance(message, dict) else response)
        streamed = response.get("combined_chunk_content")
        if isinstance(streamed, str) and streamed and not span.output_messages:
            span.output_messages = [text_message("assistant", streamed)]
    usage = view.json("gen_ai.usage.raw")
    if isinstance(usage, dict):
        add_usage(span, read_provider_usage(usage))
    read_reported_cost(view, span)
    if FEEDBACK in view.attributes:
        span.category = "evaluator"
    elif span.category == "llm" and _only_opened_a_stream(view, span):
        span.category = "other"


def _embeds(view: View) -> bool:
    return view.raw.name.lower().startswith("embedding")


def _only_opened_a_stream(view: View, span: Span) -> bool:
    """Tell whether a request ended well without answer, id and usage: those are on the log record of its stream."""
    return (
        view.get("logfire.span_type") == "span"
        and view.raw.status_code != "error"
        and not (span.usage.known or span.output_messages or span.response_id)
        and span.operation != "generate_content"  # of images it has no such record
    )


DIALECT = Dialect("logfire", matches, read)
