"""What happens to headers on their way: which pass, which are ours, which may be recorded.

Ours are ``Spanhouse-*`` and, as aliases, ``Helicone-*`` (also ``X-Spanhouse-*``). They never reach an
upstream. Hop-by-hop headers belong to one connection and are made anew for the next. Everything else
passes untouched, in its order, whether known or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from spanhouse_collector.errors import UpstreamBroken
from spanhouse_collector.parse.client_session import client_session
from spanhouse_collector.parse.contract import CallContext

RawHeaders = list[tuple[bytes, bytes]]

OWN_PREFIXES = (b"spanhouse-", b"helicone-", b"x-spanhouse-")
#: Headers of one connection (RFC 9110, 7.6.1). ``te`` and ``expect`` are treated by name below.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authorization",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"te",
    }
)
_SPECIAL = HOP_BY_HOP | {b"host", b"content-length", b"traceparent", b"expect"}
#: What a response loses: the connection's own, what this server writes itself, and what only this proxy may say.
RESPONSE_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_RESPONSE_OWN = frozenset({b"spanhouse-call-id", b"spanhouse-overhead-ms"})

_SECRET_NAMES = re.compile(
    r"auth|cookie|sec-websocket-protocol|api[-_]?key|token|secret|passw|signature|credential|(?:^|[-_])(?:key|jwt|sig)$",
    re.IGNORECASE,
)
#: Names that only look secret.
_HARMLESS_NAMES = re.compile(r"tokens|ratelimit|www-authenticate|max[-_]token", re.IGNORECASE)
REDACTED = "[redacted]"

MAX_VALUE_CHARACTERS = 1024
MAX_PROPERTIES = 64


@dataclass(slots=True)
class RequestHead:
    """A request's headers, sorted out. ``wire`` is what goes upstream, ready once it is ``addressed``."""

    wire: list[bytes] = field(default_factory=list)
    host_at: int = -1
    traceparent_at: int = -1
    own: dict[str, str] = field(default_factory=dict)
    content_length: int | None = None
    transfer_encoding: bytes = b""
    expects_continue: bool = False
    traceparent: bytes = b""

    @property
    def has_body(self) -> bool:
        """Tell whether a body follows."""
        return bool(self.content_length) or bool(self.transfer_encoding)

    def address(self, host: bytes, traceparent: bytes = b"") -> None:
        """Name the upstream's host; ``traceparent`` replaces the incoming one, whose child it is."""
        if self.host_at < 0:  # HTTP/1.0 may leave it out
            self.host_at = len(self.wire) + 1
            self.wire += (b"host: ", b"", b"\r\n")
        self.wire[self.host_at] = host
        if traceparent and self.traceparent_at >= 0:
            self.wire[self.traceparent_at] = traceparent


def sort_out(headers: RawHeaders) -> RequestHead:
    """Read a request's headers (lower-case names)."""
    head = RequestHead()
    wire = head.wire
    named = _named_by_connection(headers)
    for name, value in headers:
        if name in _SPECIAL:
            _special(head, name, value)
        elif name.startswith(OWN_PREFIXES):
            _keep_own(head.own, name, value.decode("utf-8", "replace").strip())
        elif name not in named:
            wire += (name, b": ", value, b"\r\n")
    return head


def _special(head: RequestHead, name: bytes, value: bytes) -> None:
    wire = head.wire
    if name == b"host":
        head.host_at = len(wire) + 1
        wire += (b"host: ", b"", b"\r\n")
    elif name == b"content-length":
        head.content_length = int(value) if value.isdigit() else None
        wire += (name, b": ", value, b"\r\n")
    elif name == b"transfer-encoding":
        head.transfer_encoding = value
        wire += (name, b": ", value, b"\r\n")
    elif name == b"traceparent":
        head.traceparent, head.traceparent_at = value, len(wire) + 2
        wire += (name, b": ", value, b"\r\n")
    elif name == b"expect":
        head.expects_continue = value.lower() == b"100-continue"
        wire += (name, b": ", value, b"\r\n")
    elif name == b"te" and b"trailers" in value.lower():
        wire += (b"te: trailers\r\nconnection: te\r\n",)


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """Return the headers that ``Connection`` names as its own."""
    for name, value in headers:
        if name == b"connection" and value not in (b"keep-alive", b"Keep-Alive", b"close"):
            return frozenset(token.strip().lower() for token in value.split(b",")) - {b"te"}
    return frozenset()


