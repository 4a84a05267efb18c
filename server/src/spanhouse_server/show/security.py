"""What protects a browser's user: other sites can neither reach the API nor frame the page."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from spanhouse_server.config import Settings
from spanhouse_server.errors import Forbidden

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: Nothing from elsewhere, no inline script. Images of messages come as data or blobs, never from a URL:
#: a prompt must not be able to make the reader's browser call home.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src data: blob:;"
    " font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'self'; form-action 'self';"
    " frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


def check_browser(request: Request, settings: Settings) -> None:
    """Raise ``Forbidden`` for requests that another web site makes a browser send.

    Bound to loopback only local host names are answered, so that a foreign name that is made to
    resolve to this machine (DNS rebinding) reads nothing. Changes must come from the page itself.
    """
    if settings.on_loopback and _host_name(request.headers.get("host", "")) not in _LOCAL_NAMES:
        raise Forbidden(
            "this host name is not one of this machine's",
            "use http://127.0.0.1 or http://localhost; to be reached by other names set SPANHOUSE_HOST and a key",
        )
    if request.method not in _SAFE_METHODS and _is_foreign(request):
        raise Forbidden("another web site sent this request", "send it from Spanhouse's own page or without a browser")


def _is_foreign(request: Request) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return False
    own = {request.headers.get("host"), request.headers.get("x-forwarded-host")}
    try:
        return (urlsplit(origin).netloc or "opaque") not in own
    except ValueError:
        return True


def _host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")
