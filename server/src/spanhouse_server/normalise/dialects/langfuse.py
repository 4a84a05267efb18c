"""Langfuse's SDK (3 and later): observations of a type, with JSON input, output, usage and cost.

``usage_details`` has free keys. Those named ``input…`` and ``output…`` are disjoint and add up to the
totals; the SDK's wrapper of OpenAI's client, and users, hand over a provider's own usage object instead,
whose totals mean what they mean there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts, fill_input_output, fold_documents
from spanhouse_server.normalise.dialects.images_api import settle_drawn
from spanhouse_server.normalise.dialects.provider_json import (
    LANGCHAIN_TIERS,
    answer_messages,
    read_provider_usage,
    read_request,
)
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY, fold_provider
from spanhouse_server.normalise.parts import fold_parts
from spanhouse_server.normalise.usage import settle_totals
from spanhouse_server.normalise.values import count_of, names_of, number_of, text_of, unquoted
from spanhouse_server.normalise.view import View

_OBSERVATION = "langfuse.observation."
CATEGORIES = {
    "agent": "agent",
    "chain": "workflow",
    "embedding": "embedding",
    "evaluator": "evaluator",
    "generation": "llm",
    "guardrail": "guardrail",
    "retriever": "retriever",
    "tool": "tool",
}
#: What the SDK writes on its own observations only; context and prompt it puts on everybody's spans.
_OWN = frozenset(_OBSERVATION + name for name in ("type", "input", "output", "model.name", "usage_details"))
#: Observations that may stand for their trace; a model call's or tool's input is never the trace's.
_STEPS = frozenset({"agent", "other", "workflow"})
_METADATA = _OBSERVATION + "metadata"
#: Keys of tokens written to a cache: ``input_cache_creation``, ``input_ephemeral_1h_input_tokens`` …
_WRITTEN = re.compile(r"cache.*(?:creation|write)|(?:creation|write).*cache|ephemeral_(?:5m|1h)")
MAX_TTFT_S = 86_400


def matches(view: View) -> bool:
    """Tell whether the span is one of Langfuse's observations."""
    return view.scope == "langfuse-sdk" or bool(view.among(_OWN))


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    if "gen_ai" in view.roots:  # other emitters dress their spans up for Langfuse
        otel.read(view, span)
    kind = view.name(_OBSERVATION + "type")
    if view.raw.name == "OpenAI.embeddings" and kind == "generation":  # its wrapper for Node calls everything one
        kind = "embedding"
    span.category = CATEGORIES.get(kind, span.category)
    span.operation = OPERATION_OF_CATEGORY.get(span.category, span.operation)
    level = view.name(_OBSERVATION + "level")
    details = view.json(_OBSERVATION + "usage_details")
    if isinstance(details, dict):
        usage = read_details(details)
        span.usage = usage if usage.known else span.usage
    if view.raw.name == "OpenAI.images" and span.category == "llm":  # of that wrapper
        settle_drawn(span)
    result = _side(view, span, "output")
    _read_model(view, span, bool(result))
    _read_cost(view, span)
    _read_ttft(view, span)
    given = _side(view, span, "input")
    _read_content(span, _arguments(given), result)
    if view.raw.name == "OpenAI.responses" and not span.system_instructions:  # its wrapper for Node
        span.system_instructions = fold_parts(unquoted(view.get(_METADATA + ".instructions")))
    finish = unquoted(view.get(_METADATA + ".finish_reason"))
    span.finish_reasons = span.finish_reasons or (names_of(finish) if finish is not None else [])
    _read_metadata(view, span)
    if level == "ERROR" and view.raw.status_code == "unset":
        view.overlay({"error.type": "unknown"})


def _side(view: View, span: Span, side: str) -> Any:
    """Return an observation's input or output; of a step without its own, what it says of the whole trace."""
    value = view.json(_OBSERVATION + side)
    if value in (None, "") and span.category in _STEPS:
        return unquoted(view.json(f"langfuse.trace.{side}"))
    return value


def _read_model(view: View, span: Span, answered: bool) -> None:
    """Read the model: the SDK has one name, of the model asked for until it knows which one answered."""
    name = view.name(_OBSERVATION + "model.name")
    span.request_model = span.request_model or name
    if name and (answered or span.usage.known):
        span.response_model = name
    parameters = view.json(_OBSERVATION + "model.parameters")
    if isinstance(parameters, dict):
        span.parameters.update(parameters)
    span.provider = span.provider or fold_provider(text_of(unquoted(view.get(_METADATA + ".ls_provider"))))


def read_details(details: dict[str, Any]) -> Usage:
    """Return the counts of ``usage_details``."""
    if "input" not in details and "output" not in details:
        return read_provider_usage(details)
    usage = Usage(count_of(details.get("input")), count_of(details.get("output")), basis="exclusive")
    if not usage.known:
        return Usage()
    total = count_of(details.get("total"))
    if total is not None and total == (usage.input_tokens or 0) + (usage.output_tokens or 0):
        usage.basis = "inclusive"  # someone counted the finer keys into the totals already
    written: dict[str, int] = {}
    for key, value in details.items():
        count = count_of(value)
        if count is None or key in ("input", "output", "total"):
            continue
        tier = next((each for each in LANGCHAIN_TIERS if key.partition("_")[2].partition("_")[0] == each), "")
        usage.service_tier = usage.service_tier or tier
        if tier == "priority":  # the SDK leaves these in the totals, all others it takes out
            _note_part(usage, key, count)
        elif key.startswith(("output", "completion")):
            _add_output(usage, key, count)
        elif _WRITTEN.search(key):
            lifetime = next((each for each in ("5m", "1h") if each in key), "")
            written[lifetime] = written.get(lifetime, 0) + count
        elif key.startswith("input") or "cache" in key:
            _add_input(usage, key, count)
    if written:
        _add_written(usage, written)
    return settle_totals(usage, None, exclusive=False)


