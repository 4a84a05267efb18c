"""Rows as the columnar store takes them: newline-separated JSON objects by column name.

Runs in the worker process that decodes and normalises, so nothing here imports a database.
Every value is made to fit its column: one odd value from a sender must never make the store
refuse the batch it came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Context, Decimal
from hashlib import blake2b
from math import isfinite
from operator import itemgetter
from typing import Any

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.model.blob import Blob
from spanhouse_server.model.facts import SpanFacts
from spanhouse_server.model.feedback import Feedback
from spanhouse_server.model.raw import RawLog, RawMetricPoint, Scope
from spanhouse_server.model.span import Span
from spanhouse_server.store.jsontext import dump, dump_sorted, dump_text

_PICO_USD = Decimal("0.000000000001")
_MONEY_LIMIT = Decimal(1_000_000)
_WIDE = Context(prec=60)
_U64 = 2**64
_MAX_UINT32 = 2**32 - 1
_LARGEST_DOUBLE = 1.7976931348623157e308

Row = dict[str, Any]
#: The columns of ``spans`` in the order of ``span_values``.
SPAN_COLUMNS = (
    "project_id", "trace_id", "span_id", "version", "arrival_ns", "received_at", "retention_days",
    "parent_span_id", "name", "kind", "status_code", "status_message", "error_type", "start_ns", "end_ns",
    "category", "operation", "provider", "request_model", "response_model", "response_id", "finish_reasons",
    "parameters", "system_instructions", "input_messages", "output_messages", "tool_definitions", "documents",
    "tool_name", "tool_call_id", "tool_arguments", "tool_result", "agent_name",
    "input_preview", "output_preview", "search_text",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "cache_write_1h_tokens", "audio_cache_read_tokens",
    "image_input_tokens", "image_output_tokens", "tool_use_tokens", "web_search_requests", "service_tier",
    "usage_basis",
    "cost_usd", "cost_input_usd", "cost_output_usd", "cost_reported_usd", "cost_status", "cost_reason",
    "cost_source",
    "ttft_ns", "ttft_source",
    "session_id", "user_id", "tags", "metadata", "environment", "release", "prompt_name", "prompt_version",
    "service_name", "host_name", "service_instance_id",
    "dialect", "mapper_version", "truncated",
    "flags", "trace_state", "attributes", "resource", "scope", "events", "links", "dropped_attributes",
    "dropped_events", "dropped_links",
)  # fmt: skip
#: The facts are columns of the row, but for the last: the scope's name is part of a column there.
_FACTS = itemgetter(*(SPAN_COLUMNS.index(each.name) for each in fields(SpanFacts) if each.name != "scope_name"))


def span_values(project_id: str, version: int, retention_days: int, span: Span) -> list[Any]:
    """Return the row of ``spans`` for one canonical span received at ``version`` (ns), in the order of ``SPAN_COLUMNS``.

    JSON columns that hold an object or an array are given as such: the store keeps their text, and
    the large ones are not encoded twice. Columns for any JSON value hold its text. A list, since this runs
    for every span: making a dict of it took as long again.
    """
    raw, usage, cost = span.raw, span.usage, span.cost
    return [
        project_id,
        raw.trace_id,
        raw.span_id,
        version,
        version,
        version // NS_PER_S,
        retention_days,
        raw.parent_span_id,
        raw.name,
        raw.kind,
        raw.status_code,
        raw.status_message,
        span.error_type,
        raw.start_ns,
        raw.end_ns,
        span.category,
        span.operation,
        span.provider,
        span.request_model,
        span.response_model,
        span.response_id,
        span.finish_reasons,
        span.parameters,
        span.system_instructions,
        span.input_messages,
        span.output_messages,
        span.tool_definitions,
        span.documents,
        span.tool_name,
        span.tool_call_id,
        "" if span.tool_arguments is None else dump_text(span.tool_arguments),
        "" if span.tool_result is None else dump_text(span.tool_result),
        span.agent_name,
        span.input_preview,
        span.output_preview,
        span.text,
        _count(usage.input_tokens),
        _count(usage.output_tokens),
        _count(usage.cache_read_tokens),
        _count(usage.cache_write_tokens),
        _count(usage.reasoning_tokens),
        _count(usage.audio_input_tokens),
        _count(usage.audio_output_tokens),
        _count(usage.cache_write_1h_tokens),
        _count(usage.audio_cache_read_tokens),
        _count(usage.image_input_tokens),
        _count(usage.image_output_tokens),
        _count(usage.tool_use_tokens),
        _count(usage.web_search_requests),
        usage.service_tier,
        usage.basis,
        _money_text(cost.total_usd),
        _money_text(cost.input_usd),
        _money_text(cost.output_usd),
        _money_text(cost.reported_usd),
        cost.status,
        cost.reason,
        cost.source,
        span.ttft_ns,
        span.ttft_source,
        span.session_id,
        span.user_id,
        span.tags,
        span.metadata,
        span.environment,
        span.release,
        span.prompt_name,
        span.prompt_version,
        span.service_name,
        span.host_name,
        span.service_instance_id,
        span.dialect,
        span.mapper_version,
        span.truncated,
        raw.flags,
        raw.trace_state,
        raw.attributes,
        _shared_text(raw.resource),
        _shared_text(raw.scope),
        raw.events,
        raw.links,
        min(raw.dropped_attributes, _MAX_UINT32),
        min(raw.dropped_events, _MAX_UINT32),
        min(raw.dropped_links, _MAX_UINT32),
    ]


def span_row(project_id: str, version: int, retention_days: int, span: Span) -> Row:
    """Return the same row by column name."""
    return dict(zip(SPAN_COLUMNS, span_values(project_id, version, retention_days, span), strict=True))


def facts_in(values: Sequence[Any], span: Span) -> SpanFacts:
    """Return the facts in ``span_values`` of a span just normalised, equal to those read back once it is stored."""
    facts = SpanFacts(*(*_FACTS(values), span.raw.scope.name))
    # The row has money as text.
    cost = span.cost
    facts.cost_usd = money(cost.total_usd)
    facts.cost_input_usd = money(cost.input_usd)
    facts.cost_output_usd = money(cost.output_usd)
    return facts


def facts_of(version: int, retention_days: int, span: Span) -> SpanFacts:
    """Return the facts of a span just normalised."""
    return facts_in(span_values("", version, retention_days, span), span)


def log_row(project_id: str, version: int, retention_days: int, log: RawLog, is_genai: bool) -> Row:
    """Return the row of ``logs``; equal records get an equal ``log_id``.

    The time of observation is no part of the hash: collectors on the way set it anew.
    """
    body = dump_text(log.body)
    attributes = dump_sorted(log.attributes)
    digest = blake2b(digest_size=8)
    for part in (log.trace_id, log.span_id, str(log.time_ns), log.event_name, str(log.severity_number), body):
        digest.update(part.encode("utf-8", "replace") + b"\0")
    digest.update(attributes)
    digest.update(_shared_text(log.resource).encode())
    return {
        "project_id": project_id,
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        "time_ns": log.time_ns,
        "log_id": int.from_bytes(digest.digest(), "big"),
        "version": version,
        "received_at": version // NS_PER_S,
        "retention_days": retention_days,
        "is_genai": is_genai,
        "observed_ns": log.observed_ns,
        "severity_number": min(max(log.severity_number, 0), 255),
        "severity_text": log.severity_text,
        "event_name": log.event_name,
        "service_name": _text(log.resource.get("service.name")),
        "body": body,
        "attributes": attributes.decode(),
        "resource": _shared_text(log.resource),
        "scope": _shared_text(log.scope),
    }


def point_row(project_id: str, version: int, retention_days: int, point: RawMetricPoint) -> Row:
    """Return the row of ``metric_points``; points of one series get an equal ``series_id``."""
    return {
        "project_id": project_id,
        "name": point.name,
        "series_id": _series_id(point),
        "time_ns": point.time_ns,
        "version": version,
        "received_at": version // NS_PER_S,
        "retention_days": retention_days,
        "start_ns": point.start_ns,
        "type": point.type,
        "temporality": point.temporality,
        "monotonic": point.monotonic,
        "unit": point.unit,
        "description": point.description,
        "service_name": _text(point.resource.get("service.name")),
        "host_name": _text(point.resource.get("host.name")),
        "attributes": {key: _text(value) for key, value in point.attributes.items()},
        "resource": _shared_text(point.resource),
        "scope": point.scope.name,
        "value": point.value,
        "count": point.count,
        "sum": point.sum,
        "min": point.min,
        "max": point.max,
        "explicit_bounds": _finite(point.explicit_bounds),
        "bucket_counts": point.bucket_counts,
        "scale": point.scale,
        "zero_count": point.zero_count,
        "positive_offset": point.positive_offset,
        "positive_counts": point.positive_counts,
        "negative_offset": point.negative_offset,
        "negative_counts": point.negative_counts,
        "quantiles": [_finite(pair) for pair in point.quantiles],
        "exemplars": [
            {
                "time_ns": exemplar.time_ns,
                "value": exemplar.value,
                "trace_id": exemplar.trace_id,
                "span_id": exemplar.span_id,
                "attributes": {key: _text(value) for key, value in exemplar.attributes.items()},
            }
            for exemplar in point.exemplars
        ],
    }


def score_row(project_id: str, version: int, retention_days: int, feedback: Feedback) -> Row:
    """Return the row of ``scores`` for a judgement received at ``version`` (ns)."""
    return {
        "project_id": project_id,
        "trace_id": feedback.trace_id,
        "span_id": feedback.span_id,
        "session_id": feedback.session_id,
        "response_id": feedback.response_id,
        "name": feedback.name,
        "score_id": feedback.score_id,
        "version": version,
        "is_deleted": 0,
        "received_at": version // NS_PER_S,
        "retention_days": retention_days,
        "value": feedback.value,
        "label": feedback.label,
        "source": feedback.source,
        "explanation": feedback.explanation,
        "evaluator": feedback.evaluator,
        "created_ns": feedback.created_ns,
    }


def blob_row(project_id: str, received_ns: int, retention_days: int, version: int, blob: Blob) -> Row:
    """Return the row of ``blobs``; ``version`` is the unix second until which it is kept."""
    return {
        "project_id": project_id,
        "hash": blob.hash,
        "version": version,
        "received_at": received_ns // NS_PER_S,
        "retention_days": retention_days,
        "media_type": blob.media_type,
        "size_bytes": blob.size_bytes,
        "data": blob.data,
    }


def lines(rows: Iterable[Any]) -> bytes:
    """Return rows (dicts or dataclasses) as newline-separated JSON, ready for ``insert``."""
    out = [dump(row) for row in rows]
    if not out:
        return b""
    out.append(b"")
    return b"\n".join(out)


def money(amount: Decimal | None) -> Decimal | None:
    """Return an amount as the store keeps it: 12 decimal places, and nothing past 10⁶ USD.

    A single call that costs more is a sender's mistake; the column cannot hold it.
    """
    if amount is None:
        return None
    if not amount.is_finite() or not -_MONEY_LIMIT < amount < _MONEY_LIMIT:
        return None
    if amount.same_quantum(_PICO_USD):
        return amount
    rounded = amount.quantize(_PICO_USD, context=_WIDE)
    return rounded if abs(rounded) < _MONEY_LIMIT else None


def _money_text(amount: Decimal | None) -> str | None:
    kept = money(amount)
    return None if kept is None else f"{kept:f}"


def _count(tokens: int | None) -> int | None:
    if tokens is None or 0 <= tokens < _U64:
        return tokens
    return None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else dump_text(value)


def _finite(numbers: Iterable[float]) -> list[float]:
    """Return numbers as JSON can carry them: infinities as the largest double, NaN as zero."""
    return [n if isfinite(n) else max(min(n, _LARGEST_DOUBLE), -_LARGEST_DOUBLE) if n == n else 0.0 for n in numbers]


def _series_id(point: RawMetricPoint) -> int:
    digest = blake2b(point.type.encode(), digest_size=8)
    digest.update(_shared_text(point.resource).encode())
    digest.update(_shared_text(point.scope).encode())
    digest.update(dump_sorted(point.attributes))
    return int.from_bytes(digest.digest(), "big")


# The spans of a batch share their resource and scope objects, so the text of the last one of each
# is kept. Holding the object itself makes the identity test safe.
_last_resource: tuple[Mapping[str, Any] | None, str] = (None, "{}")
_last_scope: tuple[Scope | None, str] = (None, "{}")


def _shared_text(value: Mapping[str, Any] | Scope) -> str:
    global _last_resource, _last_scope
    if isinstance(value, Scope):
        scope, text = _last_scope
        if scope is not value:
            text = dump_sorted(value).decode()
            _last_scope = (value, text)
        return text
    resource, text = _last_resource
    if resource is not value:
        text = dump_sorted(value).decode()
        _last_resource = (value, text)
    return text
