"""The fields of the filter language: one table for parsing, SQL, facets, grouping and help."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from spanhouse_server.model.raw import KINDS, STATUS_CODES
from spanhouse_server.model.span import CATEGORIES

TEXT_OPERATORS = (":", "!=", "~")
NUMBER_OPERATORS = (":", "!=", ">", ">=", "<", "<=")
_OPERATORS = {
    "text": TEXT_OPERATORS,
    "number": NUMBER_OPERATORS,
    "duration": NUMBER_OPERATORS,
    "money": NUMBER_OPERATORS,
    "any": (*NUMBER_OPERATORS, "~"),
    "score": NUMBER_OPERATORS,
    "flag": (":", "!="),
    "search": (":", "!=", "~"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``trace`` and ``span`` are SQL over ``traces`` and ``span_index``.

    ``None`` means that the table cannot tell: then the other one is asked. ``trace_many`` and
    ``span_many`` mark expressions that are arrays. A ``keyed`` field is written ``name.<key>``.
    ``payload`` is SQL over the wide ``spans`` table, for what no narrow table holds.
    """

    name: str
    type: str
    help: str
    trace: str | None = None
    span: str | None = None
    trace_many: bool = False
    span_many: bool = False
    values: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    keyed: bool = False
    payload: str | None = None

    @property
    def operators(self) -> tuple[str, ...]:
        """Return the operators that this field takes."""
        return _OPERATORS[self.type]

    @property
    def groups(self) -> bool:
        """Tell whether figures can be grouped and facets counted by this field."""
        return self.span is not None and self.type in ("text", "any")


def _text(name: str, help_: str, trace: str | None, span: str | None, *aliases: str, **more: Any) -> Field:
    return Field(name, "text", help_, trace, span, aliases=aliases, **more)


def _many(name: str, help_: str, trace: str, span: str, *aliases: str, **more: Any) -> Field:
    return Field(name, "text", help_, trace, span, trace_many=True, aliases=aliases, **more)


_STATUS_OF_TRACE = "if(error_count > 0, 'error', toString(status_code))"
_TOKENS = "if(isNull(input_tokens) AND isNull(output_tokens), NULL, ifNull(input_tokens, 0) + ifNull(output_tokens, 0))"
#: Time spent writing the output: all of it but the wait for the first token.
TOKENS_PER_S = (
    "if(output_tokens > 0 AND duration_ns > ifNull(ttft_ns, 0),"
    " output_tokens / ((duration_ns - ifNull(ttft_ns, 0)) / 1e9), NULL)"
)