def _note_part(usage: Usage, key: str, count: int) -> None:
    """Note a part of a total that holds it already."""
    if "cache_read" in key:
        usage.cache_read_tokens = (usage.cache_read_tokens or 0) + count
    elif "reasoning" in key:
        usage.reasoning_tokens = (usage.reasoning_tokens or 0) + count


def _add_written(usage: Usage, written: dict[str, int]) -> None:
    """Add what was written to the cache, by how long it lives there.

    The SDK's handler of LangChain tells Anthropic's count and beside it the parts that it is the sum of.
    """
    parts = written.get("5m", 0) + written.get("1h", 0)
    usage.cache_write_tokens = max(written.get("", 0), parts)
    if "1h" in written:
        usage.cache_write_1h_tokens = written["1h"]
    if usage.basis == "exclusive":
        usage.input_tokens = (usage.input_tokens or 0) + usage.cache_write_tokens


def _add_input(usage: Usage, key: str, count: int) -> None:
    if usage.basis == "exclusive":
        usage.input_tokens = (usage.input_tokens or 0) + count
    if "cache" in key:
        usage.cache_read_tokens = (usage.cache_read_tokens or 0) + count
    elif "audio" in key:
        usage.audio_input_tokens = (usage.audio_input_tokens or 0) + count
    elif "image" in key:
        usage.image_input_tokens = (usage.image_input_tokens or 0) + count


def _add_output(usage: Usage, key: str, count: int) -> None:
    if usage.basis == "exclusive":
        usage.output_tokens = (usage.output_tokens or 0) + count
    if "reasoning" in key or "thought" in key:
        usage.reasoning_tokens = (usage.reasoning_tokens or 0) + count
    elif "audio" in key:
        usage.audio_output_tokens = (usage.audio_output_tokens or 0) + count
    elif "image" in key:
        usage.image_output_tokens = (usage.image_output_tokens or 0) + count


def _read_cost(view: View, span: Span) -> None:
    """Read the emitter's cost: its total, or the sum of its parts. The zero it puts on a failed call says nothing."""
    details = view.json(_OBSERVATION + "cost_details")
    if not isinstance(details, dict):
        return
    amounts = {key: number_of(value) for key, value in details.items()}
    total = amounts.pop("total", None)
    if total is None:
        known = [Decimal(str(amount)) for amount in amounts.values() if amount is not None and amount >= 0]
        cost = sum(known, Decimal(0)) if known else None
    else:
        cost = Decimal(str(total)) if total >= 0 else None
    if cost or (cost is not None and span.usage.known):
        span.cost.reported_usd = cost


def _read_ttft(view: View, span: Span) -> None:
    moment = unquoted(view.get(_OBSERVATION + "completion_start_time"))
    if not isinstance(moment, str):
        return
    try:
        began = datetime.fromisoformat(moment)
    except ValueError:
        return
    began = began if began.tzinfo else began.replace(tzinfo=UTC)
    since = began - datetime(1970, 1, 1, tzinfo=UTC)
    began_ns = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    ttft_ns = began_ns - view.raw.start_ns
    if 0 <= ttft_ns <= MAX_TTFT_S * 1_000_000_000:
        span.ttft_ns, span.ttft_source = ttft_ns, "client_chunk"


def _arguments(given: Any) -> Any:
    """Return the input of a decorated function without the ``{"args": …, "kwargs": …}`` around it."""
    if isinstance(given, dict) and given.keys() == {"args", "kwargs"}:
        args, kwargs = given["args"], given["kwargs"]
        if not args:
            return kwargs or None
        if not kwargs and isinstance(args, list) and len(args) == 1:
            return args[0]
    return given


def _read_content(span: Span, given: Any, result: Any) -> None:
    if span.category == "tool":
        span.tool_name = span.tool_name or span.raw.name
    elif span.category == "agent":
        span.agent_name = span.agent_name or span.raw.name
    elif span.category in ("retriever", "reranker") and isinstance(result, (list, dict)):
        span.documents = span.documents or fold_documents(result)
    elif span.category == "embedding":
        span.input_messages = span.input_messages or embedded_texts(given)
        return  # what comes out is vectors, or a word about their size
    elif span.category == "llm":
        if isinstance(given, dict) and ("messages" in given or "input" in given):
            read_request(span, given)
        if isinstance(given, list) and given and all(isinstance(item, str) for item in given):
            given = "\n".join(given)
        if isinstance(result, list) and result and all(isinstance(item, dict) for item in result):
            result = {"output": result}  # the items of a response
        if not span.output_messages and isinstance(result, dict):
            span.output_messages = answer_messages(result)
    fill_input_output(span, given, result)


def _read_metadata(view: View, span: Span) -> None:
    """Read the metadata of the observation; the SDK of today puts every value in JSON, text included."""
    for key in view.family(_METADATA):
        value = view.get(key)
        if key == _METADATA:
            decoded = view.opened(unquoted(value))
            for name, item in decoded.items() if isinstance(decoded, dict) else [("metadata", decoded)]:
                add_metadata(span, str(name), item)
        elif key.startswith(_METADATA + "."):
            add_metadata(span, key[len(_METADATA) + 1 :], unquoted(value))


DIALECT = Dialect("langfuse", matches, read)
