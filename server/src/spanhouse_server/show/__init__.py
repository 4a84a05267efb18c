"""The HTTP API, live events and the web page."""
