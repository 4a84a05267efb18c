"""Haystack: pipelines, components and agents with their inputs and outputs in JSON, under any scope.

What a component is follows from its class's name; model and usage are in the replies' metadata.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from spanhouse_server.model.span import Message, Part, Span
from spanhouse_server.normalise.dialects.base import (
    Dialect,
    answers,
    embedded_texts,
    fill_input_output,
    fold_documents,
)
from spanhouse_server.normalise.dialects.provider_json import add_usage, read_provider_usage
from spanhouse_server.normalise.media_parts import media_part
from spanhouse_server.normalise.messages import fold_message, fold_tool_definitions, text_message
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY, fold_provider
from spanhouse_server.normalise.parts import fold_parts, tool_call_part, tool_response_part
from spanhouse_server.normalise.values import name_of, text_of
from spanhouse_server.normalise.view import View

#: By the end of a component's class name.
CATEGORIES = {
    "Generator": "llm",
    "Embedder": "embedding",
    "Retriever": "retriever",
    "Ranker": "reranker",
    "WebSearch": "retriever",
    "ToolInvoker": "tool",
    "Evaluator": "evaluator",
    "Agent": "agent",
    "Builder": "workflow",
    "Router": "workflow",
    "Joiner": "workflow",
}
#: By the start of a component's class name, without ``Azure`` and the like inside.
PROVIDERS = {
    "AmazonBedrock": "aws.bedrock",
    "Anthropic": "anthropic",
    "Azure": "azure.ai.openai",
    "Cohere": "cohere",
    "Google": "gcp.gen_ai",
    "HuggingFace": "huggingface",
    "Mistral": "mistral_ai",
    "Nvidia": "nvidia",
    "Ollama": "ollama",
    "OpenAI": "openai",
    "VertexAI": "gcp.vertex_ai",
    "Watsonx": "ibm.watsonx.ai",
}
#: Span name to category and the prefix of its ``input`` and ``output``.
SPANS = {
    "haystack.pipeline.run": ("workflow", "haystack.pipeline."),
    "haystack.async_pipeline.run": ("workflow", "haystack.pipeline."),
    "haystack.component.run": ("other", "haystack.component."),
    "haystack.agent.run": ("agent", "haystack.agent."),
    "haystack.agent.step": ("agent", "haystack.agent.step."),
    "haystack.agent.step.llm": ("llm", "haystack.agent.step.llm."),
    "haystack.agent.step.tool": ("tool", "haystack.agent.step.tool."),
}


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Names of the inputs that hold a person's words.
QUESTIONS = ("query", "question", "text", "prompt", "prompt_template")


def matches(view: View) -> bool:
    """Tell whether Haystack wrote the span."""
    return "haystack" in view.roots or view.raw.name in SPANS


def might_match(view: View) -> bool:
    """Return true: the span's name may tell."""
    return True


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    span.category, prefix = SPANS.get(view.raw.name, ("other", "haystack.component."))
    kind = view.name("haystack.component.type")
    if kind:
        span.category = next((CATEGORIES[end] for end in CATEGORIES if kind.endswith(end)), span.category)
        span.provider = next((PROVIDERS[start] for start in PROVIDERS if kind.startswith(start)), "")
    is_step = view.raw.name == "haystack.agent.step"
    span.operation = "agent_step" if is_step else OPERATION_OF_CATEGORY.get(span.category, "")
    given = _first(view, prefix + "input", prefix + "input_data")
    result = _first(view, prefix + "output", prefix + "output_data")
    if span.category == "agent":
        span.agent_name = view.name("haystack.agent.name", "haystack.component.name")
    span.tool_definitions = _tools(view.python("haystack.agent.tools"))
    if span.category == "tool":
        span.tool_name = view.name("haystack.tool.name", "haystack.component.name")
    if isinstance(given, dict):
        _read_input(span, given)
    if isinstance(result, dict):
        _read_output(view, span, result)
    if prefix == "haystack.pipeline.":
        given, result = _asked(given), _answered(result)
    given = given if span.category == "tool" else _single(given)
    fill_input_output(span, given, _single(result) if span.category != "embedding" else None)


def _first(view: View, *keys: str) -> Any:
    return next((view.python(key) for key in keys if key in view.attributes), None)


def _single(value: Any) -> Any:
    """Return what a component was told where it is one thing, without the names that only hold nothing."""
    if not isinstance(value, dict):
        return value
    told = {key: item for key, item in value.items() if item is not None}
    if "query" in told:
        return told["query"]
    return next(iter(told.values())) if len(told) == 1 and isinstance(next(iter(told.values())), str) else told


def _asked(given: Any) -> Any:
    """Return what a person asked of a pipeline, whose input is grouped by component; else all of it."""
    groups = [group for group in given.values() if isinstance(group, dict)] if isinstance(given, dict) else []
    for name in QUESTIONS:
        for group in groups:
            if isinstance(group.get(name), str) and group[name]:
                return group[name]
    return given


