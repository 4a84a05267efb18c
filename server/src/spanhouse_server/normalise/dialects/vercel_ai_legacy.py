"""Vercel's AI SDK up to 6, and ``LegacyOpenTelemetry`` of 7: ``ai.*`` attributes, calls in two layers.

The outer span (``ai.generateText``) is the run with all its steps, the inner ones (``.doGenerate``,
``.doStream``, ``.doEmbed``) are the model's calls; both carry usage.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Message, Part, Span
from spanhouse_server.model.tiers import fold_tier
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts
from spanhouse_server.normalise.dialects.provider_json import add_usage, read_provider_usage
from spanhouse_server.normalise.media_parts import media_part
from spanhouse_server.normalise.messages import fold_messages, fold_tool_definitions, text_message
from spanhouse_server.normalise.names import fold_provider
from spanhouse_server.normalise.parts import fold_parts, tool_call_part, tool_response_part
from spanhouse_server.normalise.usage import UsageKeys, read_usage
from spanhouse_server.normalise.values import count_of, name_of, names_of, number_of, text_of, unquoted
from spanhouse_server.normalise.view import View

_INPUT, _OUTPUT = "ai.usage.inputTokenDetails.", "ai.usage.outputTokenDetails."
USAGE = UsageKeys(
    input=("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.input_tokens"),
    output=("ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"),
    total=("ai.usage.totalTokens",),
    cache_read=(_INPUT + "cacheReadTokens", "ai.usage.cachedInputTokens"),
    cache_write=(_INPUT + "cacheWriteTokens",),
    reasoning=(_OUTPUT + "reasoningTokens", "ai.usage.reasoningTokens"),
)
#: The keys of ``providerMetadata`` under which APIs tell that count cached tokens beside the input.
_EXCLUSIVE = ("anthropic", "bedrock")
#: The first word of ``operation.name``: category and operation.
KINDS = {
    "ai.toolCall": ("tool", "execute_tool"),
    "ai.embed": ("embedding", "embeddings"),
    "ai.embedMany": ("embedding", "embeddings"),
    "ai.rerank": ("reranker", "rerank"),
}
_PARAMETERS = {
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "maxRetries": "max_retries",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "stopSequences": "stop_sequences",
}
_SETTINGS = "ai.settings."


def matches(view: View) -> bool:
    """Tell whether the SDK wrote the span: by its scope, or by its operation."""
    if view.scope == "ai" or ("ai" in view.roots and "ai.operationId" in view.attributes):
        return True
    return "operation" in view.roots and view.text("operation.name").startswith("ai.")


def might_match(view: View) -> bool:
    """Tell by scope and keys whether the SDK may have written the span."""
    return view.scope == "ai" or "ai.operationId" in view.attributes or "operation.name" in view.attributes


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    operation = view.name("ai.operationId") or view.text("operation.name").partition(" ")[0]
    outer, _, inner = operation.partition(".do")
    generates = outer.startswith(("ai.generate", "ai.stream"))
    if outer in KINDS:
        span.category, span.operation = KINDS[outer]
    elif generates:
        span.category, span.operation = ("llm", "chat") if inner else ("agent", "invoke_agent")
    function = view.name("ai.telemetry.functionId")
    if span.category == "agent":
        span.agent_name = function
    span.provider = fold_provider(view.name("ai.model.provider", "gen_ai.system"))
    span.request_model = view.name("ai.model.id", "gen_ai.request.model")
    span.response_model = view.name("ai.response.model", "gen_ai.response.model")
    span.response_id = view.name("ai.response.id", "gen_ai.response.id")
    for key in ("gen_ai.response.finish_reasons", "ai.response.finishReason", "ai.finishReason"):
        span.finish_reasons = span.finish_reasons or names_of(view.get(key))
    span.parameters = _read_parameters(view)
    _read_usage(view, span)
    _read_ttft(view, span)
    if span.category == "tool":
        _read_tool(view, span)
    elif span.category == "embedding":
        span.input_messages = embedded_texts(_texts(view, "ai.values", "ai.value"))
    elif span.category == "reranker":
        _read_rerank(view, span)
    else:
        _read_chat(view, span)


def _read_parameters(view: View) -> dict[str, Any]:
    parameters = otel.read_parameters(view)
    for key in view.family(_SETTINGS):
        name = key[len(_SETTINGS) :]
        parameters.setdefault(_PARAMETERS.get(name, name), view.json(key))
    choice = view.json("ai.prompt.toolChoice")
    if choice is not None:
        parameters["tool_choice"] = choice["type"] if isinstance(choice, dict) and len(choice) == 1 else choice
    return parameters


def _read_usage(view: View, span: Span) -> None:
    """Read the counts. Before SDK 6, which has details of the input, some APIs' input left out cached tokens.

    The provider's own figures are told beside: how long a cache lives, searches, the service tier, what it charged.
    """
    told = view.json("ai.response.providerMetadata")
    told = told if isinstance(told, dict) else {}
    api = _exclusive_api(view, span, told)
    before_6 = bool(api) and not any(key.startswith(_INPUT) for key in view.attributes)
    metadata: dict[str, Any] = next(
        (told[key] for key in (api, span.provider, "vertex") if isinstance(told.get(key), dict)), {}
    )
    raw = metadata.get("usage")
    attributes = view.attributes
    if before_6:
        counts = {**(raw if isinstance(raw, dict) else {}), **metadata}
        written = counts.get("cacheCreationInputTokens", counts.get("cacheWriteInputTokens"))
        attributes = {
            _INPUT + "cacheReadTokens": count_of(counts.get("cacheReadInputTokens")),
            _INPUT + "cacheWriteTokens": count_of(written),
            **attributes,
        }
    span.usage = read_usage(attributes, USAGE, exclusive=before_6)
    if span.usage.known and isinstance(raw, dict):
        basis = span.usage.basis
        add_usage(span, read_provider_usage(raw))
        span.usage.basis = basis
    tier = metadata.get("serviceTier")
    if span.usage.known and isinstance(tier, str):
        span.usage.service_tier = fold_tier(tier)
    _read_cost(span, told)


def _exclusive_api(view: View, span: Span, told: dict[str, Any]) -> str:
    """Return which API served that counts cached tokens beside the input, if one did: Anthropic's or Bedrock's.

    Claude is sold by others too, who speak Anthropic's API (``vertex.anthropic.messages``) or hand its words on.
    """
    found = next((key for key in _EXCLUSIVE if key in told), "")
    if not found and "anthropic" in view.name("ai.model.provider", "gen_ai.system"):
        return "anthropic"
    return found or ("bedrock" if span.provider == "aws.bedrock" else "")


def _read_cost(span: Span, told: dict[str, Any]) -> None:
    """Read what a gateway says it charged: Vercel's for the call, OpenRouter with the usage."""
    for key, inner in (("gateway", told.get("gateway")), ("openrouter", told.get("openrouter"))):
        holder = inner.get("usage") if key == "openrouter" and isinstance(inner, dict) else inner
        cost = number_of(holder.get("cost")) if isinstance(holder, dict) else None
        if cost is not None and cost >= 0:
            span.cost.reported_usd = Decimal(str(cost))


