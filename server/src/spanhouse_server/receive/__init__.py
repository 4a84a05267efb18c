"""Telemetry in: over HTTP and gRPC, into the spool, acknowledged once it is durable.

``http_routes`` gives every HTTP route of this room, in the order they are to be tried; ``vendors.PATHS``
are the beginnings of their paths.
"""

from starlette.routing import Route

from spanhouse_server.receive.grpc import start_grpc
from spanhouse_server.receive.http import routes as _otlp_routes
from spanhouse_server.receive.langfuse import routes as _langfuse_routes
from spanhouse_server.receive.natives import routes as _native_routes
from spanhouse_server.receive.receiver import Outcome, Receiver
from spanhouse_server.receive.vendors import PATHS


def http_routes(receiver: Receiver) -> list[Route]:
    """Return the routes of OTLP, ours and other vendors', of Langfuse's own API, and of APIs that are not served."""
    return [*_otlp_routes(receiver), *_langfuse_routes(receiver), *_native_routes(receiver)]


__all__ = ["PATHS", "Outcome", "Receiver", "http_routes", "start_grpc"]
