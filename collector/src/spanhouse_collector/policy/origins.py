"""Origins: what a credential is bound to, and how to compare two URLs by it."""

from __future__ import annotations

from urllib.parse import urlsplit

_USUAL_PORTS = {"https": 443, "http": 80}
_SECURED = {"wss": "https", "ws": "http"}


def origin(url: str) -> str:
    """Return ``scheme://host:port`` of an absolute URL in one spelling; raises ``ValueError``.

    WebSocket schemes count as the HTTP ones they begin with.
    """
    parts = urlsplit(url)
    scheme = _SECURED.get(parts.scheme, parts.scheme)
    host = (parts.hostname or "").lower().removesuffix(".")
    if scheme not in _USUAL_PORTS or not host or not host.isascii() or "@" in parts.netloc or "\\" in url:
        raise ValueError(f"not an absolute http or https URL: {url[:80]!r}")
    port = parts.port or _USUAL_PORTS[scheme]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
