"""The reading half of the proxy: copies of requests and responses in, OpenTelemetry spans out."""
