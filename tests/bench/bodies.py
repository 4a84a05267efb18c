"""Realistic OTLP bodies that cost next to nothing to send again with fresh identities.

A ``Template`` is one encoded export request: traces of an agent that thinks, retrieves, calls tools
and answers, in GenAI conventions and varied words. ``fresh`` patches new ids, times and a unique
word per trace into the encoded bytes, so the sender needs no protobuf while it measures.
"""

from __future__ import annotations

import json
import os
import random
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACES_PER_BODY = 10
SPANS_PER_TRACE = 10
SPANS_PER_BODY = TRACES_PER_BODY * SPANS_PER_TRACE
#: Characters of text per step; with them a span weighs about 1.6 kB.
_QUESTION, _ANSWER, _RESULT, _DOCUMENT = 260, 620, 420, 560

_MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("gcp.gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
    ("mistral_ai", "mistral-large-latest", "mistral-large-2411"),
)
_AGENTS = ("support_agent", "travel_planner", "research_assistant", "sql_helper")
_TOOLS = ("search_orders", "get_weather", "run_query", "send_email", "lookup_customer", "book_hotel")
_SERVICES = ("chat-api", "worker", "assistant-web")
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeio"]


class Words:
    """Text from a vocabulary with the usual few frequent and many rare words."""

    def __init__(self, seed: int, size: int = 6000) -> None:
        self._random = random.Random(seed)
        make = random.Random(4711)
        self._vocabulary = [
            "".join(make.choice(_SYLLABLES) for _ in range(make.choice((1, 2, 2, 3, 3, 4)))) for _ in range(size)
        ]
        self._weights = [1 / (rank + 3) for rank in range(size)]

    def text(self, characters: int) -> str:
        """Return about ``characters`` characters."""
        words = self._random.choices(self._vocabulary, self._weights, k=characters // 5)
        return " ".join(words)[:characters]


@dataclass(slots=True)
class Template:
    """An encoded body with the places where identities and times stand."""

    encoded: bytes
    id_places: list[tuple[int, list[int]]] = field(default_factory=list)
    time_places: list[tuple[int, int]] = field(default_factory=list)
    nonce_places: list[list[int]] = field(default_factory=list)
    trace_count: int = TRACES_PER_BODY
    span_count: int = SPANS_PER_BODY

    def fresh(self) -> tuple[bytes, list[str]]:
        """Return a body whose traces have never been sent, and their trace ids in hex."""
        body = bytearray(self.encoded)
        entropy = os.urandom(sum(length for length, _ in self.id_places))
        at = 0
        trace_ids: list[str] = []
        for length, places in self.id_places:
            fresh_id = entropy[at : at + length]
            at += length
            for place in places:
                body[place : place + length] = fresh_id
            if length == 16:
                trace_ids.append(fresh_id.hex())
        for places, trace_id in zip(self.nonce_places, trace_ids, strict=True):
            for place in places:
                body[place : place + 12] = trace_id[:12].encode()
        base_ns = time.time_ns() - 5_000_000_000
        for place, offset_ns in self.time_places:
            struct.pack_into("<Q", body, place, base_ns + offset_ns)
        return bytes(body), trace_ids


def templates(count: int = 48, seed: int = 1) -> list[Template]:
    """Return ``count`` bodies of 100 spans with different words, models, users and sessions."""
    return [_template(seed * 1000 + number) for number in range(count)]


def _template(seed: int) -> Template:
    rng = random.Random(seed)
    words = Words(seed)
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    resource = {
        "service.name": rng.choice(_SERVICES),
        "service.version": "1.4.2",
        "service.instance.id": f"pod-{rng.randrange(8)}",
        "host.name": f"node-{rng.randrange(4)}",
        "deployment.environment.name": rng.choice(("production", "staging")),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
    }
    group.resource.attributes.extend(_attributes(resource))
    scoped = group.scope_spans.add()
    scoped.scope.name, scoped.scope.version = "opentelemetry.instrumentation.openai_v2", "2.4b0"
    for _ in range(TRACES_PER_BODY):
        scoped.spans.extend(_trace(rng, words))
    return _located(message)


def _trace(rng: random.Random, words: Words) -> list[Span]:
    """Return an agent's run: three model calls, a retrieval with its embedding, four tool calls."""
    provider, model, version = rng.choice(_MODELS)
    agent = rng.choice(_AGENTS)
    trace_id, nonce = rng.randbytes(16), f"nonce{rng.randrange(10**7):07d}"
    question = f"{words.text(_QUESTION)} {nonce}"
    session = f"session-{rng.randrange(5000)}"
    context = {"session.id": session, "user.id": f"user-{rng.randrange(500)}", "gen_ai.conversation.id": session}
    spans: list[Span] = []

    def add(name: str, kind: int, parent: Span | None, begin_ms: int, length_ms: int, **attributes: object) -> Span:
        span = Span(
            trace_id=trace_id,
            span_id=rng.randbytes(8),
            parent_span_id=parent.span_id if parent is not None else b"",
            name=name,
            kind=kind,
            start_time_unix_nano=_PLACEHOLDER_NS + begin_ms * 1_000_000,
            end_time_unix_nano=_PLACEHOLDER_NS + (begin_ms + length_ms) * 1_000_000,
            attributes=_attributes({key.replace("__", "."): value for key, value in attributes.items()} | context),
        )
        if rng.random() < 0.02:
            span.status.code, span.status.message = 2, "upstream timed out"
            span.attributes.extend(_attributes({"error.type": "TimeoutError"}))
        spans.append(span)
        return span

    root = add(
        f"invoke_agent {agent}",
        1,
        None,
        0,
        4000,
        gen_ai__operation__name="invoke_agent",
        gen_ai__agent__name=agent,
        gen_ai__input__messages=_messages(("user", question)),
    )
    retrieval = add(
        "retrieval handbook",
        3,
        root,
        50,
        300,
        gen_ai__operation__name="retrieval",
        gen_ai__data_source__id="handbook",
        gen_ai__retrieval__query__text=question,
        gen_ai__retrieval__documents=json.dumps(
            [{"id": f"doc-{n}", "score": 0.9 - n / 10, "content": words.text(_DOCUMENT)} for n in range(3)]
        ),
    )
    add(
        "embeddings text-embedding-3-small",
        3,
        retrieval,
        60,
        100,
        gen_ai__operation__name="embeddings",
        gen_ai__provider__name="openai",
        gen_ai__request__model="text-embedding-3-small",
        gen_ai__usage__input_tokens=rng.randrange(40, 90),
    )
    history = [("system", words.text(_QUESTION)), ("user", question)]
    for step in range(3):
        answer = words.text(_ANSWER)
        add(
            f"chat {model}",
            3,
            root,
            400 + step * 1200,
            rng.randrange(300, 900),
            gen_ai__operation__name="chat",
            gen_ai__provider__name=provider,
            gen_ai__request__model=model,
            gen_ai__response__model=version,
            gen_ai__response__id=f"chatcmpl-{nonce}-{step}",
            gen_ai__request__temperature=0.2,
            gen_ai__request__max_tokens=1024,
            gen_ai__response__finish_reasons=["tool_calls" if step < 2 else "stop"],
            gen_ai__response__time_to_first_chunk=round(rng.uniform(0.1, 0.6), 4),
            gen_ai__usage__input_tokens=rng.randrange(300, 3000),
            gen_ai__usage__output_tokens=rng.randrange(20, 400),
            gen_ai__usage__cache_read__input_tokens=rng.randrange(0, 200),
            gen_ai__input__messages=_messages(*history),
            gen_ai__output__messages=_messages(("assistant", answer), finish_reason="stop"),
        )
        history.append(("assistant", answer))
        for number in range(2 if step < 2 else 0):
            tool = rng.choice(_TOOLS)
            result = words.text(_RESULT)
            add(
                f"execute_tool {tool}",
                1,
                root,
                1000 + step * 1200 + number * 100,
                rng.randrange(5, 90),
                gen_ai__operation__name="execute_tool",
                gen_ai__tool__name=tool,
                gen_ai__tool__call__id=f"call_{rng.randbytes(9).hex()}",
                gen_ai__tool__call__arguments=json.dumps({"query": words.text(60), "limit": rng.randrange(1, 50)}),
                gen_ai__tool__call__result=result,
            )
            history[-1] = ("assistant", answer + " " + result[:120])
    return spans


#: Stands where a start time goes; high bytes that occur nowhere else by chance.
_PLACEHOLDER_NS = 0x1357_9BDF_0000_0000


def _messages(*said: tuple[str, str], finish_reason: str = "") -> str:
    messages = []
    for role, content in said:
        message: dict[str, object] = {"role": role, "parts": [{"type": "text", "content": content}]}
        if finish_reason:
            message["finish_reason"] = finish_reason
        messages.append(message)
    return json.dumps(messages)


def _attributes(values: dict[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in values.items()]


def _any_value(value: object) -> AnyValue:
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any_value(each) for each in value]))
    return AnyValue(string_value=str(value))