def _read_ttft(view: View, span: Span) -> None:
    milliseconds = number_of(view.get("ai.response.msToFirstChunk"))
    if milliseconds is not None and 0 <= milliseconds <= 86_400_000:
        span.ttft_ns, span.ttft_source = round(milliseconds * 1e6), "client_chunk"


def _read_tool(view: View, span: Span) -> None:
    span.tool_name = view.name("ai.toolCall.name")
    span.tool_call_id = view.name("ai.toolCall.id")
    for key in ("ai.toolCall.args", "ai.toolCall.input"):
        if span.tool_arguments is None:
            span.tool_arguments = unquoted(view.json(key))
    for key in ("ai.toolCall.result", "ai.toolCall.output"):
        if span.tool_result is None:
            span.tool_result = unquoted(view.json(key))


def _texts(view: View, *keys: str) -> list[str]:
    """Return the texts of the first of these attributes that is there: JSON text, or an array of it."""
    for key in keys:
        value = view.get(key)
        if value is not None:
            values = value if isinstance(value, list) else [value]
            return [text_of(unquoted(item)) for item in values]
    return []


def _read_rerank(view: View, span: Span) -> None:
    """Read the query, and the documents in the order they were ranked in, with scores."""
    query = unquoted(view.get("ai.query"))
    if isinstance(query, str) and query:
        span.input_messages = [text_message("user", query)]
    contents = _texts(view, "ai.documents")
    ranking = view.get("ai.ranking")
    ranked = [view.opened(item) for item in ranking] if isinstance(ranking, list) else []
    for place in ranked:
        index = place.get("originalIndex") if isinstance(place, dict) else None
        if type(index) is not int or not 0 <= index < max(len(contents), 1):
            continue
        document: dict[str, Any] = {"content": contents[index]} if contents else {"id": str(index)}
        score = number_of(place.get("relevanceScore", place.get("score")))
        if score is not None:
            document["score"] = score
        span.documents.append(document)
    if not span.documents:
        span.documents = [{"content": text} for text in contents]


