"""Spans as the body of an OTLP request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from spanhouse_collector import __version__
from spanhouse_collector.parse.attributes import key_values

SCOPE = "spanhouse.proxy"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"


def trace_request(spans: Sequence[Span], resource_attributes: Mapping[str, Any]) -> bytes:
    """Return the protobuf bytes to POST to ``/v1/traces``; many calls' spans may share one request."""
    scope_spans = ScopeSpans(
        scope=InstrumentationScope(name=SCOPE, version=__version__), spans=spans, schema_url=SCHEMA_URL
    )
    resource = Resource(attributes=key_values(resource_attributes))
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope_spans])])
    return bytes(request.SerializeToString())
