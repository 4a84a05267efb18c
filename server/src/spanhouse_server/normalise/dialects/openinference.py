"""OpenInference (Arize): flattened messages, ``input.value``/``output.value``, ``llm.token_count.*``.

Structured messages, documents and tools are preferred; the raw values fill in where there are none.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, fold_document
from spanhouse_server.normalise.dialects.images_api import is_drawn
from spanhouse_server.normalise.dialects.openinference_messages import (
    fold_flat_messages,
    fold_flat_texts,
    fold_flat_tools,
)
from spanhouse_server.normalise.dialects.provider_json import answer_messages, is_answer, read_answer
from spanhouse_server.normalise.dialects.told_media import add_answer_media, add_request_media, may_tell_media
from spanhouse_server.normalise.messages import fold_tool_calls, text_message
from spanhouse_server.normalise.names import fold_provider
from spanhouse_server.normalise.parts import fold_part, fold_parts, text_part
from spanhouse_server.normalise.usage import UsageKeys, usage_of
from spanhouse_server.normalise.values import count_of, name_of, names_of, number_of, text_of
from spanhouse_server.normalise.view import View, indexed

CATEGORIES = {
    "LLM": "llm",
    "EMBEDDING": "embedding",
    "CHAIN": "workflow",
    "RETRIEVER": "retriever",
    "RERANKER": "reranker",
    "TOOL": "tool",
    "AGENT": "agent",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluator",
}
OPERATIONS = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
}
_COUNT = "llm.token_count."
USAGE = UsageKeys(
    input=(_COUNT + "prompt",),
    output=(_COUNT + "completion",),
    total=(_COUNT + "total",),
    cache_read=(_COUNT + "prompt_details.cache_read", _COUNT + "prompt_details.cache_input"),
    cache_write=(_COUNT + "prompt_details.cache_write",),
    reasoning=(_COUNT + "completion_details.reasoning",),
    audio_input=(_COUNT + "prompt_details.audio",),
    audio_output=(_COUNT + "completion_details.audio",),
)
#: What instrumentations leave among the invocation parameters though it has a field of its own.
_NOT_PARAMETERS = frozenset(
    {"model", "messages", "input", "tools", "functions", "prompt", "contents", "system", "instructions"}
)


def matches(view: View) -> bool:
    """Tell whether an OpenInference instrumentation wrote the span."""
    return "openinference.span.kind" in view.attributes or view.in_scope("openinference.instrumentation")


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    kind = view.name("openinference.span.kind").upper()
    span.category = CATEGORIES.get(kind, "other")
    span.operation = OPERATIONS.get(kind, "")
    llm = view.groups("llm")
    span.usage = usage_of(view, USAGE)
    _read_model(view, span)
    _read_cost(view, span)
    span.finish_reasons = names_of(view.get("llm.finish_reason"))
    if llm:
        _read_chat(view, span, llm)
    if span.category == "tool" or "tool" in view.roots:
        _read_tool(view, span)
    _read_documents(view, span)
    if span.category == "embedding":
        _read_embedding(view, span)
    _read_values(view, span)
    _read_metadata(view, span)


def _read_model(view: View, span: Span) -> None:
    requested = view.name("llm.request.model_name", "embedding.request.model_name")
    served = view.name("llm.response.model_name", "embedding.response.model_name")
    named = view.name("llm.model_name", "embedding.model_name", "reranker.model_name")
    span.provider = fold_provider(view.name("llm.provider"), view.name("llm.system"))
    for key in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        parameters = view.json(key)
        if isinstance(parameters, dict):
            asked = parameters.get("model")
            requested = requested or (asked if isinstance(asked, str) else "")
            span.parameters.update({name: parameters[name] for name in parameters if name not in _NOT_PARAMETERS})
            span.system_instructions = fold_parts(parameters.get("system") or parameters.get("instructions"))
    top_k = view.get("reranker.top_k")
    if top_k is not None:
        span.parameters["top_k"] = top_k
    # The one bare name is the answering model where the instrumentation saw an answer.
    span.request_model = requested or named
    span.response_model = served or (named if span.usage.known or named != requested else "")
    span.agent_name = view.name("agent.name")


def _read_cost(view: View, span: Span) -> None:
    if "llm.cost.total" not in view.attributes and "llm.cost.prompt" not in view.attributes:
        return
    total = number_of(view.get("llm.cost.total"))
    if total is None:
        halves = [number_of(view.get("llm.cost.prompt")), number_of(view.get("llm.cost.completion"))]
        known = [half for half in halves if half is not None and half >= 0]
        span.cost.reported_usd = sum((Decimal(str(half)) for half in known), Decimal(0)) if known else None
    elif total >= 0:
        span.cost.reported_usd = Decimal(str(total))


def _read_chat(view: View, span: Span, llm: dict[str, dict[str, Any]]) -> None:
    if "input_messages" in llm:
        span.input_messages = fold_flat_messages(view, llm["input_messages"], "user")
    elif "prompts" in llm:
        span.operation = "text_completion" if span.category == "llm" else span.operation
        texts = fold_flat_texts(view, llm["prompts"], "prompt.text")
        span.input_messages = [text_message("user", text) for text in texts]
    if any(message["role"] == "system" for message in span.input_messages):
        span.system_instructions = []  # said in its place already
    if "output_messages" in llm:
        span.output_messages = fold_flat_messages(view, llm["output_messages"], "assistant")
    elif "choices" in llm:
        texts = fold_flat_texts(view, llm["choices"], "completion.text")
        span.output_messages = [text_message("assistant", text) for text in texts]
    if "tools" in llm:
        span.tool_definitions = fold_flat_tools(view, llm["tools"])
    if "function_call" in llm:
        call = view.json("llm.function_call")
        calls = fold_tool_calls([call] if isinstance(call, dict) else call)
        if calls and not span.output_messages:
            span.output_messages = [{"role": "assistant", "parts": calls}]
    for key in ("prompt_template.template", "prompt_template.variables"):
        value = view.get("llm." + key)
        if value is not None:
            span.parameters[key] = view.opened(value)


def _read_tool(view: View, span: Span) -> None:
    span.tool_name = view.name("tool.name")
    span.tool_call_id = view.name("tool.id", "tool_call.id")
    if span.category != "tool":
        return
    span.tool_name = span.tool_name or view.raw.name
    given = view.get("input.value")
    if given in (None, ""):
        span.tool_arguments = view.json("tool.parameters")


def _read_documents(view: View, span: Span) -> None:
    flat = view.groups("retrieval").get("documents") if "retrieval" in view.roots else None
    if flat is None and "reranker" in view.roots:
        groups = view.groups("reranker")
        flat = groups.get("output_documents") or groups.get("input_documents")
        query = text_of(view.get("reranker.query"))
        if query:
            span.input_messages = [text_message("user", query)]
    if flat:
        span.documents = [fold_document(_document_fields(view, fields)) for fields in indexed(flat)]


def _document_fields(view: View, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key.removeprefix("document."): view.opened(value) if key == "document.metadata" else value
        for key, value in fields.items()
    }


def _read_embedding(view: View, span: Span) -> None:
    flat = view.groups("embedding").get("embeddings") if "embedding" in view.roots else None
    texts = fold_flat_texts(view, flat, "embedding.text") if flat else []
    if texts:
        span.input_messages = [{"role": "user", "parts": [{"type": "text", "content": text} for text in texts]}]


def _read_values(view: View, span: Span) -> None:
    """Read the raw input and output where there was nothing better, and the response id from an answer."""
    is_model = span.category == "llm"
    result = None
    if span.category != "embedding" and (is_model or not span.output_messages):  # an embedding's are vectors
        result = _value(view, "output")
    if is_model and isinstance(result, dict):
        span.response_id = _response_id(result)
    if is_model and isinstance(result, dict) and is_answer(result) and not span.output_messages:
        span.output_messages = answer_messages(result)
    if is_model and "llm.token_count.total" in view.attributes and isinstance(result, dict):
        _read_modalities(span, result)
    if is_model and (is_drawn(result) or "input.images.0.image.url" in view.attributes):
        _read_drawing(view, span, result)
    if not span.input_messages or not span.output_messages:
        fill_input_output(span, _value(view, "input") if not span.input_messages else None, result)
    if is_model and may_tell_media(view.get("input.value")):
        add_request_media(span, _value(view, "input"))
    if is_model and may_tell_media(view.get("output.value")):
        add_answer_media(span, result)


def _read_drawing(view: View, span: Span, answer: Any) -> None:
    """Read a call of the images API, of which only raw values and the addresses of images are told."""
    request = _value(view, "input")
    prompt = request.get("prompt") if isinstance(request, dict) else None
    flat = view.groups("input").get("images", {})
    shown = [fold_part({"type": "image", "url": fields.get("image.url")}) for fields in indexed(flat)]
    if isinstance(prompt, str):
        span.input_messages = [{"role": "user", "parts": [text_part(prompt), *shown]}]
        span.parameters.pop("prompt", None)
    if isinstance(answer, dict):
        read_answer(span, answer)


def _read_modalities(span: Span, answer: dict[str, Any]) -> None:
    """Read how many of the tokens are those of images, which only Gemini's own figures tell."""
    counts = answer.get("usage_metadata")
    if not isinstance(counts, dict):
        return
    for key, name in (("prompt", "image_input_tokens"), ("candidates", "image_output_tokens")):
        details = counts.get(f"{key}_tokens_details")
        for each in details if isinstance(details, list) else ():
            if isinstance(each, dict) and name_of(each.get("modality")).upper().endswith("IMAGE"):
                setattr(span.usage, name, count_of(each.get("token_count")))


