"""OTLP in: over HTTP and gRPC, into the spool, acknowledged once it is durable."""

from spanhouse_server.receive.grpc import start_grpc
from spanhouse_server.receive.http import routes as http_routes
from spanhouse_server.receive.receiver import Outcome, Receiver

__all__ = ["Outcome", "Receiver", "http_routes", "start_grpc"]