FIELDS = (
    _many("model", "Model that served, else the one asked for.", "models", "model"),
    _many("provider", "Provider, e.g. openai, anthropic, aws.bedrock.", "providers", "provider"),
    _text("request_model", "Model that was asked for.", None, "request_model"),
    _text("response_model", "Model that served.", None, "response_model"),
    _text("status", "error: some span failed.", _STATUS_OF_TRACE, "status_code", "status_code", values=STATUS_CODES),
    _many("error", "Error type, e.g. TimeoutError.", "error_types", "error_type", "error_type"),
    _text("name", "Name of the trace (of its root), or of the span in a list of spans.", "name", "name"),
    _text("span_name", "Name of any span.", None, "name"),
    _many("operation", "Operation, e.g. chat, execute_tool.", "operations", "operation"),
    _many("category", "What a span does.", "categories", "category", values=CATEGORIES),
    _text("kind", "OpenTelemetry span kind.", None, "kind", values=KINDS),
    _text("session", "Session (conversation) id.", "session_id", "session_id", "session_id"),
    _text("user", "User id.", "user_id", "user_id", "user_id"),
    _text("tag", "Tag.", "tags", "tags", "tags", trace_many=True, span_many=True),
    _text("environment", "Deployment environment.", "environment", "environment", "env"),
    _text("release", "Release of the application.", "release", "release"),
    _many("service", "Service name.", "services", "service_name", "service_name"),
    _text("host", "Host name.", None, "host_name", "host_name"),
    _text("instance", "Service instance id.", None, "service_instance_id", "service_instance_id"),
    _many("tool", "Tool name.", "tool_names", "tool_name", "tool_name"),
    _many("agent", "Agent name.", "agent_names", "agent_name", "agent_name"),
    _many("prompt", "Prompt name.", "prompt_names", "prompt_name", "prompt_name"),
    _text("prompt_version", "Prompt version.", None, "prompt_version"),
    _many("dialect", "Conventions the span was emitted in.", "dialects", "dialect"),
    _text("finish_reason", "Why the model stopped, e.g. length.", None, "finish_reasons", span_many=True),
    _text("trace", "Trace id, 32 hex digits.", "trace_id", "trace_id", "trace_id"),
    _text("span", "Span id, 16 hex digits.", None, "span_id", "span_id"),
    _text("parent", "Span id of the parent.", None, "parent_span_id", "parent_span_id"),
    _text("cost_status", "How the cost is known.", "cost_status", "cost_status",
          values=("priced", "partial", "unpriced", "reported")),
    _text("counted", "Whether the span's own usage and cost count in sums.", None, "toString(counted)",
          values=("true", "false")),
    _text("counted_reason", "Why they do or do not, e.g. model_call, wraps_call.", None, "counted_reason"),
    Field("duration", "duration", "Duration; a bare number is milliseconds.", "duration_ns", "duration_ns",
          aliases=("duration_ms",)),
    Field("ttft", "duration", "Time to first token; a bare number is milliseconds.", "ttft_ns", "ttft_ns",
          aliases=("ttft_ms",)),
    Field("cost", "money", "Cost in US dollars.", "cost_usd", "cost_usd", aliases=("cost_usd",)),
    Field("tokens", "number", "Input and output tokens together.", _TOKENS, _TOKENS),
    Field("input_tokens", "number", "Input tokens, cached ones included.", "input_tokens", "input_tokens"),
    Field("output_tokens", "number", "Output tokens, reasoning included.", "output_tokens", "output_tokens"),
    Field("cache_read_tokens", "number", "Input tokens read from a cache.", "cache_read_tokens", "cache_read_tokens",
          aliases=("cached_tokens",)),
    Field("reasoning_tokens", "number", "Output tokens spent on reasoning.", "reasoning_tokens", "reasoning_tokens"),
    Field("tokens_per_s", "number", "Output tokens per second after the first.", None, TOKENS_PER_S,
          aliases=("output_tokens_per_s",)),
    Field("spans", "number", "Number of spans in the trace.", "span_count", None, aliases=("span_count",)),
    Field("errors", "number", "Number of failed spans in the trace.", "error_count", None, aliases=("error_count",)),
    Field("llm_calls", "number", "Number of model calls in the trace.", "llm_count", None, aliases=("llm_count",)),
    Field("score", "score", "A score by its name, e.g. score.faithfulness<0.5 or score.verdict:good.", keyed=True),
    Field("metadata", "any", "Metadata by its key.", "metadata[{key}]", "metadata[{key}]", keyed=True),
    Field("attribute", "any", "A raw span attribute by its key, e.g. attribute.gen_ai.system.", keyed=True,
          payload="attributes", aliases=("attributes", "attr")),
    Field("resource", "any", "A resource attribute by its key.", keyed=True, payload="resource"),
    Field("has", "flag", "Whether something is there at all."),
    Field("text", "search", 'Words or a "phrase" in inputs and outputs; the same as a bare word.'),
)  # fmt: skip

#: What ``has:`` can ask: SQL over ``traces`` and over ``span_index``.
FLAGS = {
    "error": ("error_count > 0", "status_code = 'error'"),
    "cost": ("isNotNull(cost_usd)", "isNotNull(cost_usd)"),
    "tokens": (f"isNotNull({_TOKENS})", f"isNotNull({_TOKENS})"),
    "ttft": ("isNotNull(ttft_ns)", "isNotNull(ttft_ns)"),
    "model": ("notEmpty(models)", "model != ''"),
    "llm": ("llm_count > 0", "category = 'llm'"),
    "tool": ("notEmpty(tool_names)", "tool_name != ''"),
    "agent": ("notEmpty(agent_names)", "agent_name != ''"),
    "prompt": ("notEmpty(prompt_names)", "prompt_name != ''"),
    "session": ("session_id != ''", "session_id != ''"),
    "user": ("user_id != ''", "user_id != ''"),
    "tag": ("notEmpty(tags)", "notEmpty(tags)"),
    "metadata": ("notEmpty(mapKeys(metadata))", "notEmpty(mapKeys(metadata))"),
    "input": ("input_preview != ''", "input_preview != ''"),
    "output": ("output_preview != ''", "output_preview != ''"),
    "root": ("root_span_id != ''", "is_root"),
    "score": ("", ""),
}

_BY_NAME = {name: field for field in FIELDS for name in (field.name, *field.aliases)}


def find_field(name: str) -> Field | None:
    """Return the field with this name or alias, in any case."""
    return _BY_NAME.get(name.lower())


def similar_field(name: str) -> str:
    """Return the field whose name is nearest to a misspelt one, or an empty string."""
    near = difflib.get_close_matches(name.lower(), list(_BY_NAME), n=1, cutoff=0.6)
    return near[0] if near else ""


def describe_fields() -> list[dict[str, Any]]:
    """Return the table for completion and help."""
    return [
        {
            "name": f"{field.name}." if field.keyed else field.name,
            "type": field.type,
            "help": field.help,
            "operators": list(field.operators),
            "values": list(FLAGS) if field.type == "flag" else list(field.values),
            "aliases": list(field.aliases),
            "facet": field.groups,
            "group": field.groups,
        }
        for field in FIELDS
    ]
