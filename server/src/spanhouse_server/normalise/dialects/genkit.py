"""Genkit: actions with whole inputs and outputs in ``genkit:input`` and ``genkit:output``."""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Message, Part, Span, Usage
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts, fill_input_output, fold_documents
from spanhouse_server.normalise.dialects.provider_json import add_usage, read_provider_usage
from spanhouse_server.normalise.messages import fold_tool_definitions
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY, fold_provider, fold_role
from spanhouse_server.normalise.parts import fold_part, tool_call_part, tool_response_part
from spanhouse_server.normalise.usage import UsageKeys, read_usage
from spanhouse_server.normalise.values import name_of, text_of, unquoted
from spanhouse_server.normalise.view import View

CATEGORIES = {
    "agent": "agent",
    "background-model": "llm",
    "embedder": "embedding",
    "evaluator": "evaluator",
    "flow": "workflow",
    "flowStep": "workflow",
    "indexer": "other",
    "model": "llm",
    "prompt": "workflow",
    "executable-prompt": "workflow",
    "reranker": "reranker",
    "retriever": "retriever",
    "tool": "tool",
    "tool.v2": "tool",
    "util": "workflow",
}
#: A provider's plugin, as it stands before the slash of a model's name.
PROVIDERS = {"compat-oai": "openai", "googleai": "gcp.gemini", "vertexai": "gcp.vertex_ai"}
#: Counts may be floats. Thoughts are not in the output, as Gemini has it; the total tells.
USAGE = UsageKeys(
    input=("inputTokens",),
    output=("outputTokens",),
    total=("totalTokens",),
    cache_read=("cachedContentTokens",),
    reasoning=("thoughtsTokens",),
)
_METADATA_PREFIX = "genkit:metadata:"


def matches(view: View) -> bool:
    """Tell whether Genkit wrote the span."""
    attributes = view.attributes
    return "genkit:type" in attributes or "genkit:name" in attributes or view.in_scope("genkit-tracer")


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    kind, subtype = view.name("genkit:type"), view.name("genkit:metadata:subtype")
    span.category = CATEGORIES.get(subtype) or CATEGORIES.get(kind, "other")
    span.operation = OPERATION_OF_CATEGORY.get(span.category, "")
    name = view.name("genkit:name") or view.raw.name
    given, result = unquoted(view.json("genkit:input")), unquoted(view.json("genkit:output"))
    if span.category in ("llm", "embedding", "reranker"):
        plugin, slash, model = name.partition("/")
        span.request_model = name_of(view.get("genkit:model")) or (model if slash else name)
        span.provider = fold_provider(PROVIDERS.get(plugin, plugin)) if slash else ""
    if isinstance(given, dict):
        _read_input(span, given)
    if isinstance(result, dict):
        _read_output(span, result)
    if span.category == "tool":
        span.tool_name = name
    elif span.category == "agent":
        span.agent_name = name
    fill_input_output(span, _query(span, given), result if span.category != "embedding" else None)
    for key in view.family(_METADATA_PREFIX):
        if key != "genkit:metadata:subtype":
            add_metadata(span, key.removeprefix(_METADATA_PREFIX), view.get(key))
    if view.get("genkit:state") == "error" and "error.type" not in view.attributes and not view.raw.events:
        view.overlay({"error.type": "error"})


def _query(span: Span, given: Any) -> Any:
    """Return the words of a retriever's query, which is a document."""
    if span.category in ("retriever", "reranker") and isinstance(given, dict) and isinstance(given.get("query"), dict):
        content = given["query"].get("content")
        return "\n".join(_texts(content)) if isinstance(content, list) else given
    return given


def _texts(blocks: list[Any]) -> list[str]:
    return [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]


def _read_input(span: Span, given: dict[str, Any]) -> None:
    if isinstance(given.get("messages"), list):
        span.input_messages = [_message(item) for item in given["messages"] if isinstance(item, dict)]
        settings = given.get("config")
        span.parameters = {**settings} if isinstance(settings, dict) else {}
        span.tool_definitions = fold_tool_definitions(given.get("tools"))
    elif span.category == "embedding" and isinstance(given.get("input"), list):
        documents = [item.get("content") for item in given["input"] if isinstance(item, dict)]
        span.input_messages = embedded_texts(
            ["\n".join(_texts(content)) for content in documents if isinstance(content, list)]
        )


def _read_output(span: Span, result: dict[str, Any]) -> None:
    message = result.get("message")
    if isinstance(message, dict):
        span.output_messages = [_message(message)]
        reason = name_of(result.get("finishReason"))
        span.finish_reasons = [reason] if reason else []
    documents = result.get("documents")
    if isinstance(documents, list):
        span.documents = fold_documents([_document(item) for item in documents if isinstance(item, dict)])
    counts = result.get("usage")
    if isinstance(counts, dict) and span.category in ("llm", "embedding"):
        span.usage = read_usage(counts, USAGE)
        if not span.usage.input_tokens and not span.usage.output_tokens:
            span.usage = Usage()  # the default of a model that does not count
    custom = result.get("raw") or result.get("custom")
    if isinstance(custom, dict) and span.category == "llm":
        counts = custom.get("usage")
        if isinstance(counts, dict):  # the provider's own, which tells cached tokens and reasoning apart
            add_usage(span, read_provider_usage(counts))
        span.response_id = name_of(custom.get("responseId") or custom.get("id"))
        span.response_model = name_of(custom.get("modelVersion") or custom.get("model"))


def _document(item: dict[str, Any]) -> dict[str, Any]:
    content = item.get("content")
    return {**item, "content": "\n".join(_texts(content)) if isinstance(content, list) else content}


def _message(item: dict[str, Any]) -> Message:
    role = fold_role(name_of(item.get("role")), "user")
    content = item.get("content")
    blocks = content if isinstance(content, list) else [content]
    return {"role": role, "parts": [_part(block) for block in blocks if block is not None]}


def _part(block: Any) -> Part:
    if not isinstance(block, dict):
        return fold_part(block)
    request, response, media = block.get("toolRequest"), block.get("toolResponse"), block.get("media")
    if isinstance(request, dict):
        return tool_call_part(request.get("ref"), request.get("name"), request.get("input"))
    if isinstance(response, dict):
        return tool_response_part(response.get("ref"), response.get("output"))
    if isinstance(media, dict):
        told = text_of(media.get("contentType")).partition("/")[0] or "image"
        modality = told if told in ("image", "audio", "video") else "document"
        return {**fold_part({"type": modality, "url": media.get("url")}), "modality": modality}
    if isinstance(block.get("reasoning"), str):
        return {"type": "reasoning", "content": block["reasoning"]}
    return fold_part(block)


DIALECT = Dialect("genkit", matches, read)
