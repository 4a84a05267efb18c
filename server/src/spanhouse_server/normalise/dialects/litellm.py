"""LiteLLM, library and gateway: its first OpenTelemetry callback (v1) and the one of today (v2).

v1 keeps the whole usage, tool calls and the provider's own request and answer outside the GenAI
attributes, partly as Python shows its objects; ``litellm_messages`` reads these. The span
``raw_gen_ai_request`` repeats the call above it, so it carries content only.
"""

from __future__ import annotations

from decimal import Decimal

from spanhouse_server.model.span import Span, Usage
from spanhouse_server.normalise.context import add_metadata
from spanhouse_server.normalise.dialects import otel
from spanhouse_server.normalise.dialects.base import Dialect, fill_input_output, flat_tools, one_message
from spanhouse_server.normalise.dialects.images_api import settle_drawn
from spanhouse_server.normalise.dialects.litellm_messages import add_calls, read_messages, read_raw
from spanhouse_server.normalise.dialects.provider_json import add_usage, read_provider_usage
from spanhouse_server.normalise.names import CATEGORY_OF_OPERATION, DRAWING, fold_provider
from spanhouse_server.normalise.values import number_of
from spanhouse_server.normalise.view import View, indexed

RAW = "raw_gen_ai_request"
#: LiteLLM's call types, without the ``a`` of the asynchronous ones.
OPERATIONS = {
    "anthropic_messages": "chat",
    "call_mcp_tool": "execute_tool",
    "completion": "chat",
    "embedding": "embeddings",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    **dict.fromkeys(DRAWING, "generate_content"),
    "rerank": "rerank",
    "responses": "chat",
    "search": "retrieval",
    "text_completion": "text_completion",
    "vector_store_search": "retrieval",
}
_MARKERS = frozenset({"hidden_params", "gen_ai.cost.total_cost", "metadata.user_api_key_hash"})
_USER_KEYS = (
    "llm.user",
    "litellm.end_user.id",
    "metadata.user_api_key_end_user_id",
    "litellm.metadata.user_api_key_end_user_id",
    "metadata.user_api_key_user_id",
    "litellm.metadata.user_api_key_user_id",
)
_USER_KEYS_TOLD = frozenset(_USER_KEYS)
#: Whose user LiteLLM says a call of its master key is.
_NOBODY = "default_user_id"
#: Counts of ``metadata.usage_object`` by the chat API's names.
_CHAT_COUNTS = ("prompt_tokens", "completion_tokens")
#: What the gateway itself puts among the caller's metadata: the request it received.
_GATEWAY_OWN = frozenset({"headers", "trace_id", "used_client_oauth_token"})
_METADATA = (
    "metadata.user_api_key_alias",
    "metadata.user_api_key_team_id",
    "metadata.user_api_key_team_alias",
    "metadata.user_api_key_org_id",
    "litellm.team.id",
    "litellm.team.alias",
    "litellm.model_group",
    "litellm.provider.model",
    "litellm.cache_hit",
    "litellm.call_id",
)
_METADATA_TOLD = frozenset(_METADATA)
#: The families of all keys read here.
_ROOTS = otel.ROOTS | {"exception", "hidden_params", "litellm", "metadata"}


def matches(view: View) -> bool:
    """Tell whether LiteLLM wrote the span."""
    if view.in_scope("litellm") or "litellm" in view.roots:
        return True
    return bool(view.among(_MARKERS))


def read(view: View, span: Span) -> None:
    """Read the GenAI attributes, then what LiteLLM adds."""
    if view.raw.name == RAW:
        read_raw(view, span)
        return
    otel.read(view, span)
    if view.roots.isdisjoint(_ROOTS) and not (view.logs or view.raw.events):  # what it does around its calls
        _read_kind(view, span)
        return
    read_messages(view, span)
    _read_kind(view, span)
    if not span.provider:
        span.provider = fold_provider(view.name("litellm.provider.model").partition("/")[0]) if _routed(view) else ""
    _read_model(view, span)
    _read_usage(view, span)
    if span.operation == "generate_content" and _call_type(view).removeprefix("a") in DRAWING:
        settle_drawn(span)
    _read_tools(view, span)
    if span.response_id and span.response_id == view.get("litellm.call_id"):
        span.response_id = ""  # its own id, where the provider gave none
    if view.among(_USER_KEYS_TOLD):
        span.user_id = next((name for name in view.names(_USER_KEYS) if name and name != _NOBODY), "")
    failure = view.text("exception")
    if failure.startswith("litellm."):  # of the span that a failed request ends with
        view.overlay({"error.type": failure.removeprefix("litellm.").partition(":")[0]})
    if view.among(_METADATA_TOLD):
        for key in _METADATA:
            value = view.get(key)
            if value not in (None, "", False):
                add_metadata(span, key.removeprefix("metadata."), value)
    for key in ("metadata.requester_metadata", "metadata.spend_logs_metadata"):
        given = view.python(key) if key in view.attributes else None
        if isinstance(given, dict):
            for name, value in given.items():
                if name not in _GATEWAY_OWN:
                    add_metadata(span, str(name), value)
    for key in view.family("litellm.metadata."):
        if view.get(key) == _NOBODY:
            continue
        add_metadata(span, key.removeprefix("litellm.metadata."), view.get(key))


