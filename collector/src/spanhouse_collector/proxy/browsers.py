"""Keeps web pages off a proxy that anybody on the machine may use.

A page anywhere on the web may make its visitor's browser call ``http://127.0.0.1:4319``, and with a name
that is made to resolve to this machine (DNS rebinding) it could read the answers: of a local model, or
with a key that a policy adds. So on loopback, without a key, calls must name this machine and must not
come from another site's page, unless the operator listed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from spanhouse_collector.errors import ForeignPage
from spanhouse_collector.proxy.headers import RawHeaders

_LOCAL_NAMES = frozenset({b"localhost", b"127.0.0.1", b"::1"})
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
#: What browsers say of requests of the page's own, or of the person's (an address typed in).
_OWN_SITES = frozenset({b"same-origin", b"none"})


class PageGuard:
    """Judges calls by their headers. ``origins`` are web origins (``https://app.example.com``) that may call."""

    def __init__(self, origins: Sequence[str] = ()) -> None:
        self._origins = frozenset(origin.encode("latin-1", "replace") for origin in origins)
        self._hosts = frozenset(urlsplit(origin).netloc.encode("latin-1", "replace") for origin in origins)

    def check(self, method: bytes, headers: RawHeaders) -> None:
        """Raise ``ForeignPage`` for a call under another name, or from another site's page."""
        host = origin = site = b""
        for name, value in headers:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if _host_name(host) not in _LOCAL_NAMES and host not in self._hosts:
            raise ForeignPage(
                "the host name of this call is not one of this machine's",
                "call http://127.0.0.1 or http://localhost, or set a key to be reached by other names",
            )
        if not (origin or site) or origin in self._origins:
            return
        changes = method not in _SAFE_METHODS
        if (changes and site and site not in _OWN_SITES) or (origin and origin.partition(b"://")[2] != host):
            raise ForeignPage(
                "a page of another web site sent this call",
                "the operator lists sites that may call in SPANHOUSE_ALLOWED_ORIGINS",
            )


def _host_name(host: bytes) -> bytes:
    """Return the name in a Host header, without port and brackets."""
    if host.startswith(b"["):
        return host[1:].partition(b"]")[0].lower()
    return host.partition(b":")[0].lower().removesuffix(b".")
