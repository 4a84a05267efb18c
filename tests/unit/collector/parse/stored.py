"""What the server makes of the spans that the proxy sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from spanhouse_collector.parse.contract import CallRecord
from spanhouse_collector.parse.export import trace_request
from spanhouse_collector.parse.spans import call_spans
from spanhouse_server.decode import check, decode, parse
from spanhouse_server.drain.transform import priced_span
from spanhouse_server.model.span import Span


def stored(record: CallRecord) -> list[Span]:
    """Return the canonical spans the server stores for a record, priced."""
    return stored_spans(call_spans(record))


def stored_spans(spans: Sequence[WireSpan]) -> list[Span]:
    """Return the canonical spans for spans as sent; none may be refused."""
    body = trace_request(spans, {"service.name": "spanhouse-proxy"})
    message = parse("traces", "application/x-protobuf", body)
    assert not check("traces", message, len(body)).rejected
    decoded = decode("traces", message, 0, len(body))
    assert len(decoded.spans) == len(spans)
    return [priced_span(raw) for raw in decoded.spans]


def attributes_of(span: WireSpan) -> dict[str, Any]:
    """Return a wire span's attributes as plain values."""
    found: dict[str, Any] = {}
    for item in span.attributes:
        kind = item.value.WhichOneof("value")
        value = getattr(item.value, kind)
        if kind == "array_value":
            value = [getattr(inner, inner.WhichOneof("value")) for inner in value.values]
        found[item.key] = value
    return found
