"""Canonical spans and index rows for the store's tests."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Any

from spanhouse_server.model.facts import IndexRow, SpanFacts, TraceRow
from spanhouse_server.model.raw import RawEvent, RawLink, RawSpan, Scope
from spanhouse_server.model.span import Cost, Span, Usage

NS = 1_000_000_000
#: 2026-01-15T12:00:00Z, and the same day two months later: another partition.
T0 = 1_768_478_400 * NS
LATER = T0 + 60 * 86_400 * NS


def make_span(trace_id: str = "a" * 32, span_id: str = "b" * 16, **more: Any) -> Span:
    """Return a span with every field set; ``more`` overrides fields of ``RawSpan`` or ``Span``."""
    raw: dict[str, Any] = {
        "trace_id": trace_id, "span_id": span_id, "parent_span_id": "c" * 16, "name": "chat gpt-4o", "kind": "client",
        "start_ns": T0, "end_ns": T0 + 2 * NS, "status_code": "error", "status_message": "quota",
        "attributes": {"gen_ai.operation.name": "chat", "n": 2**62, "nested": {"a": [1, None, 1.5]}},
        "events": [RawEvent("exception", T0 + 1, {"exception.type": "RateLimit"})],
        "links": [RawLink("d" * 32, "e" * 16, "k=v", {"x": 1})],
        "resource": {"service.name": "svc", "host.name": "h"}, "scope": Scope("lib", "1.0", {"s": True}),
        "trace_state": "a=b", "dropped_attributes": 1, "dropped_events": 2, "dropped_links": 3, "flags": ["mended"],
    }  # fmt: skip
    canonical: dict[str, Any] = {
        "category": "llm", "operation": "chat", "provider": "openai", "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024", "response_id": "r1", "finish_reasons": ["stop"],
        "parameters": {"temperature": 0.5}, "system_instructions": [{"type": "text", "content": "be kind"}],
        "input_messages": [{"role": "user", "parts": [{"type": "text", "content": "héllo \"x\"\n"}]}],
        "output_messages": [{"role": "assistant", "parts": []}], "tool_definitions": [{"name": "t"}],
        "documents": [{"id": "1", "score": 0.5}], "tool_name": "t", "tool_call_id": "c1",
        "tool_arguments": {"q": "x"}, "tool_result": "done", "agent_name": "agent", "input_preview": "héllo",
        "output_preview": "hi", "text": "Refund the Order 4711 please", "error_type": "RateLimit",
        "usage": Usage(10, 20, 3, 4, 5, 6, 7, "inclusive"),
        "cost": Cost(Decimal("0.000001234567"), Decimal("0.000001"), Decimal("1E-7"), Decimal("3"), "priced", "why"),
        "ttft_ns": 5, "ttft_source": "event", "session_id": "s", "user_id": "u", "tags": ["a", "b"],
        "metadata": {"k": "v"}, "environment": "prod", "release": "1", "prompt_name": "p", "prompt_version": "2",
        "service_name": "svc", "host_name": "h", "service_instance_id": "i", "dialect": "otel", "mapper_version": 3,
        "truncated": True,
    }  # fmt: skip
    for name, value in more.items():
        (raw if name in raw else canonical)[name] = value
    return Span(raw=RawSpan(**raw), **canonical)


def index_row(project: str, facts: SpanFacts, version: int, **more: Any) -> IndexRow:
    """Return the index row of a span as settling would write it."""
    values = {field.name: getattr(facts, field.name) for field in fields(SpanFacts)}
    return IndexRow(**values | {"version": version, "project_id": project} | more)


def trace_row(project: str, trace_id: str, start_ns: int, version: int, **more: Any) -> TraceRow:
    """Return a trace row."""
    return TraceRow(project, start_ns, trace_id, version, version // NS, 0, **more)
