"""What protects a browser's user: other sites can neither reach the API nor frame the page."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spanhouse_server.config import Settings
from spanhouse_server.errors import Forbidden
from spanhouse_server.show.replies import error_reply

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: How long a browser may remember that a page may send.
_PREFLIGHT_S = 7200

#: Nothing from elsewhere, no inline script. Media of messages come as data or from our own API, never from a URL:
#: a prompt must not be able to make the reader's browser call home.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:;"
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
    """Raise ``Forbidden`` for requests to the API that another web site makes a browser send.

    Bound to loopback only local host names are answered, so that a foreign name that is made to
    resolve to this machine (DNS rebinding) reads nothing. Changes must come from the page itself.
    """
    if settings.on_loopback:
        _check_host(request.headers, settings.origins)
    if request.method not in _SAFE_METHODS and _is_foreign(request.headers):
        raise _foreign()


class BrowserGuard:
    """Stands before everything else while no key protects the server: an ASGI middleware.

    A page anywhere on the web may ask its visitor's browser for ``http://127.0.0.1:4318``. Without keys,
    on loopback, nothing is read or written for such a page, nor under a name that is not this machine's.
    Pages of ``settings.origins`` may send telemetry (the paths that begin with one of ``telemetry``), and
    are told so as browsers ask for it (CORS), with keys or without.
    """

    def __init__(self, app: ASGIApp, settings: Settings, telemetry: tuple[str, ...]) -> None:
        self._app = app
        self._open = settings.on_loopback and not settings.keys_required
        self._origins = frozenset(settings.origins)
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        welcome = origin in self._origins and scope["path"].startswith(self._telemetry)
        if self._open:
            try:
                _check_host(headers, self._origins)
                if not welcome:
                    _check_origin(scope["method"], headers)
            except Forbidden as error:
                await error_reply(error)(scope, receive, send)
                return
        if not welcome:
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=_preflight(origin, headers))(scope, receive, send)
        else:
            await self._app(scope, receive, _telling(send, origin))


def _check_host(headers: Headers, origins: Iterable[str]) -> None:
    host = headers.get("host", "")
    if _host_name(host) in _LOCAL_NAMES or any(host == urlsplit(origin).netloc for origin in origins):
        return
    raise Forbidden(
        "this host name is not one of this machine's",
        "use http://127.0.0.1 or http://localhost; to be reached by other names set SPANHOUSE_HOST and a key",
    )


def _check_origin(method: str, headers: Headers) -> None:
    """Raise ``Forbidden`` for what another site's page changes, or reads by a script."""
    if method not in _SAFE_METHODS:
        is_foreign = _is_foreign(headers)
    else:
        # Behind a local reverse proxy that sets Host, the page's own origin differs; the browser knows better.
        is_foreign = _names_other_origin(headers) and headers.get("sec-fetch-site") != "same-origin"
    if is_foreign:
        raise _foreign()


def _foreign() -> Forbidden:
    return Forbidden(
        "another web site sent this request",
        "send it from Spanhouse's own page or without a browser; SPANHOUSE_ALLOWED_ORIGINS lists sites that may send"
        " telemetry and use the proxy",
    )


def _is_foreign(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    return _names_other_origin(headers)


def _names_other_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    if origin is None:
        return False
    own = {headers.get("host"), headers.get("x-forwarded-host")}
    try:
        return (urlsplit(origin).netloc or "opaque") not in own
    except ValueError:
        return True


def _host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def _preflight(origin: str, headers: Headers) -> dict[str, str]:
    """Return the answer to a browser that asks whether a page may send telemetry."""
    answer = {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": headers.get("access-control-request-headers", "content-type"),
        "access-control-max-age": str(_PREFLIGHT_S),
        "vary": "Origin, Access-Control-Request-Headers",
    }
    if headers.get("access-control-request-private-network") == "true":
        answer["access-control-allow-private-network"] = "true"
    return answer


def _telling(send: Send, origin: str) -> Send:
    """Return ``send`` with the headers that let a page read its answer."""
    told = [
        (b"access-control-allow-origin", origin.encode("ascii")),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]

    async def telling_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *told]
        await send(message)

    return telling_send
