"""Builds OTLP answers: export responses, and ``google.rpc.Status`` for errors."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanhouse_server.errors import SpanhouseError, Unavailable
from spanhouse_server.receive.receiver import JSON, Outcome

ExportResponse = ExportTraceServiceResponse | ExportLogsServiceResponse | ExportMetricsServiceResponse

#: What an HTTP status is called in google.rpc.
RPC_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
    503: Code.UNAVAILABLE,
}


def export_response(signal: str, outcome: Outcome) -> ExportResponse:
    """Return the success message; ``partial_success`` stays unset when all was well."""
    if signal == "traces":
        response: ExportResponse = ExportTraceServiceResponse()
        count = "rejected_spans"
    elif signal == "logs":
        response, count = ExportLogsServiceResponse(), "rejected_log_records"
    else:
        response, count = ExportMetricsServiceResponse(), "rejected_data_points"
    if outcome.rejected or outcome.message:
        setattr(response.partial_success, count, outcome.rejected)
        response.partial_success.error_message = outcome.message
    return response


def status_of(error: SpanhouseError) -> Status:
    """Return the error as senders understand it, with RetryInfo where sending again will work."""
    text = error.said
    status = Status(code=RPC_CODES.get(error.http_status, Code.INTERNAL), message=text)
    if isinstance(error, Unavailable):
        status.details.add().Pack(retry_info(error))
    return status


def retry_info(error: Unavailable) -> RetryInfo:
    """Return how long the sender should wait."""
    info = RetryInfo()
    info.retry_delay.seconds = error.retry_after_s
    return info


def internal_fault() -> Unavailable:
    """Return the answer to a fault of ours: the data is good and not yet kept, so it must come again."""
    return Unavailable("an unexpected fault inside Spanhouse", "see the server's log", retry_after_s=10)


def bare(error: SpanhouseError) -> SpanhouseError:
    """Return the error without its traceback.

    The frames in it hold the body. An error kept in a local variable of one of them would keep the
    body alive until the garbage collector comes by, which under a flood of zip bombs is too late.
    """
    error.__context__ = None
    return error.with_traceback(None)


def encode(message: Message, media_type: str) -> bytes:
    """Return the message in protobuf or, for ``application/json``, as proto3 JSON."""
    if media_type == JSON:
        return MessageToJson(message, indent=None).encode()
    return message.SerializeToString()
