"""OTLP in: HTTP and gRPC, limits, authentication, replies."""
