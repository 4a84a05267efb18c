"""Claude Code's own traces: interactions, model requests and tools, under names of its own.

Its input count leaves cached tokens out. Content is ``<REDACTED>`` unless the user opted in.
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.dialects.otel_content import ANSWER, log_event_name
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY
from spanhouse_server.normalise.usage import UsageKeys, usage_of
from spanhouse_server.normalise.values import names_of, number_of
from spanhouse_server.normalise.view import View

PREFIX = "claude_code."
CATEGORIES = {
    "interaction": "agent",
    "llm_request": "llm",
    "tool": "tool",
    "tool.blocked_on_user": "other",
    "tool.execution": "other",
    "hook": "other",
}
USAGE = UsageKeys(
    input=("input_tokens",),
    output=("output_tokens",),
    cache_read=("cache_read_tokens", "cache_read_input_tokens"),
    cache_write=("cache_creation_tokens", "cache_creation_input_tokens"),
)
REDACTED = "<REDACTED>"
_TYPES = frozenset(CATEGORIES)
_METADATA = ("organization.id", "user.account_uuid", "query_source", "speed", "terminal.type", "attempt")
_ARGUMENTS = ("tool_input", "tool_parameters", "full_command", "file_path")


def matches(view: View) -> bool:
    """Tell whether Claude Code wrote the span; the bare types are believed only in its scope."""
    if view.raw.name.startswith(PREFIX):
        return True
    kind = view.get("span.type")
    if not isinstance(kind, str):
        return False
    return kind.startswith(PREFIX) or (kind in _TYPES and (view.in_scope("claude_code") or "claude" in view.scope))


def might_match(view: View) -> bool:
    """Return true: the span's name may tell."""
    return True


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    if "gen_ai" in view.roots:
        otel.read(view, span)
    kind = (view.name("span.type") or view.raw.name).removeprefix(PREFIX)
    span.category = CATEGORIES.get(kind, "other")
    span.operation = OPERATION_OF_CATEGORY.get(span.category, "")
    if span.category == "llm":
        _read_request(view, span)
    elif span.category == "tool":
        _read_tool(view, span)
    elif span.category == "agent":
        span.agent_name = "claude_code"
        said = _told(view, "response", "model_output") or _answer(view)
        fill_input_output(span, _told(view, "user_prompt", "new_context"), said)
    for key in _METADATA:
        add_metadata(span, key, view.get(key))
    if view.get("success") in (False, "false") and "error.type" not in view.attributes:
        view.overlay({"error.type": _error_type(view) or ("tool_error" if span.category == "tool" else "error")})


def _answer(view: View) -> Any:
    """Return the last answer told of an interaction, which stands in a log event."""
    answers = [log for log in view.logs if log_event_name(log) == ANSWER]
    if not answers:
        return None
    text = max(answers, key=lambda log: log.time_ns or log.observed_ns).attributes.get("response")
    return None if text == REDACTED else text


def _told(view: View, *keys: str) -> Any:
    values = (view.json(key) for key in keys if key in view.attributes)
    return next((value for value in values if value not in (REDACTED, "", None)), None)


def _read_request(view: View, span: Span) -> None:
    span.provider = span.provider or "anthropic"
    span.request_model = span.request_model or view.name("model")
    span.response_id = span.response_id or view.name("gen_ai.response.id", "response_id")
    span.finish_reasons = span.finish_reasons or names_of(view.get("stop_reason"))
    usage = usage_of(view, USAGE, exclusive=True)
    if usage.known:
        span.usage = usage
    milliseconds = number_of(view.get("ttft_ms"))
    if milliseconds is not None and 0 < milliseconds <= 86_400_000:
        span.ttft_ns, span.ttft_source = round(milliseconds * 1e6), "client_chunk"
    if not span.input_messages:
        fill_input_output(span, _told(view, "new_context", "user_prompt"), None)
    if not span.output_messages:
        fill_input_output(span, None, _told(view, "response.model_output", "model_output", "response"))


def _error_type(view: View) -> str:
    """Return what a step failed of: a type or status where one is told, else the message where it is short."""
    message = view.text("error")
    return view.name("error_type", "status_code") or (message if len(message) <= 100 else "")


def _read_tool(view: View, span: Span) -> None:
    span.tool_name = span.tool_name or view.name("tool_name", "name")
    span.tool_call_id = span.tool_call_id or view.name("tool_use_id")
    if span.tool_arguments is None:
        span.tool_arguments = _told(view, *_ARGUMENTS)
    for event in view.events("tool.output"):
        for key, value in event.attributes.items():
            if span.tool_result is None and key in ("output", "content", "result", "bash_output"):
                span.tool_result = None if value == REDACTED else view.opened(value)


DIALECT = Dialect("claude_code", matches, read, might_match)
