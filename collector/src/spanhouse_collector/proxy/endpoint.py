"""Where spans are sent, and what else is asked of the same host: Spanhouse, or any OTLP backend."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from spanhouse_collector.errors import ConfigError

_TRACES = "/v1/traces"
_OTLP_PORT = 4318


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and the path below which its API lies; ``path`` has no slash at its end."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read ``http://host:4318``, as for any OTLP exporter, with or without ``/v1/traces``; raise ``ConfigError``."""
        try:
            parts = urlsplit(url if "//" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no endpoint", "use http://host:4318, as for any OTLP exporter")
        secure = parts.scheme == "https"
        path = parts.path.rstrip("/").removesuffix(_TRACES)
        return cls(secure, parts.hostname, port or (443 if secure else _OTLP_PORT), path)

    @property
    def traces_path(self) -> str:
        """Return the path that takes spans."""
        return self.path + _TRACES

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return a connection that is made by its first request."""
        if self.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