def _located(message: ExportTraceServiceRequest) -> Template:
    """Encode the message and find in the bytes what every sending must change."""
    encoded = message.SerializeToString()
    spans = message.resource_spans[0].scope_spans[0].spans
    template = Template(encoded)
    trace_ids = list(dict.fromkeys(span.trace_id for span in spans))
    for identity in [*trace_ids, *(span.span_id for span in spans)]:
        template.id_places.append((len(identity), _places(encoded, identity)))
    times = {ns for span in spans for ns in (span.start_time_unix_nano, span.end_time_unix_nano)}
    for time_ns in times:
        places = _places(encoded, struct.pack("<Q", time_ns))
        template.time_places.extend((place, time_ns - _PLACEHOLDER_NS) for place in places)
    for trace_id in trace_ids:
        nonce = _nonce(next(span for span in spans if span.trace_id == trace_id))
        template.nonce_places.append(_places(encoded, nonce))
    template.span_count, template.trace_count = len(spans), len(trace_ids)
    return template


def _nonce(root: Span) -> bytes:
    text = next(each.value.string_value for each in root.attributes if each.key == "gen_ai.input.messages")
    return text[text.rindex("nonce") :][:12].encode()


def _places(encoded: bytes, wanted: bytes) -> list[int]:
    places: list[int] = []
    at = encoded.find(wanted)
    while at >= 0:
        places.append(at)
        at = encoded.find(wanted, at + 1)
    return places


def bytes_per_span(bodies: Sequence[Template]) -> float:
    """Return the mean encoded size of a span."""
    return sum(len(body.encoded) for body in bodies) / sum(body.span_count for body in bodies)