def _keep_own(own: dict[str, str], name: bytes, value: str) -> None:
    """Keep a header of ours by the name behind its prefix; an alias does not replace the real one."""
    text = name.decode("latin-1")
    if name.startswith(b"helicone-"):
        own.setdefault(text[len("helicone-") :], value)
        return
    own[text.removeprefix("x-").removeprefix("spanhouse-")] = value


def find(headers: RawHeaders, name: bytes) -> bytes:
    """Return the first value of a header (lower-case name), empty when absent."""
    for given, value in headers:
        if given == name:
            return value
    return b""


def is_signed(headers: RawHeaders, query: bytes) -> bool:
    """Tell whether AWS would refuse the request were anything in it changed (Signature Version 4)."""
    return find(headers, b"authorization").startswith(b"AWS4-") or b"X-Amz-Signature=" in query


def response_headers(headers: RawHeaders, status: int) -> RawHeaders:
    """Return the headers of an answer as the client gets them; raise ``UpstreamBroken`` for one that cannot pass."""
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in RESPONSE_HOP_BY_HOP:
            if lower == b"transfer-encoding" and value.strip().lower() != b"chunked":
                # It belongs to the connection, was not asked for, and undone it would be another body.
                raise UpstreamBroken(f"the upstream coded its answer for the way ({value[:40].decode('latin-1')})")
            continue
        if lower in _RESPONSE_OWN:
            continue
        if lower == b"content-length" and status in (204, 304):
            # The length of a body that is not sent; the server beneath would wait for it.
            continue
        kept.append((lower, value))
    return kept


# What is recorded ---------------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    """Tell whether the value of a header or query parameter of this name must not be kept."""
    return _SECRET_NAMES.search(name) is not None and _HARMLESS_NAMES.search(name) is None


def recordable(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return headers as text, without ours and without those that carry credentials."""
    kept = []
    for name, value in headers:
        text = name.decode("latin-1").lower()
        if not is_secret(text) and not name.lower().startswith(OWN_PREFIXES):
            kept.append((text, value.decode("utf-8", "replace")[:MAX_VALUE_CHARACTERS]))
    return kept


def redact_query(query: str) -> str:
    """Return a query string with the values of credentials replaced."""
    if "=" not in query:
        return query
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={REDACTED}" if equals and is_secret(unquote(name)) else part)
    return "&".join(parts)


def read_bool(text: str | None) -> bool | None:
    """Return what ``true`` or ``false`` says (any case), ``None`` for everything else."""
    lower = (text or "").strip().lower()
    return lower == "true" if lower in ("true", "false") else None


def call_context(own: Mapping[str, str], headers: Iterable[tuple[str, str]]) -> CallContext:
    """Return what our headers, and clients' own session headers, say about a call.

    ``own`` is ``RequestHead.own``. A header that asks for less to be kept counts when it is malformed.
    """
    session_id = own.get("session-id") or client_session(dict(headers))
    properties = {
        name.removeprefix("property-"): value[:MAX_VALUE_CHARACTERS]
        for name, value in own.items()
        if name.startswith("property-") and len(name) > len("property-")
    }
    return CallContext(
        session_id=session_id[:MAX_VALUE_CHARACTERS],
        user_id=own.get("user-id", "")[:MAX_VALUE_CHARACTERS],
        tags=tuple(tag.strip() for tag in own.get("tags", "").split(",") if tag.strip())[:MAX_PROPERTIES],
        properties=dict(list(properties.items())[:MAX_PROPERTIES]),
        prompt_name=(own.get("prompt-name") or own.get("prompt-id", ""))[:MAX_VALUE_CHARACTERS],
        prompt_version=own.get("prompt-version", "")[:MAX_VALUE_CHARACTERS],
        session_name=own.get("session-name", "")[:MAX_VALUE_CHARACTERS],
        session_path=own.get("session-path", "")[:MAX_VALUE_CHARACTERS],
        environment=own.get("environment", "")[:MAX_VALUE_CHARACTERS],
        omit_request=_omit(own.get("omit-request")),
        omit_response=_omit(own.get("omit-response")),
    )


def _omit(text: str | None) -> bool:
    """Read a header that keeps content out: only a plain ``false`` lets content in again."""
    return text is not None and read_bool(text) is not False
