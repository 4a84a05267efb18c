"""OpenRouter's broadcast: one trace a request, sent by the gateway itself, with what it charged.

``LLM Generation`` has request, answer, counts and cost; below it stand the generation once more and each attempt at
a provider, without figures. Request and answer are JSON texts of the gateway's own form.
"""

from __future__ import annotations

from typing import Any

from spanhouse_server.model.span import Part, Span
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output
from spanhouse_server.normalise.dialects.provider_json import read_request
from spanhouse_server.normalise.messages import fold_tool_calls
from spanhouse_server.normalise.values import names_of, number_of
from spanhouse_server.normalise.view import View

PROVIDER = "openrouter"
_METADATA = "trace.metadata."
_OWN = _METADATA + "openrouter."
#: Milliseconds from the request to the first token.
_FIRST_TOKEN_MS = _OWN + "first_token_ms"
MAX_TTFT_MS = 86_400_000


def matches(view: View) -> bool:
    """Tell whether the gateway wrote the span."""
    return view.in_scope(PROVIDER) or ("trace" in view.roots and bool(view.family(_OWN)))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what only this dialect has."""
    request, answer = view.json("gen_ai.prompt"), view.json("gen_ai.completion")
    view.hide("gen_ai.prompt", "gen_ai.completion")
    otel.read(view, span)
    span.finish_reasons = span.finish_reasons or names_of(view.get(_OWN + "finish_reason"))
    if span.usage.known or span.request_model:
        span.category, span.operation = "llm", span.operation or "chat"
        span.provider = PROVIDER  # whoever served, the gateway sends the bill
    else:
        span.category, span.operation = "other", ""
    if isinstance(request, dict) and ("messages" in request or "prompt" in request):
        read_request(span, {key: request[key] for key in ("messages", "prompt", "tools") if key in request})
    parts = _answer(answer)
    if parts and not span.output_messages:
        span.output_messages = [{"role": "assistant", "parts": parts}]
    fill_input_output(span, view.json("span.input"), view.json("span.output"))
    milliseconds = number_of(view.get(_FIRST_TOKEN_MS))
    if milliseconds is not None and 0 < milliseconds <= MAX_TTFT_MS:
        span.ttft_ns, span.ttft_source = round(milliseconds * 1e6), "server_token"
    for key in view.family(_METADATA):
        add_metadata(span, key[len(_METADATA) :], view.get(key))


def _answer(answer: Any) -> list[Part]:
    """Return what was answered as parts: thoughts, words, calls of tools."""
    if not isinstance(answer, dict):
        return []
    parts: list[Part] = []
    for key, kind in (("reasoning", "reasoning"), ("completion", "text")):
        text = answer.get(key)
        if isinstance(text, str) and text:
            parts.append({"type": kind, "content": text})
    calls = answer.get("toolCalls")
    return parts + (fold_tool_calls(calls) if isinstance(calls, list) else [])


DIALECT = Dialect("openrouter", matches, read)
