"""Spans put straight into a real columnar store, settled as the pipeline would."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from spanhouse_server.model.raw import RawEvent, RawLink, RawLog, RawMetricPoint, RawSpan, Scope
from spanhouse_server.model.span import Cost, Span, Usage
from spanhouse_server.normalise.settle import settle
from spanhouse_server.spool import SqliteSpool
from spanhouse_server.store import rows
from spanhouse_server.store.contract import ColumnarStore
from tests.templates import new_columnar

NS = 1_000_000_000
#: 2026-01-15T12:00:00Z
T0 = 1_768_478_400 * NS


@contextmanager
def columnar(folder: Path) -> Iterator[ColumnarStore]:
    """Give an embedded store with its tables, closed at the end."""
    store = new_columnar(folder)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def small_spool(folder: Path) -> Iterator[SqliteSpool]:
    """Give a spool of 1 MiB that does not wait for the disk, closed at the end."""
    spool = SqliteSpool(folder / "spool.db", max_bytes=1 << 20, max_age_s=60, min_free_bytes=0, fsync="off")
    try:
        yield spool
    finally:
        spool.close()


def hex_id(text: str, length: int = 32) -> str:
    """Return a stable id for a readable name."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:length]


def span(
    trace: str, name: str, *, start_s: float = 0.0, duration_s: float = 1.0, parent: str = "", **more: Any
) -> Span:
    """Return a canonical span; ``trace``, ``parent`` and ``id`` (default: name) are readable names.

    ``tokens`` is (input, output), ``cost`` dollars as text; further arguments are fields of
    ``Span``, or of ``RawSpan`` where that has them.
    """
    tokens, cost = more.pop("tokens", None), more.pop("cost", None)
    start_ns = T0 + round(start_s * NS)
    raw = RawSpan(
        trace_id=hex_id(trace),
        span_id=hex_id(trace + "/" + more.pop("id", name), 16),
        parent_span_id=hex_id(trace + "/" + parent, 16) if parent else "",
        name=name,
        kind=more.pop("kind", "internal"),
        start_ns=start_ns,
        end_ns=start_ns + round(duration_s * NS),
        status_code=more.pop("status_code", "unset"),
        status_message=more.pop("status_message", ""),
        attributes=more.pop("attributes", {}),
        events=more.pop("events", [RawEvent("started", start_ns, {"n": 1})]),
        links=more.pop("links", [RawLink(hex_id("linked"), hex_id("linked", 16))]),
        resource=more.pop("resource", {"service.name": more.get("service_name", "")}),
        scope=Scope("test", "1.0"),
    )
    canonical = Span(raw=raw, **more)
    if tokens:
        canonical.usage = Usage(*tokens, basis="inclusive")
    if cost:
        canonical.cost = Cost(total_usd=Decimal(cost), status="priced")
    return canonical


class Keeper:
    """Writes to a store what the pipeline would write."""

    def __init__(self, store: ColumnarStore) -> None:
        self.store = store
        self.version = T0

    def put(self, *spans: Span, project: str = "default") -> None:
        """Store spans and settle their traces from all that was given for them at once."""
        self.version += 1
        by_trace: dict[str, list[Span]] = {}
        for each in spans:
            by_trace.setdefault(each.raw.trace_id, []).append(each)
        self.store.insert("spans", rows.lines([rows.span_row(project, self.version, 0, each) for each in spans]))
        settled = [
            settle(project, [rows.facts_of(self.version, 0, each) for each in group], self.version)
            for group in by_trace.values()
        ]
        self.store.insert("span_index", rows.lines([row for one in settled for row in one.spans]))
        self.store.insert("traces", rows.lines([one.trace for one in settled]))

    def log(self, trace: str, span_name: str, body: Any, *, at_s: float = 0.0, project: str = "default") -> None:
        """Store a log record of a span."""
        record = RawLog(
            time_ns=T0 + round(at_s * NS),
            observed_ns=T0,
            severity_number=9,
            severity_text="INFO",
            event_name="",
            body=body,
            attributes={"a": 1},
            resource={"service.name": "svc"},
            scope=Scope("test"),
            trace_id=hex_id(trace),
            span_id=hex_id(trace + "/" + span_name, 16),
        )
        self.store.insert("logs", rows.lines([rows.log_row(project, T0, 0, record, False)]))

    def points(self, points: Sequence[RawMetricPoint], project: str = "default") -> None:
        """Store metric points."""
        self.store.insert("metric_points", rows.lines([rows.point_row(project, T0, 0, point) for point in points]))


def point(name: str, at_s: float, **more: Any) -> RawMetricPoint:
    """Return a metric point, a gauge unless ``type`` says otherwise."""
    given = {
        "description": "",
        "unit": "1",
        "type": "gauge",
        "temporality": "unspecified",
        "monotonic": False,
        "start_ns": T0,
        "attributes": {},
        "resource": {"service.name": "svc", "host.name": "h1"},
        "scope": Scope("test"),
    }
    return RawMetricPoint(**{**given, "name": name, "time_ns": T0 + round(at_s * NS), **more})


def chat_trace(
    name: str, *, start_s: float = 0.0, model: str = "gpt-4o", cost: str = "0.01", error: bool = False, **more: Any
) -> list[Span]:
    """Return a trace of an agent that calls a model and a tool."""
    context = {"session_id": more.pop("session", ""), "user_id": more.pop("user", ""), "tags": more.pop("tags", [])}
    text = more.pop("text", "hello world")
    service = more.pop("service", "shop")
    failed = {"status_code": "error", "error_type": "TimeoutError"} if error else {}
    return [
        span(name, name, id="root", start_s=start_s, duration_s=4, category="agent", operation="invoke_agent",
             agent_name="helper", service_name=service, input_preview=text[:200], metadata=more.pop("metadata", {}),
             environment="production", release="v1", **context),
        span(name, f"chat {model}", id="llm", parent="root", start_s=start_s + 1, duration_s=2, category="llm",
             kind="client", operation="chat", provider="openai", request_model=model, response_model=model,
             service_name=service, tokens=(100, 20), cost=cost, text=text, input_preview=text[:200],
             output_preview="done", ttft_ns=250_000_000, host_name="h1", dialect="otel_genai",
             input_messages=[{"role": "user", "parts": [{"type": "text", "content": text}]}],
             output_messages=[{"role": "assistant", "parts": [{"type": "text", "content": "done"}]}],
             attributes={"gen_ai.system": "openai", "n": 5, "flag": True}, finish_reasons=["stop"], **failed),
        span(name, "search", id="tool", parent="root", start_s=start_s + 3.1, duration_s=0.5, category="tool",
             operation="execute_tool", tool_name="search", service_name=service, tool_arguments={"q": "x"}, **more),
    ]  # fmt: skip
