"""What the relay hands to the reading half of the proxy, and what it gets back.

One call is read by one ``CallReader`` (``reader.py``), fed with copies of what passes the relay:

    reader = CallReader(start, limits)
    reader.request_chunk(data) …; reader.request_end()
    reader.response_start(status, headers, at_ns)
    reader.response_chunk(data, at_ns) …          # the bytes as the upstream sent them
    reader.websocket_message(direction, data, at_ns) …   # instead, once a connection was upgraded
    turns = reader.take_turns()                   # now and then: a connection may stay open for hours
    body = trace_request(turn_spans(start, turns, limits), resource_attributes)
    record = reader.end(CallEnd(...))
    body = trace_request(call_spans(record), resource_attributes)

Nothing here waits, reads a clock or raises: all times come from the relay, as integer nanoseconds
since 1970, and what cannot be read is left unread. Any of these calls may be left out, so that a
replayed or half-recorded call is read as far as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Headers = Sequence[tuple[str, str]]
Outcome = Literal["complete", "client_disconnected", "upstream_error", "timeout", "refused"]
Direction = Literal["client", "server"]

#: A message and its parts are those of OpenTelemetry's GenAI conventions, as JSON-ready values.
Message = dict[str, Any]
Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one reader keeps in memory and on what one span carries.

    ``buffer_bytes``: a JSON text (a body, an event, a line) up to this size is parsed as it came; a
    longer one is squeezed while it arrives (long strings cut, vectors dropped) to at most this size.
    ``inflated_bytes``: reading of a compressed body stops here. ``text_characters``: one text.
    ``attribute_bytes``: one content attribute without its media, ``media_bytes``: these. ``messages``: messages,
    parts, tools or documents in one list. ``turns``, ``turns_bytes``: finished answers of a WebSocket kept until they are taken.
    """

    buffer_bytes: int = 4 * 1024 * 1024
    inflated_bytes: int = 256 * 1024 * 1024
    text_characters: int = 256 * 1024
    attribute_bytes: int = 1024 * 1024
    media_bytes: int = 4 * 1024 * 1024
    messages: int = 2_000
    turns: int = 256
    turns_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CallContext:
    """What the caller said about a call by our headers (or their aliases), strictly read.

    ``omit_request`` and ``omit_response`` leave content out; model, parameters and usage stay.
    """

    session_id: str = ""
    user_id: str = ""
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    prompt_name: str = ""
    prompt_version: str = ""
    session_name: str = ""
    session_path: str = ""
    environment: str = ""
    omit_request: bool = False
    omit_response: bool = False


@dataclass(frozen=True, slots=True)
class CallStart:
    """A call as it began.

    ``call_id`` is unique and makes the span's identity: reading the same call twice gives the same
    span. ``provider`` is the upstream's configured name, ``upstream_url`` the whole URL asked,
    ``path`` and ``query`` those below the upstream's name (``/v1/chat/completions``).
    ``request_headers`` come without credentials; ``traceparent`` is the incoming one or empty.
    """

    call_id: str
    provider: str
    upstream_url: str
    method: str
    path: str
    query: str
    request_headers: Headers
    started_ns: int
    traceparent: str = ""
    context: CallContext = field(default_factory=CallContext)


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call ended, as the relay saw it.

    ``overhead_ns`` is the time the proxy itself added. ``error_type`` and ``error_message`` are the
    relay's own words where no upstream answered (``timeout``, ``ConnectionResetError`` …).
    ``cache_hit`` is ``None`` when no cache was asked; ``fallback_index`` counts from 0.
    """

    outcome: Outcome
    at_ns: int
    error_type: str = ""
    error_message: str = ""
    overhead_ns: int | None = None
    retry_count: int = 0
    cache_hit: bool | None = None
    fallback_index: int | None = None


@dataclass(slots=True)
class Usage:
    """Tokens as served, folded to OpenTelemetry's inclusive totals; ``None``: not served.

    Cache reads and writes are part of ``input_tokens``, reasoning of ``output_tokens``. ``served``
    is the provider's own object (the last one of a stream), ``cost_usd`` what it said it charges.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    cost_usd: Decimal | None = None
    served: dict[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Tell whether any tokens were served."""
        return self.input_tokens is not None or self.output_tokens is not None


@dataclass(slots=True)
class Reading:
    """What one model call said, in the vocabulary of the conventions.

    ``kind`` is the server's category (``llm embedding reranker guardrail``), empty for calls that are
    not read. ``parameters`` and ``attributes`` are span attributes by their full names.
    ``first_token_ns`` and ``last_token_ns`` are set for streams only.
    """

    kind: str = ""
    operation: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    streaming: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    system_instructions: list[Part] = field(default_factory=list)
    input_messages: list[Message] = field(default_factory=list)
    output_messages: list[Message] = field(default_factory=list)
    tool_definitions: list[Any] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    error_type: str = ""
    error_message: str = ""
    session_id: str = ""
    user_id: str = ""


@dataclass(slots=True)
class Turn:
    """One answer over a WebSocket. ``number`` counts from 0 in its connection."""

    number: int
    started_ns: int
    ended_ns: int
    reading: Reading
    complete: bool = True


@dataclass(slots=True)
class CallRecord:
    """One call, read. Sizes are bytes on the wire, before inflation.

    ``truncated`` names what was cut (``request``, ``response``); ``faults`` counts what could not be
    read, by kind (``json``, ``encoding``, ``frame`` …). ``dropped_turns`` are answers of a WebSocket
    that were neither taken nor kept, ``turns_told`` those that were taken before the end.
    """

    start: CallStart
    end: CallEnd
    reading: Reading
    limits: Limits
    api: str = ""
    status: int | None = None
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    request_bytes: int = 0
    response_bytes: int = 0
    first_byte_ns: int | None = None
    websocket: bool = False
    messages_in: int = 0
    messages_out: int = 0
    turns: list[Turn] = field(default_factory=list)
    turns_told: int = 0
    dropped_turns: int = 0
    truncated: set[str] = field(default_factory=set)
    faults: dict[str, int] = field(default_factory=dict)
