"""pydantic-ai: the GenAI conventions, with whole conversations and summed usage on the agent's span.

Formats 2 to 6 differ in names: tools in ``tool_arguments`` and ``tool_response``, the agent's usage under
``gen_ai.usage`` or ``gen_ai.aggregated_usage``. Format 1 kept messages as a JSON array of events.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, answers, embedded_texts
from spanhouse_server.normalise.dialects.otel_content import MESSAGE_ROLES
from spanhouse_server.normalise.messages import fold_message, fold_messages, text_message
from spanhouse_server.normalise.usage import UsageKeys, usage_of
from spanhouse_server.normalise.values import number_of, text_of, unquoted
from spanhouse_server.normalise.view import View

_SUM = "gen_ai.aggregated_usage."
SUMMED_USAGE = UsageKeys(
    input=(_SUM + "input_tokens",),
    output=(_SUM + "output_tokens",),
    cache_read=(_SUM + "cache_read.input_tokens", _SUM + "details.cache_read_tokens"),
    cache_write=(
        _SUM + "cache_write.input_tokens",
        _SUM + "cache_creation.input_tokens",
        _SUM + "details.cache_write_tokens",
    ),
    reasoning=(_SUM + "reasoning.output_tokens", _SUM + "details.reasoning_tokens"),
    audio_input=(_SUM + "details.input_audio_tokens",),
    audio_output=(_SUM + "details.output_audio_tokens",),
)


def matches(view: View) -> bool:
    """Tell whether pydantic-ai wrote the span."""
    return view.scope == "pydantic-ai" or "pydantic_ai" in view.roots or "gen_ai.agent.call.id" in view.attributes


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    otel.read(view, span)
    if view.raw.name == "agent run":
        span.category, span.operation = "agent", "invoke_agent"
    elif view.raw.name.startswith("running tool") and "gen_ai.tool.name" in view.attributes:
        span.category, span.operation = "tool", "execute_tool"
    read_reported_cost(view, span)
    if span.category == "agent":
        _read_agent(view, span)
    elif span.category == "tool":
        if span.tool_arguments is None:
            span.tool_arguments = view.json("tool_arguments")
        span.tool_result = unquoted(view.json("tool_response") if span.tool_result is None else span.tool_result)
    elif span.category == "embedding":
        span.input_messages = span.input_messages or embedded_texts(view.json("inputs"))
    elif not span.input_messages and not span.output_messages:
        _read_event_list(view, span, view.json("events"))
    metadata = view.json("metadata")
    if isinstance(metadata, dict):
        for key, value in metadata.items():
            add_metadata(span, str(key), value)


def read_reported_cost(view: View, span: Span) -> None:
    """Read the cost in US dollars that pydantic's libraries work out."""
    cost = number_of(view.get("operation.cost"))
    if cost is not None and cost >= 0:
        span.cost.reported_usd = Decimal(str(cost))


def _read_agent(view: View, span: Span) -> None:
    span.agent_name = span.agent_name or view.name("agent_name")
    span.request_model = span.request_model or view.name("model_name")
    if not span.usage.known:
        span.usage = usage_of(view, SUMMED_USAGE)
    said = view.json("pydantic_ai.all_messages")
    if said is None:
        _read_event_list(view, span, view.json("all_messages_events"))
    else:
        _split(span, fold_messages(said, "user"))
    result = view.get("final_result")
    if result not in (None, ""):
        span.output_messages = [text_message("assistant", text_of(unquoted(result)))]


def _split(span: Span, messages: list[Message]) -> None:
    """Take a whole conversation apart: what the agent was given, and all that came of it."""
    produced = answers(messages)
    if len(produced) == len(messages) and messages[-1:] and messages[-1]["role"] != "assistant":
        produced = []  # it ended before the model said anything
    span.input_messages = messages[: len(messages) - len(produced)]
    span.output_messages = produced


def _read_event_list(view: View, span: Span, events: Any) -> None:
    """Read messages that are a list of events with a name, as format 1 has them."""
    if not isinstance(events, list):
        return
    given: list[Message] = []
    said: list[Message] = []
    for event in events:
        if not isinstance(event, dict):
            continue
        name = event.get("event.name")
        role = MESSAGE_ROLES.get(name) if isinstance(name, str) else None
        if role is None:
            continue
        fields = {key: value for key, value in event.items() if not key.startswith(("event.", "gen_ai."))}
        (said if name == "gen_ai.choice" else given).append(fold_message(fields, role))
    if span.category == "agent":
        _split(span, given + said)
    else:
        span.input_messages, span.output_messages = given, said


DIALECT = Dialect("pydantic_ai", matches, read)
