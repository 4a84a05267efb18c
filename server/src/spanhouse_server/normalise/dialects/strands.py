"""Strands Agents: OpenTelemetry's attributes with content in span events, and times in milliseconds."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.raw import Attributes
from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect
from spanhouse_server.normalise.dialects.otel_content import CHOICE, DETAILS
from spanhouse_server.normalise.messages import fold_messages
from spanhouse_server.normalise.parts import fold_parts, plain_text
from spanhouse_server.normalise.values import number_of
from spanhouse_server.normalise.view import View

NAME = "strands-agents"
CYCLE = "execute_event_loop_cycle"
_SCOPES = frozenset({"strands", NAME})
_SYSTEM_KEYS = frozenset({"gen_ai.system", "gen_ai.provider.name"})
_TTFT = "gen_ai.server.time_to_first_token"
_INPUT = "gen_ai.input.messages"
_TOOL_MESSAGE = "gen_ai.tool.message"
_MAX_TTFT_MS = 86_400_000


def matches(view: View) -> bool:
    """Tell whether Strands wrote the span."""
    get = view.get
    return get("gen_ai.provider.name") == NAME or get("gen_ai.system") == NAME or view.in_any(_SCOPES)


def might_match(view: View) -> bool:
    """Tell by scope and keys whether Strands may have written the span."""
    return view.in_any(_SCOPES) or bool(view.among(_SYSTEM_KEYS))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes; the tool results that close a cycle are its output, not its input."""
    late = _overlay_first(view)
    otel.read(view, span)
    if span.operation == CYCLE:
        span.category = "agent"
        _read_cycle(view, span, late)
    elif span.category == "tool":
        _read_tool(view, span)
    _read_ttft(view, span)


def _overlay_first(view: View) -> list[Any]:
    """Let the first details event of each kind count; return the input messages of those that came later."""
    first: Attributes = {}
    late: list[Any] = []
    for event in view.events(DETAILS):
        for key, value in event.attributes.items():
            if key in first and key == _INPUT:
                late.append(value)
            else:
                first.setdefault(key, value)
    if first:
        view.overlay(first)
    return late


def _read_cycle(view: View, span: Span, late: list[Any]) -> None:
    results: list[Message] = []
    for value in late:
        results += fold_messages(view.opened(value), "tool")
    for event in view.events(CHOICE):
        blocks = view.opened(event.attributes.get("tool.result"))
        if isinstance(blocks, list):
            results.append({"role": "tool", "parts": fold_parts(blocks)})
    span.output_messages += results


def _read_tool(view: View, span: Span) -> None:
    """Read arguments and result from the events of before; a result is a list of blocks, mostly one text."""
    for event in view.events(_TOOL_MESSAGE, CHOICE):
        if event.name == CHOICE and span.tool_result is None:
            span.tool_result = view.opened(event.attributes.get("message"))
        elif event.name == _TOOL_MESSAGE and span.tool_arguments is None:
            span.tool_arguments = view.opened(event.attributes.get("content"))
    if isinstance(span.tool_result, list):
        span.tool_result = plain_text(span.tool_result) or span.tool_result


def _read_ttft(view: View, span: Span) -> None:
    milliseconds = number_of(view.get(_TTFT))
    if milliseconds is None:
        return
    view.hide(_TTFT)  # not in seconds, as its name has it elsewhere
    if 0 < milliseconds <= _MAX_TTFT_MS:
        span.ttft_ns, span.ttft_source = round(milliseconds * 1e6), "client_chunk"


DIALECT = Dialect("strands", matches, read, might_match)
