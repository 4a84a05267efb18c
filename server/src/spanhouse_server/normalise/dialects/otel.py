"""OpenTelemetry's GenAI conventions, from the newest back to the first.

Which generation a span speaks is decided key by key: the schema URL does not tell the truth, and
one span may mix two. Content is read by ``otel_content``.
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects.base import Dialect, fold_documents
from spanhouse_server.normalise.dialects.otel_content import overlay_details, read_content
from spanhouse_server.normalise.messages import fold_tool_definitions, text_message
from spanhouse_server.normalise.names import CATEGORY_OF_OPERATION, DRAWING, fold_operation, fold_provider
from spanhouse_server.normalise.usage import UsageKeys, usage_of
from spanhouse_server.normalise.values import names_of
from spanhouse_server.normalise.view import View

USAGE = UsageKeys(
    input=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    output=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    total=("gen_ai.usage.total_tokens", "llm.usage.total_tokens"),
    cache_read=(
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.prompt_tokens_details.cached_tokens",
        "gen_ai.usage.input_tokens_details.cached_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.cached_tokens",
        "gen_ai.usage.input_tokens.cached",  # OpenRouter
    ),
    cache_write=(
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.input_tokens.cache_write",  # OpenRouter
        "gen_ai.usage.input_tokens.cache_creation",
    ),
    reasoning=(
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.completion_tokens_details.reasoning_tokens",
        "gen_ai.usage.output_tokens_details.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "gen_ai.usage.details.thinking_tokens",  # pydantic-ai: Anthropic's word for it
        "gen_ai.usage.details.thoughts_tokens",  # and Google's
        "gen_ai.usage.output_tokens.reasoning",  # OpenRouter
    ),
    audio_input=("gen_ai.usage.audio.input_tokens", "gen_ai.usage.details.input_audio_tokens"),
    audio_output=("gen_ai.usage.audio.output_tokens", "gen_ai.usage.details.output_audio_tokens"),
)
#: Scopes whose ``input_tokens`` leave cached ones out, against the conventions: they hand on what the API says.
EXCLUSIVE_SCOPES = frozenset(
    {
        "openlit.instrumentation.anthropic",
        "openlit.instrumentation.bedrock",
        "opentelemetry.instrumentation.bedrock",  # Traceloop's
        "opentelemetry.instrumentation.botocore",
    }
)

_IDENTITY_KEYS = (
    *("gen_ai.operation.name", "llm.request.type", "gen_ai.provider.name", "gen_ai.system"),
    *("gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id", "gen_ai.agent.name"),
)
_REQUEST = "gen_ai.request."
_NOT_PARAMETERS = frozenset({"gen_ai.request.model", "gen_ai.request.id"})
_OTHER_PARAMETERS = {
    "gen_ai.output.type": "output_type",
    "gen_ai.openai.request.response_format": "response_format",
    "gen_ai.openai.request.seed": "seed",
    "gen_ai.openai.request.service_tier": "service_tier",
    "openai.request.service_tier": "service_tier",
    "openai.api.type": "api_type",
    "gen_ai.embeddings.dimension.count": "dimension_count",
    "gen_ai.retrieval.top_k": "top_k",
    "gen_ai.data_source.id": "data_source",
}
_OTHER_PARAMETER_KEYS = frozenset(_OTHER_PARAMETERS)
_FINISH_KEYS = (
    "gen_ai.response.finish_reasons",
    "gen_ai.response.finish_reason",  # Semantic Kernel
    "anthropic.message.stop_reason",  # Anthropic's own client
)
_FINISH_KEYS_TOLD = frozenset(_FINISH_KEYS)
_TOOL_KEYS = frozenset(
    {
        "gen_ai.request.tools",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.id",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.tool.input",
        "gen_ai.tool.name",
        "gen_ai.tool.output",
    }
)
_CALL_KEYS = frozenset({"gen_ai.tool.call.id", "gen_ai.tool.call.arguments"})
FOUND_KEYS = ("gen_ai.retrieval.documents", "gen_ai.memory.records")
_FOUND_KEYS = frozenset(FOUND_KEYS)
QUERY_KEYS = ("gen_ai.retrieval.query.text", "gen_ai.retrieval.query", "gen_ai.memory.query.text")
#: Model Context Protocol: only calling a tool is an operation of the conventions.
MCP_METHOD = "mcp.method.name"
#: The families of all keys read here.
ROOTS = frozenset(
    key.partition(".")[0]
    for key in (*USAGE.names, *_IDENTITY_KEYS, *_OTHER_PARAMETERS, *_FINISH_KEYS, *_TOOL_KEYS, MCP_METHOD, _REQUEST)
)
_SPEAKS = (
    "gen_ai.usage.",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.",
    "gen_ai.output.",
    "gen_ai.request.model",
)


def matches(view: View) -> bool:
    """Tell whether a span carries GenAI attributes, events or log events."""
    if "gen_ai" in view.roots or view.logs or MCP_METHOD in view.attributes:
        return True
    return any(event.name.startswith("gen_ai.") for event in view.raw.events)


def might_match(view: View) -> bool:
    """Return true: an event or a log record may tell."""
    return True


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    if view.roots.isdisjoint(ROOTS) and not (view.logs or view.raw.events):  # what a framework does around its calls
        span.operation = _named_operation(view)
        span.category = CATEGORY_OF_OPERATION.get(span.operation, "other")
        return
    overlay_details(view)
    read_identity(view, span)
    span.parameters = read_parameters(view)
    if span.operation == "generate_content" and view.name("gen_ai.operation.name") in DRAWING:
        span.parameters.setdefault("output_type", "image")
    span.usage = usage_of(view, USAGE, exclusive=view.in_any(EXCLUSIVE_SCOPES))
    read_finish(view, span)
    read_tool(view, span)
    read_content(view, span)
    if span.category in ("retriever", "reranker") or view.among(_FOUND_KEYS):
        read_retrieval(view, span)
    if not span.finish_reasons:
        reasons = [message["finish_reason"] for message in span.output_messages if message.get("finish_reason")]
        span.finish_reasons = list(dict.fromkeys(reasons))


def read_finish(view: View, span: Span) -> None:
    """Read why the model stopped, from wherever a generation has it."""
    if view.among(_FINISH_KEYS_TOLD):
        for key in _FINISH_KEYS:
            if not span.finish_reasons and key in view.attributes:
                span.finish_reasons = names_of(view.attributes[key])


def read_identity(view: View, span: Span) -> None:
    """Read operation, category, provider, models and agent."""
    operation, older, provider, system, asked, served, span.response_id, span.agent_name = view.names(_IDENTITY_KEYS)
    span.operation = fold_operation(operation or older)
    if not span.operation:
        span.operation = _named_operation(view)
    span.category = CATEGORY_OF_OPERATION.get(span.operation) or _guess_category(view, span.operation)
    span.provider = fold_provider(provider) or fold_provider(system)
    span.request_model = asked
    span.response_model = served


def _named_operation(view: View) -> str:
    """Return the operation that a span's name begins with, empty where it begins with none."""
    first_word = view.raw.name.partition(" ")[0]
    return first_word if first_word in CATEGORY_OF_OPERATION else ""