def _answered(result: Any) -> Any:
    """Return the replies of a pipeline, whose output is grouped by component; else all of it."""
    groups = [group for group in result.values() if isinstance(group, dict)] if isinstance(result, dict) else []
    for group in groups:
        for name in ("answers", "replies", "messages"):
            found = group.get(name)
            if isinstance(found, list) and found:
                return [_message(item) if isinstance(item, dict) and "role" in item else item for item in found]
    return result


def _read_input(span: Span, given: dict[str, Any]) -> None:
    messages = given.get("messages")
    if isinstance(messages, list):
        span.input_messages = [_message(item) for item in messages if isinstance(item, dict)]
    elif isinstance(given.get("prompt"), str):
        span.input_messages = [text_message("user", given["prompt"])]
    elif span.category == "embedding":
        texts = given.get("text")
        if isinstance(given.get("documents"), list):
            texts = [item.get("content") for item in given["documents"] if isinstance(item, dict)]
        span.input_messages = embedded_texts(texts)
    span.tool_definitions = span.tool_definitions or _tools(given.get("tools"))
    if span.category == "llm":
        settings = given.get("generation_kwargs")
        span.parameters = {**settings} if isinstance(settings, dict) else {}


def _tools(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return []
    return fold_tool_definitions(
        [item["data"] if isinstance(item, dict) and isinstance(item.get("data"), dict) else item for item in value]
    )


def _read_output(view: View, span: Span, result: dict[str, Any]) -> None:
    if isinstance(result.get("documents"), list):
        span.documents = fold_documents([_document(item) for item in result["documents"]])
    replies = result.get("replies")
    metas = result.get("meta")
    if isinstance(replies, list):
        span.output_messages = [_message(item) for item in replies if isinstance(item, dict)] or [
            text_message("assistant", item) for item in replies if isinstance(item, str) and item
        ]
        found = [item.get("meta", item.get("_meta")) for item in replies if isinstance(item, dict)]
        metas = [meta for meta in found if isinstance(meta, dict)] or metas
    elif isinstance(result.get("messages"), list):
        messages = [_message(item) for item in result["messages"] if isinstance(item, dict)]
        span.output_messages = answers(messages)
    first = metas[0] if isinstance(metas, list) and metas else metas
    if isinstance(first, dict) and span.category in ("llm", "embedding"):
        _read_meta(view, span, first)


def _read_meta(view: View, span: Span, meta: dict[str, Any]) -> None:
    """Read what the provider said beside its first reply."""
    span.response_model = name_of(meta.get("model"))
    span.response_id = name_of(meta.get("id"))
    span.provider = span.provider or fold_provider(name_of(meta.get("provider")))
    reason = name_of(meta.get("finish_reason") or meta.get("stop_reason"))
    span.finish_reasons = [reason] if reason else []
    if isinstance(meta.get("usage"), dict):
        add_usage(span, read_provider_usage(meta["usage"]))
    begun = meta.get("completion_start_time")
    if isinstance(begun, str):
        _read_ttft(view, span, begun)


def _read_ttft(view: View, span: Span, begun: str) -> None:
    try:
        moment = datetime.fromisoformat(begun)
    except ValueError:
        return
    if moment.tzinfo is None:  # of what place is not told
        return
    ttft_ns = (moment - EPOCH) // timedelta(microseconds=1) * 1000 - view.raw.start_ns
    if 0 < ttft_ns <= view.raw.end_ns - view.raw.start_ns:
        span.ttft_ns, span.ttft_source = ttft_ns, "client_chunk"


def _document(item: Any) -> Any:
    """Return a document without the vectors and blobs it may carry."""
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if value is not None and "embedding" not in key and key != "blob"}


def _message(item: dict[str, Any]) -> Message:
    """Return a ``ChatMessage``; of version 2 its fields begin with an underscore."""
    plain = {key.lstrip("_"): value for key, value in item.items()}
    content = plain.get("content")
    if not isinstance(content, list):
        return fold_message({"role": plain.get("role"), "content": content})
    parts: list[Part] = []
    for block in content:
        parts += [_block(block)] if isinstance(block, dict) else fold_parts(block)
    message: Message = {"role": name_of(plain.get("role")) or "user", "parts": parts}
    reason = plain["meta"].get("finish_reason") if isinstance(plain.get("meta"), dict) else None
    if isinstance(reason, str):
        message["finish_reason"] = reason
    return message


def _block(block: dict[str, Any]) -> Part:
    call, answer, thought = block.get("tool_call"), block.get("tool_call_result"), block.get("reasoning")
    if isinstance(call, dict):
        return tool_call_part(call.get("id"), call.get("tool_name"), call.get("arguments"))
    if isinstance(answer, dict):
        origin = answer.get("origin")
        return tool_response_part(origin.get("id") if isinstance(origin, dict) else None, answer.get("result"))
    if isinstance(thought, dict):
        return {"type": "reasoning", "content": text_of(thought.get("reasoning_text"))}
    image = block.get("image")
    if isinstance(image, dict) and isinstance(image.get("base64_image"), str):
        return media_part("image", image.get("mime_type"), image["base64_image"])
    folded = fold_parts(block)
    return folded[0] if folded else {"type": "unknown", "content": block}


DIALECT = Dialect("haystack", matches, read, might_match)
