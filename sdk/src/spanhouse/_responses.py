"""Model, usage and messages out of answers of client libraries, recognised by their shape.

No client library is imported: an answer is whatever has OpenAI's ``choices`` or ``output``, or
Anthropic's ``content`` and ``stop_reason``, as an object or a dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spanhouse import _attributes as a
from spanhouse._messages import Message, field, message, parts, text_message, to_messages
from spanhouse._serialize import safe, to_json

_REQUEST_NUMBERS = ("temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty", "seed")


def request_attributes(arguments: Mapping[str, Any], capture: bool) -> dict[str, Any]:
    """Return ``gen_ai.request.*`` and the input messages that a model function's arguments tell."""
    found: dict[str, Any] = {}
    model = arguments.get("model")
    if isinstance(model, str):
        found[a.REQUEST_MODEL] = safe(str, model)
    for name in _REQUEST_NUMBERS:
        value = arguments.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[a.REQUEST_PREFIX + name] = value
    if not capture:
        return found
    for name in ("messages", "input", "contents", "prompt", "question", "query"):
        messages = to_messages(arguments.get(name))
        if messages:
            found[a.INPUT_MESSAGES] = to_json(messages)
            break
    system = arguments.get("system", arguments.get("instructions"))
    if system:
        found[a.SYSTEM_INSTRUCTIONS] = to_json(parts(system))
    if isinstance(arguments.get("tools"), (list, tuple)) and arguments["tools"]:
        found[a.TOOL_DEFINITIONS] = to_json(arguments["tools"])
    return found


def response_attributes(response: Any, capture: bool) -> dict[str, Any]:
    """Return what an answer tells about itself; empty for anything that is not one."""
    found = _facts(response)
    if capture:
        messages = output_messages(response)
        if messages:
            found[a.OUTPUT_MESSAGES] = to_json(messages)
    return found


def _facts(response: Any) -> dict[str, Any]:
    if isinstance(response, (str, bytes, int, float, bool, list, tuple, type(None))):
        return {}
    found: dict[str, Any] = {}
    for key, name in ((a.RESPONSE_MODEL, "model"), (a.RESPONSE_ID, "id")):
        value = field(response, name)
        if isinstance(value, str):
            found[key] = safe(str, value)
    provider = _provider(response)
    if provider:
        found[a.PROVIDER] = provider
    reasons = _finish_reasons(response)
    if reasons:
        found[a.FINISH_REASONS] = reasons
    usage = field(response, "usage")
    if usage is not None:
        found.update(usage_from(usage))
    return found if usage is not None or output_messages(response) else {}


def usage_from(usage: Any) -> dict[str, int]:
    """Return token counts of a usage object, totals inclusive as OpenTelemetry wants them."""
    input_details = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    output_details = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
    input_tokens = _count(usage, "prompt_tokens", "input_tokens")
    cache_read = _count(input_details, "cached_tokens")
    cache_write = None
    exclusive_read = _count(usage, "cache_read_input_tokens")
    exclusive_write = _count(usage, "cache_creation_input_tokens")
    if exclusive_read is not None or exclusive_write is not None:
        # Anthropic counts cached tokens beside the input, OpenTelemetry within it.
        cache_read, cache_write = exclusive_read, exclusive_write
        input_tokens = (input_tokens or 0) + (cache_read or 0) + (cache_write or 0)
    return usage_attributes(
        input_tokens=input_tokens,
        output_tokens=_count(usage, "completion_tokens", "output_tokens"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=_count(output_details, "reasoning_tokens"),
    )


def usage_attributes(
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    reasoning_tokens: int | None = None,
) -> dict[str, int]:
    """Return the attributes of the counts that are known."""
    counts = {
        a.INPUT_TOKENS: input_tokens,
        a.OUTPUT_TOKENS: output_tokens,
        a.CACHE_READ_TOKENS: cache_read_tokens,
        a.CACHE_WRITE_TOKENS: cache_write_tokens,
        a.REASONING_TOKENS: reasoning_tokens,
    }
    return {name: int(count) for name, count in counts.items() if count is not None}


def output_messages(response: Any) -> list[Message]:
    """Return the answer's messages, an empty list where there are none to recognise."""
    if isinstance(response, str):
        return [text_message("assistant", response)]
    choices = field(response, "choices")
    if isinstance(choices, (list, tuple)) and choices:
        return [_choice(choice) for choice in choices]
    output = field(response, "output")
    if isinstance(output, (list, tuple)) and output:
        return _responses_output(output)
    if field(response, "stop_reason") is not None or field(response, "role") == "assistant":
        found = message(response, "assistant")
        # Anthropic's answers have `type: message` beside the role.
        found["role"] = "assistant"
        reason = field(response, "stop_reason")
        return [{**found, "finish_reason": _finish_reason(str(reason))}] if reason else [found]
    return []


def _choice(choice: Any) -> Message:
    source = field(choice, "message")
    found = message(source, "assistant") if source is not None else text_message("assistant", field(choice, "text", ""))
    reason = field(choice, "finish_reason")
    return {**found, "finish_reason": _finish_reason(str(reason))} if reason else found


def _responses_output(output: Any) -> list[Message]:
    """OpenAI's Responses API: a list of items that make up one turn of the assistant."""
    collected = []
    for item in output:
        kind = field(item, "type")
        if kind == "message":
            collected.extend(parts(field(item, "content")))
        elif kind == "reasoning":
            text = "\n".join(field(piece, "text", "") for piece in field(item, "summary", ()))
            if text:
                collected.append({"type": "reasoning", "content": text})
        else:
            collected.extend(parts([item]))
    return [{"role": "assistant", "parts": collected}] if collected else []


def _finish_reasons(response: Any) -> list[str]:
    choices = field(response, "choices")
    if isinstance(choices, (list, tuple)):
        return [safe(str, field(choice, "finish_reason")) for choice in choices if field(choice, "finish_reason")]
    reason = field(response, "stop_reason")
    return [safe(str, reason)] if isinstance(reason, str) else []


def _finish_reason(reason: str) -> str:
    return {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "tool_use": "tool_call",
        "tool_calls": "tool_call",
    }.get(reason, reason)


def _provider(response: Any) -> str | None:
    package = type(response).__module__.partition(".")[0]
    return package if package in ("openai", "anthropic", "groq", "cohere") else {"mistralai": "mistral_ai"}.get(package)


def _count(source: Any, *names: str) -> int | None:
    for name in names:
        value = field(source, name) if source is not None else None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
