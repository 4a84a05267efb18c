"""What a remake does to one span: a new row, or nothing when it would say the same."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from spanhouse_server import price
from spanhouse_server.clock import NS_PER_S
from spanhouse_server.drain.again import SpanLogs, span_again
from spanhouse_server.model.prices import PriceBook
from spanhouse_server.model.raw import RawSpan, Scope
from spanhouse_server.model.span import Cost, Span, Usage
from spanhouse_server.store.blobs import BlobRows
from spanhouse_server.store.jsontext import dump

Row = dict[str, Any]

_USAGE = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cache_write_1h_tokens",
    "audio_cache_read_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "tool_use_tokens",
    "web_search_requests",
    "service_tier",
)
_COST = {
    "cost_usd": "total_usd",
    "cost_input_usd": "input_usd",
    "cost_output_usd": "output_usd",
    "cost_reported_usd": "reported_usd",
    "cost_status": "status",
    "cost_reason": "reason",
    "cost_source": "source",
}
#: What ``repriced`` reads of a span.
PRICED_COLUMNS = (
    *("trace_id", "span_id", "category", "provider", "request_model", "response_model"),
    *("start_ns", "end_ns", "attributes", *_USAGE, *_COST),
)

#: Columns in which two versions of a span differ without saying anything else.
_STAMPS = frozenset({"version", "received_at", "arrival_ns", "retention_days"})


def repriced(project_id: str, row: Mapping[str, Any], book: PriceBook) -> Row | None:
    """Return the cost columns of a span as today's prices make them, or nothing where they stay."""
    attributes = orjson.loads(row["attributes"]) if row["attributes"] else {}
    raw = RawSpan("", "", "", "", "", row["start_ns"], row["end_ns"], "", "", attributes, [], [], {}, Scope())
    span = Span(
        raw=raw,
        category=row["category"],
        provider=row["provider"],
        request_model=row["request_model"],
        response_model=row["response_model"],
        usage=Usage(**{name: row[name] for name in _USAGE}),
        cost=Cost(reported_usd=row["cost_reported_usd"]),
    )
    cost = price.price(span, price.own_prices(book, project_id))
    made = {column: getattr(cost, name) for column, name in _COST.items()}
    return made if any(made[column] != row[column] for column in _COST) else None


def with_cost(project_id: str, row: Mapping[str, Any], cost: Row) -> Row:
    """Return a stored row (``SPAN_COLUMNS``) one version higher, with other cost columns."""
    version = row["version"] + 1
    return {**row, **cost, "project_id": project_id, "version": version, "received_at": version // NS_PER_S}


def remapped(project_id: str, row: Mapping[str, Any], logs: SpanLogs, book: PriceBook, blobs: BlobRows) -> Row | None:
    """Return the row of a span read anew from its raw record, or nothing where it says the same.

    Media that still stand in it are added to ``blobs``, which are to be stored before the row.
    """
    made = span_again(project_id, row, logs, book, blobs)
    return made if any(not _same(row[name], made[name]) for name in made if name not in _STAMPS) else None


def _same(stored: Any, made: Any) -> bool:
    """Tell whether a value just made is what the store gave back for it."""
    if stored == made:
        return True
    if isinstance(stored, Decimal):
        return made is not None and stored == Decimal(made)
    if isinstance(stored, str) and stored and not isinstance(made, str):
        # A JSON column: objects and arrays go in as such and come back as text.
        return bool(orjson.loads(stored) == orjson.loads(dump(made)))
    return False
