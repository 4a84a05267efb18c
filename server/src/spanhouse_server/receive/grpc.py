"""OTLP over gRPC: the Trace, Logs and Metrics services on one port.

Handlers take the message as bytes, so that it is parsed once and the sender's own bytes are spooled.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError, SpanhouseError, Unavailable
from spanhouse_server.receive.receiver import PROTOBUF, Receiver
from spanhouse_server.receive.replies import bare, export_response, internal_fault, retry_info, status_of

log = logging.getLogger("spanhouse.receive")

SERVICES = {
    trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].full_name: "traces",
    logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"].full_name: "logs",
    metrics_service_pb2.DESCRIPTOR.services_by_name["MetricsService"].full_name: "metrics",
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_KEEPALIVE_MIN_S = 10
_CONNECTION_AGE_S = 1800
_GRACE_S = 60


async def start_grpc(receiver: Receiver, settings: Settings) -> tuple[grpc.aio.Server | None, int]:
    """Listen on ``settings.grpc_port`` and return the server with the port bound.

    Port 0 picks a free one; -1 gives ``(None, -1)``. Stop it by ``await server.stop(grace_s)``, which
    lets requests in progress end. Raises ``ConfigError`` when the port is taken.
    """
    if settings.grpc_port < 0:
        return None, -1
    server = grpc.aio.server(options=_options(settings))
    server.add_generic_rpc_handlers(tuple(_service(receiver, name, signal) for name, signal in SERVICES.items()))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        port = server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError:
        port = 0
    if port == 0:
        raise ConfigError(
            f"cannot listen on {host}:{settings.grpc_port} for OTLP/gRPC: the port is taken or not allowed",
            "stop what uses it, or set --grpc-port (SPANHOUSE_GRPC_PORT) to another port, 0 for any, -1 for none",
        )
    await server.start()
    return server, port


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        # Enforced before and after decompression.
        ("grpc.max_receive_message_length", int(settings.max_grpc_message_mb) * 1024 * 1024),
        # Two servers on one port would each get half of the data.
        ("grpc.so_reuseport", 0),
        # Bounds what one connection can put into memory; further calls wait at the sender.
        ("grpc.max_concurrent_streams", 32),
        # Exporters that ping every 10 s, idle or not, are welcome.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _KEEPALIVE_MIN_S * 1000),
        # Long-lived connections move on now and then, so that load spreads over replicas.
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_S * 1000),
        ("grpc.max_connection_age_grace_ms", _GRACE_S * 1000),
    ]


def _service(receiver: Receiver, name: str, signal: str) -> grpc.GenericRpcHandler:
    async def export(body: bytes, context: Any) -> Message:
        begun = perf_counter()
        refusal: SpanhouseError | None = None
        try:
            with receiver.in_flight.reserve() as reservation:
                reservation.add(len(body))
                project_id = await receiver.project_for(_metadata(context))
                outcome = await receiver.accept(signal, project_id, PROTOBUF, body)
            response = export_response(signal, outcome)
        except SpanhouseError as error:
            refusal = bare(error)
        except Exception:
            log.exception("an unexpected fault while accepting %s", signal)
            refusal = internal_fault()
        status = refusal.http_status if refusal else 200
        receiver.answered("grpc", signal, status, perf_counter() - begun, len(body), refusal)
        if refusal is not None:
            await _abort(context, refusal)
        return response

    handler = grpc.unary_unary_rpc_method_handler(export, response_serializer=_serialize)
    return grpc.method_handlers_generic_handler(name, {"Export": handler})


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _metadata(context: Any) -> Mapping[str, str]:
    """Return the call's text metadata; binary values cannot be credentials."""
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


async def _abort(context: Any, error: SpanhouseError) -> NoReturn:
    status = status_of(error)
    trailers: list[tuple[str, str | bytes]] = [("grpc-status-details-bin", status.SerializeToString())]
    if isinstance(error, Unavailable):
        # The Python exporter reads this trailer, others the details above.
        trailers.append(("google.rpc.retryinfo-bin", retry_info(error).SerializeToString()))
    await context.abort(_CODES[status.code], status.message, tuple(trailers))
    raise AssertionError("abort always raises")
