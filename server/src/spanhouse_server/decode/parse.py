"""Reads an OTLP body, protobuf or JSON, into its export request message."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanhouse_server.decode.dense import MAX_MESSAGES, too_dense, too_dense_json
from spanhouse_server.decode.json_body import parse_json
from spanhouse_server.decode.salvage import salvage
from spanhouse_server.errors import UndecodableBody

REQUESTS: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}

PROTOBUF = "application/x-protobuf"
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x78\x9c": "deflate"}


class UnreadableRecord(UndecodableBody):
    """The body cannot be parsed for what one record may hold."""


def parse(signal: str, media_type: str, body: bytes) -> Any:
    """Return the ``Export…ServiceRequest`` of ``signal`` that a decompressed body holds.

    ``media_type`` is ``application/x-protobuf`` or ``application/json``, parameters are ignored.
    Raises ``UndecodableBody``, and nothing else, when the body as a whole cannot be read; single
    bad records are left to ``check``.
    """
    request = REQUESTS[signal]
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        if too_dense_json(body):
            raise _too_many()
        return parse_json(request(), body)
    if kind != PROTOBUF:
        raise UndecodableBody(
            f"the media type {media_type[:80]!r} is not OTLP", "send application/x-protobuf or application/json"
        )
    if too_dense(request.DESCRIPTOR, body):
        raise _too_many()
    try:
        return request.FromString(body)
    except DecodeError as error:
        raise _explain(signal, body, str(error)) from None


def parse_received(signal: str, media_type: str, body: bytes) -> tuple[Any, bytes]:
    """Return the request that a body just received holds, and the protobuf to keep of it.

    As ``parse``, but single records that cannot be parsed do not take their body down: ``check`` refuses them.
    What is kept are the sender's own bytes where all of them can be parsed as protobuf.
    """
    try:
        message = parse(signal, media_type, body)
    except UnreadableRecord as error:
        mended = salvage(REQUESTS[signal], body, error.said)
        if mended is None:
            raise
        return parse(signal, media_type, mended), mended
    if media_type == PROTOBUF:
        return message, body
    return message, message.SerializeToString()


def _too_many() -> UndecodableBody:
    return UndecodableBody(
        f"the body holds more than {MAX_MESSAGES} spans, attributes and values together", "send smaller batches"
    )


def _explain(signal: str, body: bytes, error: str) -> UndecodableBody:
    for magic, encoding in _COMPRESSED.items():
        if body.startswith(magic):
            return UndecodableBody(
                f"the body is compressed with {encoding} but no Content-Encoding says so",
                f"send Content-Encoding: {encoding}",
            )
    text = body.strip()
    if (text[:1], text[-1:]) in ((b"{", b"}"), (b"[", b"]")):
        return UndecodableBody(
            "the body looks like JSON but was announced as protobuf", "send Content-Type: application/json"
        )
    if "MaxDepth" in error:
        return UnreadableRecord(
            "an attribute value is nested deeper than 100 protobuf messages", "flatten the attribute"
        )
    if "UTF-8" in error:
        return UnreadableRecord("a string is not valid UTF-8", "send such data as bytes_value")
    return UndecodableBody(
        f"the body is not a valid OTLP {signal} request in protobuf: it is truncated or corrupt",
        "check that the body is sent whole and to the right endpoint",
    )
