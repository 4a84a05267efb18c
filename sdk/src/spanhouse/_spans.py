"""Spans made by hand: ``with spanhouse.span(…)`` and ``with spanhouse.llm_call(…)``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from opentelemetry import trace

from spanhouse import _ambient, _core
from spanhouse import _attributes as a
from spanhouse._calls import llm_output
from spanhouse._documents import to_documents
from spanhouse._log import never_raises, warn_rarely
from spanhouse._messages import parts, to_messages
from spanhouse._responses import usage_attributes
from spanhouse._serialize import safe, to_json, to_text, well_formed
from spanhouse._state import STATE

_NS_PER_S = 1_000_000_000


class Span:
    """A span that is current inside its ``with`` block. Nothing here raises, whatever it is given.

    ``start_time_ns`` and ``end_time_ns`` (nanoseconds since 1970) record work of another time, for
    instance from a log; without them the block is measured.
    """

    def __init__(
        self, kind: _core.Kind, attributes: Mapping[str, Any] | None = None, start_time_ns: int | None = None
    ) -> None:
        self._kind = kind
        self._attributes = _given(attributes)
        self._start_time_ns = start_time_ns
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Any = None
        self.end_time_ns: int | None = None

    def __enter__(self) -> Span:
        if not STATE.active:
            return self
        context = _ambient.current()
        sampled = _core.decide(context)
        if sampled:
            self._span = _core.start(self._kind, context, self._attributes, self._start_time_ns)
            self._token = _core.enter(context, self._span)
        elif sampled is False:
            self._token = _ambient.attach(_core.not_sampled_context(context))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._token is None:
            return
        _ambient.detach(self._token)
        self._token = None
        if error is None:
            _core.finish(self._span, None, self.end_time_ns)
        else:
            _core.fail(self._span, error, None, self.end_time_ns)

    @property
    def trace_id(self) -> str:
        """Return the trace id in hex, an empty string when nothing is recorded."""
        context = self._span.get_span_context()
        return f"{context.trace_id:032x}" if context.is_valid else ""

    @property
    def span_id(self) -> str:
        """Return the span id in hex, an empty string when nothing is recorded."""
        context = self._span.get_span_context()
        return f"{context.span_id:016x}" if context.is_valid else ""

    @property
    def is_recording(self) -> bool:
        """Tell whether what is set here goes anywhere."""
        return self._span.is_recording()

    @never_raises
    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute: a text, number, boolean or list of these; anything else becomes JSON."""
        self._set(_given({key: value}))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        self._set(_given(attributes))

    @never_raises
    def set_input(self, value: Any) -> None:
        """Record what went in; for tools these are the arguments, for retrievers a text is the query."""
        if not self._wants_content():
            return
        found = {self._kind.input_key: to_text(value)}
        if self._kind.kind == "retriever" and isinstance(value, str):
            found[a.QUERY_TEXT] = to_text(value)
        self._set(found)

    @never_raises
    def set_output(self, value: Any) -> None:
        """Record what came out; for retrievers a list of documents is shown as such."""
        if not self._wants_content():
            return
        documents = to_documents(value) if self._kind.kind == "retriever" else None
        self._set(
            {a.DOCUMENTS: to_json(documents)} if documents is not None else {self._kind.output_key: to_text(value)}
        )

    @never_raises
    def set_error(self, error: BaseException | str) -> None:
        """Mark the span as failed although its block goes on."""
        if not self._span.is_recording():
            return
        if isinstance(error, BaseException):
            _core.mark_failed(self._span, error, self.end_time_ns)
        else:
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, safe(str, error)))

    def _wants_content(self) -> bool:
        return STATE.capture and self._span.is_recording()

    def _set(self, attributes: Mapping[str, Any]) -> None:
        try:
            self._span.set_attributes(attributes)
        except Exception as error:
            warn_rarely("set", "attributes could not be set: %s: %s", type(error).__name__, error)