def _read_model(view: View, span: Span) -> None:
    """Take the model that the provider was asked for, where the gateway goes by its own name of a group of models.

    Which model served the answer only the provider says.
    """
    group = view.name("litellm.model_group")
    asked = view.name("litellm.provider.model")
    if not group and asked and span.request_model and not f"/{asked}".endswith(f"/{span.request_model}"):  # v2
        provider, _, rest = asked.partition("/")
        if rest and fold_provider(provider) in (span.provider, fold_provider(view.name("gen_ai.system"))):
            asked = rest
        group, span.request_model = span.request_model, asked
        add_metadata(span, "litellm.model_group", group)
    if span.response_model == group and span.request_model:
        span.response_model = ""


def _routed(view: View) -> bool:
    """Tell whether the model is named with its provider before a slash."""
    return "/" in view.name("litellm.provider.model")


def _call_type(view: View) -> str:
    return view.name("litellm.call_type", "gen_ai.operation.name", "llm.request.type")


def _read_kind(view: View, span: Span) -> None:
    call_type = _call_type(view)
    operation = OPERATIONS.get(call_type) or (OPERATIONS.get(call_type[1:]) if call_type.startswith("a") else None)
    name = view.raw.name
    if "litellm.guardrail.name" in view.attributes or name.startswith(("execute_guardrail", "guardrail")):
        span.category, span.operation = "guardrail", ""
    elif view.raw.kind == "server" or name == "Received Proxy Server Request":
        span.category = "server"
    elif operation is not None:
        span.operation, span.category = operation, CATEGORY_OF_OPERATION[operation]
    elif call_type.startswith("litellm.") or not (call_type or span.usage.known):
        span.category = "other"


def _read_usage(view: View, span: Span) -> None:
    counts = view.python("metadata.usage_object") if "metadata.usage_object" in view.attributes else None
    if not (span.usage.input_tokens or span.usage.output_tokens):  # of images drawn from others: not told there
        span.usage = Usage()
    if isinstance(counts, dict):
        if counts.get("input_tokens"):  # as the images API has it, and beside it zeros in the names of the chat API
            counts = {key: value for key, value in counts.items() if key not in _CHAT_COUNTS}
        add_usage(span, read_provider_usage(counts))
    if span.category == "embedding":
        span.input_messages = one_message(span.input_messages)
        span.usage.output_tokens = span.usage.output_tokens or None
    failed = view.raw.status_code == "error" and not span.usage.input_tokens and not span.usage.output_tokens
    if failed:
        view.hide("litellm.cost.total", "gen_ai.cost.total_cost")
    if failed or view.get("litellm.cache_hit") in (True, "True", "true"):
        span.usage = Usage()  # nothing was served: no answer, or one from its own cache
    elif span.operation == "generate_content" and "hidden_params" in view.attributes:
        _read_hidden_cost(view, span)


def _read_hidden_cost(view: View, span: Span) -> None:
    """Read what an image cost, which v1 tells in no attribute of its own."""
    hidden = view.json("hidden_params")
    cost = number_of(hidden.get("response_cost")) if isinstance(hidden, dict) else None
    if cost is not None and cost > 0:
        span.cost.reported_usd = Decimal(str(cost))


def _read_tools(view: View, span: Span) -> None:
    if span.category != "tool" and not span.tool_definitions:
        span.tool_definitions = flat_tools(view)
    if not span.tool_definitions and "gen_ai.tool.0.name" in view.attributes:
        span.tool_definitions = flat_tools(view, indexed(view.groups("gen_ai").get("tool", {})))
    add_calls(view, span)
    if span.category == "guardrail":
        fill_input_output(span, None, view.json("litellm.guardrail.response"))


DIALECT = Dialect("litellm", matches, read)