def _response_id(answer: dict[str, Any]) -> str:
    """Return the provider's id of an answer, as the provider's client or LangChain writes answers."""
    if "choices" in answer or "content" in answer or "output" in answer:
        return name_of(answer.get("id"))
    summary = answer.get("llm_output")
    if isinstance(summary, dict) and summary.get("id"):
        return name_of(summary["id"])
    generations = answer.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    if not isinstance(generations, dict):
        return ""
    message = generations.get("message")
    fields = message.get("kwargs") or message.get("data") if isinstance(message, dict) else None
    metadata = fields.get("response_metadata") if isinstance(fields, dict) else None
    return name_of(metadata.get("id")) if isinstance(metadata, dict) else ""


def _value(view: View, side: str) -> Any:
    """Return ``input.value`` or ``output.value``: opened where it is JSON, text where it says text."""
    value = view.get(side + ".value")
    if isinstance(value, str) and view.get(side + ".mime_type") == "text/plain":
        return value
    return view.opened(value)


def _read_metadata(view: View, span: Span) -> None:
    if "metadata" in view.roots:
        metadata = view.json("metadata")
        if isinstance(metadata, dict):
            for key, value in metadata.items():
                add_metadata(span, str(key), value)
    if "openinference.project.name" in view.raw.resource:
        add_metadata(span, "openinference.project.name", view.raw.resource["openinference.project.name"])


DIALECT = Dialect("openinference", matches, read)
