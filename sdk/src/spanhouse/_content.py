"""Tells content from the rest, in every dialect, and strips or masks it before it leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from spanhouse import _attributes as a
from spanhouse._log import warn_rarely
from spanhouse._serialize import to_json

Mask = Callable[[str, Any], Any]

MASK_FAILED = "[mask failed]"
_LONG_TEXT = 256

_CONTENT_NAMES = frozenset(
    {
        a.INPUT, a.OUTPUT, a.INPUT_MESSAGES, a.OUTPUT_MESSAGES, a.SYSTEM_INSTRUCTIONS, a.TOOL_DEFINITIONS,
        a.TOOL_ARGUMENTS, a.TOOL_RESULT, a.QUERY_TEXT, a.DOCUMENTS,
        "gen_ai.prompt", "gen_ai.completion", "gen_ai.tool.args", "gen_ai.tool.input", "gen_ai.tool.output",
        "gen_ai.retrieval.query", "gen_ai.evaluation.explanation", "tool_arguments", "tool_response",
        "input.value", "output.value", "llm.prompts", "llm.choices", "reranker.query", "tool.parameters",
        "all_messages_events", "events", "final_result", "request_data", "response_data",
        "traceloop.entity.input", "traceloop.entity.output", "mlflow.spanInputs", "mlflow.spanOutputs",
        "gcp.vertex.agent.llm_request", "gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response", "gcp.vertex.agent.data",
        "db.query.result.document", "db.query.result.metadata", "body",
    }
)  # fmt: skip
_CONTENT_PREFIXES = (
    "gen_ai.prompt.", "gen_ai.completion.", "llm.input_messages.", "llm.output_messages.", "llm.prompts.",
    "llm.choices.", "llm.prompt_template.", "llm.tools.", "llm.function_call", "llm.request.functions.",
    "embedding.embeddings.", "retrieval.documents.", "reranker.input_documents.", "reranker.output_documents.",
    "ai.prompt", "ai.response.text", "ai.response.object", "ai.response.reasoning", "ai.response.files",
    "ai.response.toolCalls", "ai.result.", "ai.value", "ai.embedding", "ai.toolCall.args", "ai.toolCall.result",
    "ai.documents", "ai.ranking", "langfuse.observation.input", "langfuse.observation.output",
    "langfuse.trace.input", "langfuse.trace.output", "haystack.component.input", "haystack.component.output",
    "pydantic_ai.all_messages", "traceloop.prompt.template", "gen_ai.prompt.variable.",
)  # fmt: skip
_NOT_CONTENT = frozenset({a.PROMPT_NAME, a.PROMPT_VERSION})
_MASKED_BESIDES = ("exception.message", "exception.stacktrace", a.METADATA_PREFIX)
#: Facts that no mask needs to see although they may be long or look like JSON.
_NEVER_MASKED = re.compile(
    r"^(gen_ai\.(operation|provider|system|request|response|usage|agent|workflow|conversation)\b|spanhouse\.(kind|tags)$"
    r"|openinference\.|llm\.(model_name|provider|system|token_count|cost|invocation_parameters|finish_reason)"
    r"|(service|telemetry|http|url|server|net|network|user_agent|code|thread|process|session|user|error)\.)"
)


@lru_cache(maxsize=8192)
def is_content(key: str) -> bool:
    """Tell whether an attribute holds what people or models wrote: prompts, answers, arguments, documents."""
    if key in _NOT_CONTENT:
        return False
    return key in _CONTENT_NAMES or key.startswith(_CONTENT_PREFIXES)


@lru_cache(maxsize=8192)
def _always_masked(key: str) -> bool:
    return is_content(key) or key.startswith(_MASKED_BESIDES)


def _masked_if_it_looks_like_content(key: str, value: Any) -> bool:
    """Catch content under names that no table knows: long texts, JSON, structures."""
    if _NEVER_MASKED.match(key):
        return False
    if isinstance(value, str):
        return len(value) > _LONG_TEXT or value[:1] in ("{", "[")
    return isinstance(value, (Mapping, bytes)) or (isinstance(value, (list, tuple)) and len(value) > 0)


class ContentPolicy:
    """What happens to content on its way out; shared by spans, log records and scores."""

    def __init__(self, capture: bool, mask: Mask | None) -> None:
        self.capture = capture
        self.mask = mask

    @property
    def passes_everything(self) -> bool:
        """Tell whether nothing needs to be looked at."""
        return self.capture and self.mask is None

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return attributes without, or with masked, content."""
        kept: dict[str, Any] = {}
        for key, value in attributes.items():
            if not self.capture and is_content(key):
                continue
            if self.mask and (_always_masked(key) or _masked_if_it_looks_like_content(key, value)):
                value = self.masked(key, value)
            kept[key] = value
        return kept

    def masked(self, key: str, value: Any) -> Any:
        """Return what the mask makes of a value, always something that can be sent."""
        if self.mask is None:
            return value
        try:
            masked = self.mask(key, value)
        except Exception as error:
            # Only the type: the message may quote the very text that was to be hidden.
            warn_rarely("mask", "the mask failed on %s with %s; the value was replaced", key, type(error).__name__)
            return MASK_FAILED
        return _sendable(masked)

    def span(self, span: ReadableSpan) -> ReadableSpan:
        """Return a copy of an ended span that may leave the process."""
        status = span.status
        if self.mask and status.description:
            status = Status(status.status_code, str(self.masked("exception.message", status.description)))
        return _SpanCopy(span, self.attributes(span.attributes or {}), tuple(map(self._event, span.events)), status)

    def _event(self, event: Event) -> Event:
        return Event(event.name, self.attributes(event.attributes or {}), event.timestamp)


class _SpanCopy(ReadableSpan):
    """An ended span with other attributes, events and status; it keeps the counts of what was dropped."""

    def __init__(
        self, span: ReadableSpan, attributes: dict[str, Any], events: tuple[Event, ...], status: Status
    ) -> None:
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=events,
            links=span.links,
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        return self._dropped[2]


def _sendable(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float, bytes)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, bool, int, float)) for item in value):
        return list(value)
    if isinstance(value, Mapping):
        try:
            return json.loads(to_json(value))
        except ValueError:
            return to_json(value)
    return to_json(value)
