"""The collector's one tree of errors: each says what happened, to what, and what to do.

``message`` is one sentence for the caller, ``hint`` one sentence of advice (may be empty). ``code`` is
stable and machine readable, ``http_status`` is what a client of the proxy gets.
"""

from __future__ import annotations

from collections.abc import Mapping


class CollectorError(Exception):
    """The root: an unexpected fault inside the collector."""

    code = "internal_error"
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(CollectorError):
    """A setting is missing or contradicts another; the process must not start."""

    code = "bad_configuration"


class Refused(CollectorError):
    """The proxy does not pass this call on; no upstream was asked.

    ``headers`` go with the answer; ``body`` is the answer's JSON where it has to be another than usual.
    """

    code = "bad_request"
    http_status = 400
    headers: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None


class Unauthenticated(Refused):
    """The proxy asks for a key, and the call carries none that it knows."""

    code = "unauthenticated"
    http_status = 401


class ForbiddenTarget(Refused):
    """The upstream's address is one the proxy must not reach, or the operator did not allow the host."""

    code = "forbidden_target"
    http_status = 403


class ForeignPage(Refused):
    """A web page elsewhere made a browser send the call, or it goes by a name that is not this machine's."""

    code = "foreign_page"
    http_status = 403


class UnknownUpstream(Refused):
    """The path names no upstream."""

    code = "unknown_upstream"
    http_status = 404


class UnsignableRequest(Refused):
    """The request is signed for another host, so it cannot be passed on."""

    code = "signed_request"


class UpstreamError(CollectorError):
    """The upstream gave no whole answer. ``error_type`` is what a span's ``error.type`` gets."""

    code = "upstream_error"
    http_status = 502
    error_type = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """No connection to the upstream could be made, or its name is not known."""

    code = "upstream_unreachable"
    error_type = "connection_error"


class UpstreamBroken(UpstreamError):
    """The connection ended, or carried something else than HTTP, before the answer was whole."""

    code = "upstream_broken"
    error_type = "connection_broken"


class UpstreamTimeout(UpstreamError):
    """The upstream could not be connected to, or was silent, for longer than allowed."""

    code = "upstream_timeout"
    http_status = 504
    error_type = "timeout"


class ClientGone(CollectorError):
    """The client closed its connection before it had its answer; the upstream's is closed too."""

    code = "client_disconnected"
    http_status = 499


class Undeliverable(CollectorError):
    """Records could not be handed on. ``retry`` tells whether it may work later."""

    code = "undeliverable"

    def __init__(self, message: str, *, retry: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry = retry
        self.retry_after_s = retry_after_s