def _guess_category(view: View, operation: str) -> str:
    """Return what a span without a known operation is, by the keys it carries."""
    if view.raw.kind == "server" and view.family("gen_ai.latency."):
        return "server"
    if operation:
        return "other"
    if MCP_METHOD in view.attributes:
        return "tool" if view.get(MCP_METHOD) == "tools/call" else "other"
    if view.among(_CALL_KEYS):
        return "tool"
    if "gen_ai" in view.roots and any(map(view.family, _SPEAKS)):
        return "llm"
    if not view.raw.events:
        return "llm" if view.logs else "other"
    speaks = any(event.name.startswith(("gen_ai.choice", "gen_ai.content.")) for event in view.raw.events)
    return "llm" if speaks or view.logs else "other"


def read_parameters(view: View) -> dict[str, Any]:
    """Return what the request asked for, by the names of ``gen_ai.request.*`` without the prefix."""
    plans = view.shape.plans
    plan: tuple[tuple[str, str], ...] | None = plans.get(read_parameters)
    if plan is None:
        asked = [(key, key[len(_REQUEST) :]) for key in view.family(_REQUEST) if key not in _NOT_PARAMETERS]
        plan = plans[read_parameters] = tuple(asked)
    attributes = view.attributes
    parameters: dict[str, Any] = {}
    for key, name in plan:
        value = attributes[key]
        parameters[name] = view.opened(value) if type(value) is str else value
    for key in view.among(_OTHER_PARAMETER_KEYS):
        parameters[_OTHER_PARAMETERS[key]] = attributes[key]
    return parameters


def read_tool(view: View, span: Span) -> None:
    """Read the tool of an ``execute_tool`` span and the tools offered to a model."""
    if not view.among(_TOOL_KEYS):
        return
    span.tool_name = view.name("gen_ai.tool.name")
    span.tool_call_id = view.name("gen_ai.tool.call.id")
    for key in ("gen_ai.tool.call.arguments", "gen_ai.tool.input"):
        if span.tool_arguments is None:
            span.tool_arguments = view.json(key)
    for key in ("gen_ai.tool.call.result", "gen_ai.tool.output"):
        if span.tool_result is None:
            span.tool_result = view.json(key)
    for key in ("gen_ai.tool.definitions", "gen_ai.request.tools"):
        if key in view.attributes and not span.tool_definitions:
            span.tool_definitions = fold_tool_definitions(view.json(key))


def read_retrieval(view: View, span: Span) -> None:
    """Read the query and the documents of a retrieval, or the records a memory was asked for."""
    for key in FOUND_KEYS:
        if not span.documents and key in view.attributes:
            span.documents = fold_documents(view.json(key))
    query = next((text for key in QUERY_KEYS if (text := view.text(key))), "")
    if query and not span.input_messages:
        span.input_messages = [text_message("user", query)]


DIALECT = Dialect("otel", matches, read, might_match)