class LlmCall(Span):
    """A model call made by hand, with OpenTelemetry's GenAI attributes."""

    def __enter__(self) -> LlmCall:
        super().__enter__()
        self._entered = time.perf_counter()
        self._first_token_s: float | None = None
        return self

    @never_raises
    def set_input(self, value: Any) -> None:
        """Record the messages sent: a text, or messages in OpenAI's, Anthropic's or OTel's form."""
        if self._wants_content():
            messages = to_messages(value)
            self._set({a.INPUT_MESSAGES: to_json(messages)} if messages else {a.INPUT: to_text(value)})

    def set_output(self, value: Any) -> None:
        """Record the answer: a text, a message, or a client library's response with model and usage."""
        if not self._span.is_recording():
            return
        try:
            messages = to_messages(value, "assistant") if STATE.capture else None
            self._set({a.OUTPUT_MESSAGES: to_json(messages)} if messages else llm_output(value, STATE.capture))
        except Exception as error:
            warn_rarely("output", "an answer could not be recorded: %s", type(error).__name__)

    @never_raises
    def set_usage(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """Record token counts; input includes cached tokens and output includes reasoning."""
        self._set(
            usage_attributes(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens)
        )

    @never_raises
    def set_response(
        self, model: str | None = None, response_id: str | None = None, finish_reason: str | None = None
    ) -> None:
        """Record what the provider said about the answer."""
        found: dict[str, Any] = {a.RESPONSE_MODEL: model, a.RESPONSE_ID: response_id}
        if finish_reason is not None:
            found[a.FINISH_REASONS] = [safe(str, finish_reason)]
        self._set(_given({key: value for key, value in found.items() if value is not None}))

    @never_raises
    def mark_first_token(self, time_ns: int | None = None) -> None:
        """Say that the first token of a stream is here; later calls change nothing.

        ``time_ns`` (nanoseconds since 1970) goes with ``start_time_ns`` of the call.
        """
        if self._first_token_s is not None or self._token is None:
            return
        if time_ns is not None and self._start_time_ns is not None:
            self._first_token_s = (time_ns - self._start_time_ns) / _NS_PER_S
        else:
            self._first_token_s = time.perf_counter() - self._entered
        self._set({a.TIME_TO_FIRST_CHUNK_S: self._first_token_s, a.REQUEST_STREAM: True})


def _attribute_value(value: Any) -> Any:
    try:
        if isinstance(value, str):
            return well_formed(str.__str__(value))
        if isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, (list, tuple)) and value and all(type(item) is type(value[0]) for item in value):
            plain = isinstance(value[0], (str, bool, int, float))
            return [_attribute_value(item) for item in value] if plain else to_json(value)
    except Exception:
        return f"<unserialisable {type(value).__name__}>"
    return to_json(value)


def _given(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return attributes as OpenTelemetry takes them; none where they cannot be read."""
    try:
        return {safe(str, key): _attribute_value(value) for key, value in attributes.items()} if attributes else {}
    except Exception as error:
        warn_rarely("attributes", "attributes could not be read: %s", type(error).__name__)
        return {}


def span(
    name: str,
    kind: str = "span",
    *,
    input: Any = None,  # noqa: A002 - the word users look for
    attributes: Mapping[str, Any] | None = None,
    start_time_ns: int | None = None,
) -> Span:
    """Return a span for a ``with`` block; ``kind`` is one of those of the decorators, or ``embedding``,
    ``reranker``, ``guardrail``, ``evaluator`` or plain ``span``.
    """
    try:
        described = _core.describe(kind, safe(str, name))
        made = Span(described, attributes, start_time_ns)
        if input is not None and STATE.capture:
            made._attributes[described.input_key] = to_text(input)
            if described.kind == "retriever" and isinstance(input, str):
                made._attributes[a.QUERY_TEXT] = to_text(input)
    except Exception as error:
        warn_rarely("span", "a span could not be described: %s", type(error).__name__)
        return Span(_core.describe("span", safe(str, name)))
    return made


def llm_call(
    model: str,
    provider: str | None = None,
    messages: Any = None,
    *,
    operation: str = "chat",
    system: Any = None,
    tools: Any = None,
    parameters: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    start_time_ns: int | None = None,
) -> LlmCall:
    """Return the span of a model call for a ``with`` block.

    ``provider``: OpenTelemetry's name, such as ``openai`` or ``anthropic``. ``parameters``: temperature
    and the like. ``operation``: ``chat``, ``embeddings``, ``text_completion`` and so on.
    """
    name, doing = safe(str, model), safe(str, operation)
    found: dict[str, Any] = {a.REQUEST_MODEL: name}
    try:
        if provider:
            found[a.PROVIDER] = safe(str, provider)
        found.update((a.REQUEST_PREFIX + key, value) for key, value in _given(parameters).items())
        if STATE.capture:
            found.update(_call_content(messages, system, tools))
    except Exception as error:
        warn_rarely("llm_call", "what a model call was given could not be recorded: %s", type(error).__name__)
    found.update(_given(attributes))
    kind = "embedding" if doing == "embeddings" else "llm"
    described = _core.describe(kind, name, {a.OPERATION: doing})
    described = _core.Kind(kind, f"{doing} {name}", described.span_kind, described.static)
    return LlmCall(described, found, start_time_ns)


def _call_content(messages: Any, system: Any, tools: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    as_messages = to_messages(messages)
    if as_messages:
        found[a.INPUT_MESSAGES] = to_json(as_messages)
    if system is not None:
        found[a.SYSTEM_INSTRUCTIONS] = to_json(parts(system))
    if tools:
        found[a.TOOL_DEFINITIONS] = to_json(tools)
    return found
