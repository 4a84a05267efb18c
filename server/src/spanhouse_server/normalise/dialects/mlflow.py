"""MLflow's tracing: every attribute is JSON, texts included (``mlflow.spanType`` is ``'"LLM"'``).

Inputs and outputs of model calls are the provider's own request and answer (``mlflow.message.format``
names whose); those of other spans are a function's arguments and result.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.model.span import Span
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, embedded_texts, fill_input_output, fold_documents
from spanhouse_server.normalise.dialects.images_api import settle_drawn
from spanhouse_server.normalise.dialects.provider_json import read_answer, read_request
from spanhouse_server.normalise.messages import fold_tool_definitions
from spanhouse_server.normalise.names import OPERATION_OF_CATEGORY, WELL_KNOWN_PROVIDERS, fold_provider
from spanhouse_server.normalise.usage import UsageKeys, read_usage
from spanhouse_server.normalise.values import name_of, number_of, unquoted
from spanhouse_server.normalise.view import View

CATEGORIES = {
    "AGENT": "agent",
    "CHAIN": "workflow",
    "CHAT_MODEL": "llm",
    "EMBEDDING": "embedding",
    "EVALUATOR": "evaluator",
    "GUARDRAIL": "guardrail",
    "LLM": "llm",
    "RERANKER": "reranker",
    "RETRIEVER": "retriever",
    "TASK": "workflow",
    "TOOL": "tool",
    "WORKFLOW": "workflow",
}
#: Of ``mlflow.chat.tokenUsage``; inclusive for every provider, as MLflow adds Anthropic's cached tokens.
USAGE = UsageKeys(
    input=("input_tokens",),
    output=("output_tokens",),
    total=("total_tokens",),
    cache_read=("cache_read_input_tokens",),
    cache_write=("cache_creation_input_tokens",),
    cache_write_1h=("cache_creation_input_tokens_above_1hr",),
)
FIRST_CHUNK = "mlflow.chunk.item.0"


def matches(view: View) -> bool:
    """Tell whether MLflow wrote the span."""
    return view.in_scope("mlflow") or (
        "mlflow" in view.roots and ("mlflow.spanType" in view.attributes or "mlflow.spanInputs" in view.attributes)
    )


def read(view: View, span: Span) -> None:
    """Read everything but what all dialects share."""
    if "gen_ai" in view.roots:  # MLflow can speak the conventions beside its own names
        otel.read(view, span)
    kind = name_of(unquoted(view.get("mlflow.spanType"))).upper()
    span.category = CATEGORIES.get(kind, span.category)
    span.operation = span.operation or OPERATION_OF_CATEGORY.get(span.category, "")
    given = unquoted(view.json("mlflow.spanInputs"))
    result = unquoted(view.json("mlflow.spanOutputs"))
    _read_usage_and_cost(view, span)
    if span.category == "tool" and view.raw.name.startswith("Images"):  # of OpenAI's client
        settle_drawn(span)
        result = result[-1] if isinstance(result, list) and result else result  # of a stream the last event has it all
    if span.category in ("llm", "embedding"):
        _read_call(view, span, given, result)
    elif span.category == "tool":
        span.tool_name = span.tool_name or view.raw.name
    elif span.category == "agent":
        span.agent_name = span.agent_name or view.raw.name
    elif span.category in ("retriever", "reranker") and isinstance(result, (list, dict)):
        span.documents = fold_documents(result)
    span.session_id = name_of(unquoted(view.get("mlflow.trace.session")))
    span.user_id = name_of(unquoted(view.get("mlflow.trace.user")))
    _read_ttft(view, span)
    if span.category != "embedding":  # what is left of that are vectors
        fill_input_output(span, _only_value(given) if span.category != "tool" else given, result)


def _read_usage_and_cost(view: View, span: Span) -> None:
    counts = view.json("mlflow.chat.tokenUsage")
    if isinstance(counts, dict):
        span.usage = read_usage(counts, USAGE)
    cost = view.json("mlflow.llm.cost")
    total = number_of(cost.get("total_cost")) if isinstance(cost, dict) else None
    if total is not None and total >= 0:
        span.cost.reported_usd = Decimal(str(total))


def _read_call(view: View, span: Span, given: Any, result: Any) -> None:
    """Read a provider's request and answer."""
    tools = view.json("mlflow.chat.tools")
    if tools is not None:
        span.tool_definitions = fold_tool_definitions(tools)
    if isinstance(given, dict):
        if span.category == "embedding":
            span.input_messages = embedded_texts(given.get("input"))
            given = {key: value for key, value in given.items() if key != "input"}
        read_request(span, given)
    named = name_of(unquoted(view.get("mlflow.llm.model")))
    if isinstance(result, dict):
        if span.category == "embedding":
            result = {key: value for key, value in result.items() if key in ("model", "usage")}
        read_answer(span, result)
        span.response_model = span.response_model or named
    span.request_model = span.request_model or named or name_of(unquoted(view.get("model")))
    span.provider = span.provider or fold_provider(name_of(unquoted(view.get("mlflow.llm.provider"))))
    if not span.provider:
        form = fold_provider(name_of(unquoted(view.get("mlflow.message.format"))))
        span.provider = form if form in WELL_KNOWN_PROVIDERS else ""


def _only_value(given: Any) -> Any:
    """Return the text a traced function was called with, where that is all it was called with."""
    if isinstance(given, dict) and len(given) == 1 and isinstance(inner := next(iter(given.values())), str):
        return inner
    return given


def _read_ttft(view: View, span: Span) -> None:
    if span.ttft_ns is None and view.raw.events:
        first = view.events(FIRST_CHUNK)
        if first and first[0].time_ns >= view.raw.start_ns:
            span.ttft_ns, span.ttft_source = first[0].time_ns - view.raw.start_ns, "event"


DIALECT = Dialect("mlflow", matches, read)
