"""The one way in: parse, check, make durable, answer. HTTP and gRPC only translate to and from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from spanhouse_server import decode
from spanhouse_server.config import MIB, Settings
from spanhouse_server.errors import NotFound, SpanhouseError, Unavailable, UndecodableBody
from spanhouse_server.ops.logs import Throttle
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.receive.credentials import credentials
from spanhouse_server.receive.vendors import project_hint
from spanhouse_server.spool.contract import Spool
from spanhouse_server.store.access import Access
from spanhouse_server.store.contract import KEY_MARK

log = logging.getLogger("spanhouse.receive")

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
Read = TypeVar("Read")

#: Bodies up to this size are parsed on the event loop (well under a millisecond); larger ones in a
#: thread. JSON is read by slow pure Python, so its bound is lower.
INLINE_BYTES = {PROTOBUF: 256 * 1024, JSON: 16 * 1024}
#: More threads would not parse faster, they would only hold more memory at once.
PARSE_THREADS = 2
#: How many bodies of the largest allowed size may be in memory at once.
LARGEST_BODIES_AT_ONCE = 4
MIN_IN_FLIGHT_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: records kept, records refused, and why (for ``partial_success``)."""

    accepted: int
    rejected: int
    message: str


class Reservation:
    """Bytes of one request body that are in memory now. Grows while the body arrives."""

    __slots__ = ("_in_flight", "bytes")

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self.bytes = 0

    def add(self, count: int) -> None:
        """Take ``count`` more bytes; raise ``Unavailable`` when too many bodies are in memory."""
        self._in_flight.take(count)
        self.bytes += count


class InFlight:
    """Bounds the memory of bodies that are being received, whatever the number of connections.

    Used on the event loop only, so it needs no lock.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0

    def take(self, count: int) -> None:
        """Count bytes in; raise ``Unavailable`` instead of passing the limit."""
        if self.bytes + count > self.limit_bytes:
            raise Unavailable("too many large requests at once", "send again shortly", retry_after_s=1)
        self.bytes += count

    @contextmanager
    def reserve(self) -> Iterator[Reservation]:
        """Open a reservation that is given back at the end of the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.bytes -= reservation.bytes


class Receiver:
    """Accepts OTLP requests of any transport into the spool."""

    def __init__(self, spool: Spool, access: Access, settings: Settings, metrics: Metrics | None = None) -> None:
        self._spool = spool
        self._access = access
        self._keys_required = settings.keys_required
        self.metrics = metrics or Metrics()
        self.max_http_bytes = int(settings.max_body_mb) * MIB
        largest = max(self.max_http_bytes, int(settings.max_grpc_message_mb) * MIB)
        self.in_flight = InFlight(max(LARGEST_BODIES_AT_ONCE * largest, MIN_IN_FLIGHT_BYTES))
        self._threads = ThreadPoolExecutor(PARSE_THREADS, thread_name_prefix="otlp-parse")
        self._warnings = Throttle()

    async def project_for(self, headers: Mapping[str, str]) -> str:
        """Return the project that the request's credentials open.

        ``headers`` has lower-case names. Raises ``Unauthenticated``, ``Forbidden``, ``NotFound``.
        """
        secret, project = credentials(headers)
        hint = project_hint(headers)
        if secret is None and project is None and hint is None:
            return self._access.project_for(None, None)
        # May ask the records store, which can be slow or away.
        return await asyncio.to_thread(self._open, secret, project, hint)

    async def signing_key(self) -> bytes:
        """Return the key that this house's servers sign addresses with. Raises ``Unavailable``."""
        return await asyncio.to_thread(self._access.signing_key)

    def _open(self, secret: str | None, project: str | None, hint: str | None) -> str:
        if secret and not self._keys_required and not secret.startswith(KEY_MARK) and not self._access.is_admin(secret):
            # An application on its way from another vendor still carries that vendor's key. Nothing asks
            # for a key here, so it opens no more than sending none would.
            secret = None
        if hint and not project and self._access.is_admin(secret):
            with suppress(NotFound):
                return self._access.project_for(secret, hint)
        return self._access.project_for(secret, project)

    async def accept(self, signal: str, project_id: str, media_type: str, body: bytes) -> Outcome:
        """Make one export request durable and return what was kept.

        ``signal`` is ``traces logs metrics``, ``media_type`` one of ``PROTOBUF`` and ``JSON``. Raises
        ``UndecodableBody`` for a body that is not OTLP, ``Unavailable`` when it must come again.
        """
        wire, checked = await self.parsed(media_type, body, lambda: _read(signal, media_type, body))
        return await self.keep(signal, project_id, wire, checked)

    async def keep(
        self, signal: str, project_id: str, wire: bytes, checked: decode.Checked, counted: int | None = None
    ) -> Outcome:
        """Make a request durable that was parsed and checked already; ``wire`` is OTLP in protobuf.

        ``counted`` is how many records count as received, where it is not how many were accepted.
        Raises ``Unavailable`` when it must come again.
        """
        rejected = sum(checked.rejected.values())
        if checked.accepted:
            records = checked.accepted if counted is None else counted
            await self._spool.append(project_id, signal, wire, records=records, rejected=checked.rejected or None)
        elif rejected:
            self._spool.count_rejected(checked.rejected)
        return Outcome(checked.accepted, rejected, checked.message)

    async def parsed(self, media_type: str, body: bytes, read: Callable[[], Read]) -> Read:
        """Return what ``read`` makes of a body: at once for a small one, else in a thread."""
        if len(body) <= INLINE_BYTES[media_type]:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    def answered(
        self, transport: str, signal: str, status: int, seconds: float, size_bytes: int, error: SpanhouseError | None
    ) -> None:
        """Count an answer; say once a minute and kind when requests are being refused."""
        self.metrics.ingest_requests.labels(transport, signal, str(status)).inc()
        self.metrics.ingest_seconds.labels(transport, signal).observe(seconds)
        if error is None:
            self.metrics.ingest_bytes.labels(transport, signal).inc(size_bytes)
            return
        held = self._warnings.admit(error.code)
        if held is not None:
            fields = {"transport": transport, "signal": signal, "code": error.code, "held_back": held}
            log.warning("refused a request: %s", error.message, extra={"fields": fields})

    def close(self) -> None:
        """Let the parsing threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _read(signal: str, media_type: str, body: bytes) -> tuple[bytes, decode.Checked]:
    """Return the body as protobuf, and what is right and wrong in it."""
    try:
        message, wire = decode.parse_received(signal, media_type, body)
        checked = decode.check(signal, message, len(wire))
    except SpanhouseError:
        raise
    except Exception as error:
        # Whatever a body does to the decoder, it is the body that is at fault: never a 5xx. The
        # error's text may quote the content, so only its type is logged.
        log.error("the decoder failed", extra={"fields": {"error": type(error).__name__, "signal": signal}})
        raise UndecodableBody("the body cannot be read as an OTLP export request") from None
    return wire, checked
