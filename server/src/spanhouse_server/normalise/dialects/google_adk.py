"""Google's Agent Development Kit: OpenTelemetry's attributes, in version 1 whole requests in JSON of its own."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect
from spanhouse_server.normalise.messages import fold_messages, fold_tool_definitions
from spanhouse_server.normalise.parts import fold_parts
from spanhouse_server.normalise.usage import UsageKeys, read_usage
from spanhouse_server.normalise.values import name_of
from spanhouse_server.normalise.view import View

_OWN = "gcp.vertex.agent."
#: Of Gemini's usage metadata; thoughts and tool-use prompts stand beside, and are added by the total.
USAGE = UsageKeys(
    input=("prompt_token_count",),
    output=("candidates_token_count",),
    total=("total_token_count",),
    cache_read=("cached_content_token_count",),
    reasoning=("thoughts_token_count",),
    tool_use=("tool_use_prompt_token_count",),
)
_CATEGORY_OF_NAME = {"invocation": "workflow", "call_llm": "llm", "agent_run": "agent", "execute_tool": "tool"}
_MODEL_CONFIG = frozenset({"system_instruction", "tools", "response_schema", "http_options", "labels"})


def matches(view: View) -> bool:
    """Tell whether the kit wrote the span."""
    if view.in_scope("gcp.vertex.agent"):
        return True
    return "gcp" in view.roots and bool(view.family(_OWN))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what version 1 keeps in its own."""
    otel.read(view, span)
    first_word = view.raw.name.partition(" ")[0]
    if span.category in ("other", "llm") and not view.name("gen_ai.operation.name"):
        span.category = _CATEGORY_OF_NAME.get(first_word, span.category)
    if span.category == "agent" and not span.agent_name:
        span.agent_name = view.raw.name.partition(" ")[2].strip("[]")
    request = view.json(_OWN + "llm_request")
    answer = view.json(_OWN + "llm_response")
    if isinstance(request, dict):
        _read_request(span, request)
    if isinstance(answer, dict):
        _read_answer(span, answer)
    if span.category == "tool":
        _read_tool(view, span)
    elif span.category == "llm" and not span.operation:
        span.operation = "generate_content"


def _read_request(span: Span, request: dict[str, Any]) -> None:
    span.request_model = span.request_model or name_of(request.get("model"))
    if not span.input_messages:
        span.input_messages = fold_messages(request.get("contents"), "user")
    config = request.get("config")
    if not isinstance(config, dict):
        return
    if not span.system_instructions:
        span.system_instructions = fold_parts(_content_parts(config.get("system_instruction")))
    if not span.tool_definitions and isinstance(config.get("tools"), list):
        groups = [group for group in config["tools"] if isinstance(group, dict)]
        span.tool_definitions = [
            tool for group in groups for tool in fold_tool_definitions(group.get("function_declarations"))
        ]
    for key, value in config.items():
        if key not in _MODEL_CONFIG and value is not None:
            span.parameters.setdefault(key, value)


def _content_parts(value: Any) -> Any:
    return value["parts"] if isinstance(value, dict) and isinstance(value.get("parts"), list) else value


def _read_answer(span: Span, answer: dict[str, Any]) -> None:
    span.response_model = span.response_model or name_of(answer.get("model_version"))
    reason = name_of(answer.get("finish_reason")).lower()
    if not span.output_messages and isinstance(answer.get("content"), dict):
        span.output_messages = fold_messages(answer["content"], "assistant")
        if reason:
            span.output_messages[0]["finish_reason"] = reason
    if reason and not span.finish_reasons:
        span.finish_reasons = [reason]
    counts = answer.get("usage_metadata")
    if isinstance(counts, dict) and not span.usage.known:
        span.usage = read_usage(counts, USAGE)


def _read_tool(view: View, span: Span) -> None:
    span.operation = "execute_tool"
    span.tool_name = span.tool_name or view.raw.name.partition(" ")[2].strip("[]")
    given, result = view.json(_OWN + "tool_call_args"), view.json(_OWN + "tool_response")
    if span.tool_arguments is None and given not in (None, "", "N/A", "{}"):
        span.tool_arguments = given
    if span.tool_result is None and result not in (None, "", "N/A", "{}"):
        span.tool_result = result


DIALECT = Dialect("google_adk", matches, read)
