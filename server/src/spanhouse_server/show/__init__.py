"""HTTP API, server-sent events and the web page."""
