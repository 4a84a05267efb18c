"""Where OpenTelemetry's GenAI content lies: attributes now, span events and log events before.

Read newest first; an older place is looked at only where a newer one said nothing.

====================  =====================================================================
1.37 and later        attributes ``gen_ai.input.messages`` …, on the span or on an event
                      ``gen_ai.client.inference.operation.details`` (log or span event)
1.28 to 1.36          one log event per message (some emitters: span events)
up to 1.27            span events ``gen_ai.content.prompt`` and ``gen_ai.content.completion``
first                 bare attributes ``gen_ai.prompt`` and ``gen_ai.completion``
====================  =====================================================================
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.raw import RawLog
from spanhouse_server.model.span import Message, Span
from spanhouse_server.normalise.dialects.base import messages_from
from spanhouse_server.normalise.messages import fold_message, fold_messages
from spanhouse_server.normalise.parts import fold_parts, text_part
from spanhouse_server.normalise.view import View

DETAILS = "gen_ai.client.inference.operation.details"
EXCEPTION = "gen_ai.client.operation.exception"
CHOICE = "gen_ai.choice"
MESSAGE_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    CHOICE: "assistant",
}
PROMPT = "gen_ai.content.prompt"
COMPLETION = "gen_ai.content.completion"
#: Claude Code's own, on the span of an interaction.
ANSWER = "claude_code.assistant_response"
_CLAUDE_CODE = "com.anthropic.claude_code.events"
#: Log events that say something about their span.
LOG_EVENTS = frozenset({DETAILS, EXCEPTION, PROMPT, COMPLETION, ANSWER, *MESSAGE_ROLES})


def log_event_name(log: RawLog) -> str:
    """Return the event's name, from the field of today or the attribute of old; Claude Code's with its prefix."""
    name = log.event_name or log.attributes.get("event.name")
    if not isinstance(name, str):
        return ""
    return "claude_code." + name if log.scope.name == _CLAUDE_CODE and "." not in name else name


def overlay_details(view: View) -> None:
    """Let the attributes of operation-details events count as the span's own, where it has none such."""
    details: dict[str, Any] = {}
    for log in view.logs:
        if log_event_name(log) == DETAILS:
            details.update(log.attributes)
            if isinstance(log.body, dict):
                details.update({key: value for key, value in log.body.items() if key.startswith("gen_ai.")})
    for event in view.raw.events:
        if event.name == DETAILS:
            details.update(event.attributes)
    if details:
        details.pop("event.name", None)
        view.overlay(details)


def read_content(view: View, span: Span) -> None:
    """Read system instructions, input and output messages from wherever this generation keeps them."""
    instructions = view.get("gen_ai.system_instructions")
    if instructions is not None:
        value = view.opened_python(instructions)
        span.system_instructions = [text_part(value)] if isinstance(value, str) and value else fold_parts(value)
    given = view.get("gen_ai.input.messages")
    if given is not None:
        span.input_messages = fold_messages(view.opened_python(given), "user")
        first = span.input_messages[0] if span.input_messages else {}
        if span.system_instructions and first.get("role") == "system" and first["parts"] == span.system_instructions:
            span.system_instructions = []  # said in its place already (OpenTelemetry's instrumentation for Node)
    said = view.get("gen_ai.output.messages")
    if said is not None:
        span.output_messages = fold_messages(view.opened_python(said), "assistant")
    if (span.input_messages and span.output_messages) or span.category == "tool":
        return
    if view.logs or view.raw.events:
        _read_events(view, span)
    if not span.input_messages and "gen_ai.prompt" in view.attributes:
        span.input_messages = messages_from(view.python("gen_ai.prompt"), "user")
    if not span.output_messages and "gen_ai.completion" in view.attributes:
        span.output_messages = messages_from(view.python("gen_ai.completion"), "assistant")


def _read_events(view: View, span: Span) -> None:
    given: list[Message] = []
    said: list[tuple[int, Message]] = []
    prompts: list[Message] = []
    completions: list[Message] = []
    for name, fields in _content_events(view):
        role = MESSAGE_ROLES.get(name)
        if name == CHOICE:
            message = fold_message(_choice(view, fields), "assistant")
            index = fields.get("index")
            if message["parts"] or message.get("finish_reason"):
                said.append((index if type(index) is int else 0, message))
        elif role is not None:
            message = fold_message(fields, role)
            if message["parts"]:
                given.append(message)
        elif name == PROMPT:
            prompts += messages_from(view.opened_python(fields.get("gen_ai.prompt")), "user")
        elif name == COMPLETION:
            completions += messages_from(view.opened_python(fields.get("gen_ai.completion")), "assistant")
    said.sort(key=lambda pair: pair[0])
    span.input_messages = span.input_messages or given or prompts
    span.output_messages = span.output_messages or [message for _, message in said] or completions


def _content_events(view: View) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and fields of message events: log events in order of time, then span events."""
    found: list[tuple[str, dict[str, Any]]] = []
    seen_ns = 0
    seen: list[tuple[str, Any]] = []
    for log in sorted(view.logs, key=lambda log: log.time_ns or log.observed_ns):
        name = log_event_name(log)
        if name not in LOG_EVENTS:
            continue
        moment_ns = log.time_ns or log.observed_ns
        if moment_ns != seen_ns:
            seen_ns, seen = moment_ns, []
        if (name, log.body) in seen:  # the same record, sent twice
            continue
        seen.append((name, log.body))
        body = view.opened(log.body)
        if isinstance(body, dict):
            found.append((name, body))
        elif isinstance(body, str) and body:
            found.append((name, {**log.attributes, "content": body}))
        else:
            found.append((name, log.attributes))
    for event in view.raw.events:
        if event.name in LOG_EVENTS:
            content = view.opened(event.attributes.get("gen_ai.event.content"))
            found.append((event.name, content if isinstance(content, dict) else event.attributes))
    return found


def _choice(view: View, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a choice with its message opened: an object in a log, often JSON text in a span event."""
    message = view.opened(fields.get("message"))
    if isinstance(message, (list, str)):
        message = {"content": message}
    choice = dict(fields)
    if isinstance(message, dict):
        choice.pop("content", None)
        choice.pop("parts", None)
        choice["message"] = message
    return choice
