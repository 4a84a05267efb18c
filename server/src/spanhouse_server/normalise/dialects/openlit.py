"""OpenLIT: OpenTelemetry's attributes with a cost, and with placeholders where it knows nothing.

The generation before put the conversation as ``role: words`` lines into span events.
"""

from __future__ import annotations

import re

from spanhouse_server.model.span import Message, Part, Span, Usage
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, one_message
from spanhouse_server.normalise.dialects.otel_content import COMPLETION, PROMPT
from spanhouse_server.normalise.messages import text_message
from spanhouse_server.normalise.names import fold_role
from spanhouse_server.normalise.parts import fold_parts
from spanhouse_server.normalise.values import count_of
from spanhouse_server.normalise.view import View

CATEGORIES = {
    "audio": "llm",
    "framework": "workflow",
    "graph_execution": "workflow",
    "model_request": "llm",
    "speech_to_text": "llm",
    "speech_to_text_translate": "llm",
    "task": "workflow",
    "text_to_speech": "llm",
    "translate": "llm",
    "user_prompt_processing": "workflow",
}
#: What a vector database did when it looked something up.
_LOOKUPS = frozenset({"FETCH", "GET", "PEEK", "QUERY", "SEARCH", "SELECT"})
_SDK_KEYS = frozenset({"telemetry.sdk.name", "gen_ai.sdk.version"})
_TTFT = ("gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token")
_CACHE = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens")
_COST = "gen_ai.usage.cost"
_TURN = re.compile(r"^(system|developer|user|assistant|human|ai|tool|function): ", re.MULTILINE)
_NO_CONTENT = "Function called with tools"
#: What stands for "not given".
_PLACEHOLDERS = ("", -1)


def matches(view: View) -> bool:
    """Tell whether OpenLIT wrote the span."""
    if view.in_scope("openlit"):
        return True
    get = view.get
    return get("telemetry.sdk.name") == "openlit" or ("gen_ai" in view.roots and get("gen_ai.sdk.version") is not None)


def might_match(view: View) -> bool:
    """Tell by scope and keys whether OpenLIT may have written the span."""
    return view.in_scope("openlit") or bool(view.among(_SDK_KEYS))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes without what this emitter makes up."""
    _hide_placeholders(view)
    otel.read(view, span)
    _read_category(view, span)
    span.parameters = {name: value for name, value in span.parameters.items() if value not in _PLACEHOLDERS}
    if _is_estimated(view):
        span.usage = Usage()
        view.hide(_COST)
    if view.get(_COST) == 0:
        view.hide(_COST)  # it knew no price, or no usage
    if span.response_id.isdecimal():
        span.response_id = ""  # of images: when they were drawn, in seconds
    _read_lines(view, span)
    for message in span.input_messages + span.output_messages:
        message["parts"] = _flat(message["parts"])
    if any(message["role"] == "system" for message in span.input_messages):
        span.system_instructions = []  # said in its place already
    span.system_instructions = _flat(span.system_instructions)
    if span.category == "embedding":
        span.input_messages = one_message(span.input_messages)
    reasoning = view.text("gen_ai.content.reasoning")
    if reasoning and span.output_messages:
        span.output_messages[0]["parts"].insert(0, {"type": "reasoning", "content": reasoning})
    fill_input_output(
        span,
        view.python(_first(view, "gen_ai.tool.args", "gen_ai.workflow.input", "gen_ai.retrieval.query")),
        view.python(_first(view, "gen_ai.workflow.output", "gen_ai.agent.actual_output", "gen_ai.agent.finish.output")),
    )


def _first(view: View, *keys: str) -> str:
    return next((key for key in keys if key in view.attributes), "")


def _hide_placeholders(view: View) -> None:
    streams = view.get("gen_ai.request.stream", view.get("gen_ai.request.is_stream"))
    if streams is not True:
        view.hide(*_TTFT)  # the whole duration, under this name
    for key in ("deployment.environment", "gen_ai.environment"):
        if view.get(key) == "default":
            view.hide(key)
    if view.text("gen_ai.environment") and "deployment.environment" not in view.attributes:
        view.overlay({"deployment.environment": view.text("gen_ai.environment")})


def _read_category(view: View, span: Span) -> None:
    if span.operation == "vectordb":
        looked = view.name("db.operation.name", "db.operation").upper() in _LOOKUPS
        span.category, span.operation = ("retriever", "retrieval") if looked else ("other", span.operation)
    else:
        span.category = CATEGORIES.get(span.operation, span.category)
    if span.category == "llm":  # the first call it made, which is in its answer too
        span.tool_name = span.tool_call_id = ""
        span.tool_arguments = None
    elif span.category == "tool" and span.tool_arguments is None:
        span.tool_arguments = view.python("gen_ai.tool.args")


def _is_estimated(view: View) -> bool:
    """Tell whether the counts of a stream are its own guess: then only it leaves out the cached ones."""
    if view.get("gen_ai.request.stream") is not True or not view.in_scope("openlit.instrumentation"):
        return False
    counted = count_of(view.get("gen_ai.usage.input_tokens")) is not None
    return counted and not any(key in view.attributes for key in _CACHE)


def _read_lines(view: View, span: Span) -> None:
    """Read the conversation of the generation before, one line of ``role: words`` per turn."""
    for event in view.events(PROMPT):
        prompt = event.attributes.get("gen_ai.prompt")
        if isinstance(prompt, str) and _TURN.match(prompt):
            span.input_messages = _turns(prompt)
    for event in view.events(COMPLETION):
        if event.attributes.get("gen_ai.completion") == _NO_CONTENT:
            span.output_messages = []


def _turns(prompt: str) -> list[Message]:
    starts = list(_TURN.finditer(prompt))
    ends = [*(match.start() for match in starts[1:]), len(prompt) + 1]
    return [
        text_message(fold_role(match[1], "user"), prompt[match.end() : end].removesuffix("\n"))
        for match, end in zip(starts, ends, strict=True)
    ]


def _flat(parts: list[Part]) -> list[Part]:
    """Return parts without the block lists that it leaves inside text parts."""
    if not any(part.get("type") == "text" and isinstance(part.get("content"), list) for part in parts):
        return parts
    flat: list[Part] = []
    for part in parts:
        inner = part.get("content")
        flat += fold_parts(inner) if part.get("type") == "text" and isinstance(inner, list) else [part]
    return flat


DIALECT = Dialect("openlit", matches, read, might_match)
