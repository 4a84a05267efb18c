"""The durable queue between acknowledging a request and storing it."""
