"""Posting to receivers: to a checked address, without redirects, bounded in time and size."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import orjson

from spanhouse_server import __version__
from spanhouse_server.derive.alerts.channels.contract import Outward
from spanhouse_server.errors import Undelivered
from spanhouse_server.ops.logs import redact

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
#: The whole exchange; a receiver that answers byte by byte is cut off.
DEADLINE_S = 20.0
MAX_ANSWER_BYTES = 64 * 1024
#: Of what a receiver answers so much is handed on; whoever knows the channel's secrets blots them out and cuts it.
MAX_QUOTED = 4000
MAX_RETRY_AFTER_S = 3600
#: Refusals that pass: too busy, too early, asked too often.
_PASSING = frozenset({408, 409, 425, 429})


def post(url: str, body: object, headers: Mapping[str, str], outward: Outward) -> None:
    """Post JSON (bytes go as they are); return when the receiver took it (2xx). Raises ``Undelivered``."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"content-type": "application/json", "user-agent": f"spanhouse/{__version__}", **headers}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with reached(host, port, outward) as plain, deadline(plain, DEADLINE_S) as passed:
        try:
            status, answer, retry_after = _exchange(plain, parts.scheme == "https", host, port, path, data, sent)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = "took too long" if passed() else reason_of(error)
            raise Undelivered(f"{host} {reason}", "is the address right, and the receiver up?", retry=True) from None
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise Undelivered(
            f"{host} answered {status}", "redirects are not followed: give the final address", retry=False
        )
    text = redact(answer.decode("utf-8", "replace"))[:MAX_QUOTED].strip()
    raise Undelivered(
        f"{host} answered {status}" + (f": {text}" if text else ""),
        "the receiver refuses it" if status < 500 else "the receiver has a fault",
        retry=status >= 500 or status in _PASSING,
        retry_after_s=retry_after,
    )


@contextmanager
def reached(host: str, port: int, outward: Outward) -> Iterator[socket.socket]:
    """Give a connection to one of the host's checked addresses. Raises ``Undelivered``."""
    reason = "has no address"
    for address in outward.addresses(host, port):
        try:
            connection = socket.create_connection((address, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            reason = f"cannot be reached: {reason_of(error)}"
            continue
        connection.settimeout(ANSWER_TIMEOUT_S)
        with connection:
            yield connection
        return
    raise Undelivered(f"{host}:{port} {reason}", "is the address right, and the receiver up?", retry=True)


@contextmanager
def deadline(connection: socket.socket, limit_s: float) -> Iterator[Callable[[], bool]]:
    """Break a connection off after a while; gives a function that tells whether that happened."""
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield passed.is_set
    finally:
        timer.cancel()


class _Over(http.client.HTTPConnection):
    """HTTP over a connection that is open already."""

    def __init__(self, host: str, port: int, opened: socket.socket) -> None:
        super().__init__(host, port)
        self.sock = opened


def _exchange(
    plain: socket.socket, secure: bool, host: str, port: int, path: str, data: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes, float]:
    opened = ssl.create_default_context().wrap_socket(plain.dup(), server_hostname=host) if secure else plain.dup()
    named = f"[{host}]" if ":" in host else host
    usual = port == (443 if secure else 80)
    with opened:
        over = _Over(host, port, opened)
        over.request("POST", path, data, {"host": named if usual else f"{named}:{port}", **headers})
        with over.getresponse() as answer:
            return answer.status, answer.read(MAX_ANSWER_BYTES), _seconds(answer.headers.get("retry-after", ""))


def _seconds(retry_after: str) -> float:
    """Return a Retry-After in seconds; dates are not worth reading."""
    return float(min(int(retry_after), MAX_RETRY_AFTER_S)) if retry_after.isascii() and retry_after.isdigit() else 0.0


def reason_of(error: Exception) -> str:
    """Return why an exchange broke off, as the rest of a sentence about the host."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"broke off ({type(error).__name__})"