def _read_chat(view: View, span: Span) -> None:
    prompt = view.json("ai.prompt")
    given = view.json("ai.prompt.messages")
    if given is not None:
        span.input_messages = _fold(given)
    elif isinstance(prompt, dict):
        span.system_instructions = fold_parts(prompt.get("system"))
        told = prompt.get("messages") if prompt.get("messages") is not None else prompt.get("prompt")
        span.input_messages = _fold(told)
    elif isinstance(prompt, str) and prompt:
        span.input_messages = [text_message("user", prompt)]
    tools = view.get("ai.prompt.tools")
    if tools is not None:
        span.tool_definitions = fold_tool_definitions(view.opened(tools))
    parts = _answer(view)
    if parts:
        message: Message = {"role": "assistant", "parts": parts}
        if span.finish_reasons:
            message["finish_reason"] = span.finish_reasons[0]
        span.output_messages = [message]


def _answer(view: View) -> list[Part]:
    """Return the parts of the answer, each in an attribute of its own."""
    parts: list[Part] = []
    reasoning = _first(view, "reasoning")
    if isinstance(reasoning, str) and reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    elif isinstance(reasoning, list):
        parts += fold_parts([_plain(item) for item in reasoning])
    for name in ("text", "object"):
        value = _first(view, name)
        if value not in (None, ""):
            parts.append({"type": "text", "content": unquoted(value) if name == "object" else text_of(value)})
            break
    files = view.opened(_first(view, "files"))
    if isinstance(files, list):
        parts += fold_parts([_plain(item) for item in files])
    calls = view.opened(_first(view, "toolCalls"))
    if isinstance(calls, list):
        parts += [_call(item) for item in calls if isinstance(item, dict)]
    return parts


def _first(view: View, name: str) -> Any:
    """Return ``ai.response.{name}``, which was ``ai.result.{name}`` before SDK 4."""
    value = view.get("ai.response." + name)
    return view.get("ai.result." + name) if value is None else value


def _fold(messages: Any) -> list[Message]:
    """Return canonical messages of the SDK's own, whose parts have names of their own."""
    if isinstance(messages, list):
        messages = [
            {**message, "content": [_plain(part) for part in message["content"]]}
            if isinstance(message, dict) and isinstance(message.get("content"), list)
            else message
            for message in messages
        ]
    return fold_messages(messages, "user")


def _plain(part: Any) -> Any:
    """Return a part of the SDK's as the conventions have it; what is not the SDK's own stays."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "tool-call":
        return _call(part)
    if kind == "tool-result":
        output = part.get("output", part.get("result"))
        if isinstance(output, dict) and "value" in output and isinstance(output.get("type"), str):
            output = output["value"]
        return tool_response_part(name_of(part.get("toolCallId")), output)
    if kind in ("file", "image"):
        return _media(part)
    return part


def _call(item: dict[str, Any]) -> Part:
    arguments = item.get("input", item.get("args"))
    return tool_call_part(name_of(item.get("toolCallId")), item.get("toolName"), arguments)


def _media(part: dict[str, Any]) -> Part:
    mime_type = name_of(part.get("mediaType") or part.get("mimeType"))
    kind = mime_type.partition("/")[0]
    modality = kind if kind in ("image", "audio", "video") else "document"
    if part.get("type") == "image":
        modality = "image"
    data = part.get("data", part.get("image", part.get("base64Data", part.get("base64"))))
    if isinstance(data, dict):  # SDK 7's tagged data, and {url: …}
        data = data.get("data") or data.get("url")
    if not isinstance(data, str):
        return {"type": "unknown", "content": part}
    if data.startswith(("http://", "https://")):
        return {"type": "uri", "modality": modality, "uri": data}
    head, comma, rest = data.partition(",")
    if data.startswith("data:") and comma:
        mime_type, data = mime_type or head[5:].partition(";")[0], rest
    return media_part(modality, mime_type or None, data)


DIALECT = Dialect("vercel_ai_legacy", matches, read, might_match)
