"""Uploads of Langfuse's SDKs, which take images, sound and files out of spans before they send these.

The SDK asks for an address (POST), sends the bytes there without credentials (PUT), and reports back (PATCH). The
address is ours and carries a grant: whose it is, what may be sent, until when, signed. What was sent goes the way of
all telemetry, as a log record: durable in the spool before the answer, a blob after the drain.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from starlette.requests import Request

from spanhouse_server.clock import now_ns
from spanhouse_server.config import MIB
from spanhouse_server.decode import MAX_RECORD_BYTES, load_json
from spanhouse_server.errors import BadRequest, Forbidden
from spanhouse_server.model.blob import media_type_of
from spanhouse_server.normalise.langfuse_media import UPLOAD_EVENT, media_id
from spanhouse_server.receive.vendors import LANGFUSE_API

#: One upload is one log record, with some room for what stands beside the bytes.
MAX_UPLOAD_BYTES = MAX_RECORD_BYTES - MIB // 16
#: An address may be used this long; the SDKs use it at once.
GRANT_S = 3600
#: What was just uploaded is not asked for again this long: the SDKs offer the same image with every span. Far below the
#: day that blobs are kept longer than their spans.
KNOWN_S = 3600.0
MAX_KNOWN = 10_000

_SHA256 = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class Grant:
    """What may be sent to an address: for which project, its SHA-256 (hex), type, size, until when (unix seconds)."""

    project_id: str
    hash: str
    media_type: str
    size_bytes: int
    until_s: int

    @property
    def media_id(self) -> str:
        """Return the id that Langfuse gives to these bytes."""
        return media_id(self.hash)

    def signed(self, key: bytes) -> str:
        """Return the grant as text for an address."""
        body = orjson.dumps(asdict(self))
        return f"{_text(body)}.{_text(_signature(key, body))}"


def asked(project_id: str, body: bytes, limit_bytes: int) -> Grant:
    """Return the grant for an upload as the SDK announces it; raise ``BadRequest``."""
    said = load_json(body)
    if not isinstance(said, dict):
        raise BadRequest("the body is no JSON object")
    digest, size, kind = (said.get(name) for name in ("sha256Hash", "contentLength", "contentType"))
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise BadRequest("sha256Hash is no SHA-256 in base64")
    if type(size) is not int or size <= 0:
        raise BadRequest("contentLength is no number of bytes")
    limit_bytes = min(limit_bytes, MAX_UPLOAD_BYTES)
    if size > limit_bytes:
        raise BadRequest(f"the upload has {size} bytes, at most {limit_bytes} are taken", "send it smaller")
    named = media_type_of(kind) if isinstance(kind, str) else ""
    return Grant(project_id, binascii.a2b_base64(digest).hex(), named, size, int(time.time()) + GRANT_S)


def address_of(request: Request, grant: Grant, key: bytes) -> str:
    """Return the address where the bytes are to be sent, as the sender reached this one."""
    given = request.headers.get
    scheme = given("x-forwarded-proto", request.url.scheme).partition(",")[0].strip()
    scheme = scheme if scheme in ("http", "https") else request.url.scheme
    before = given("x-forwarded-prefix", "").rstrip("/")
    return (
        f"{scheme}://{request.url.netloc}{before}{LANGFUSE_API}media/{grant.media_id}/bytes?grant={grant.signed(key)}"
    )


def granted(text: str, media: str, key: bytes) -> Grant:
    """Return the grant in an address; raise ``Forbidden`` for one that is forged, too old, or for another upload."""
    body, _, signature = text.partition(".")
    try:
        said, mark = _bytes(body), _bytes(signature)
    except ValueError:
        said, mark = b"", b""
    if not hmac.compare_digest(_signature(key, said), mark):
        raise Forbidden("the grant in the address is not ours", "ask for an address again")
    grant = Grant(**orjson.loads(said))
    if grant.until_s < time.time() or grant.media_id != media:
        raise Forbidden("the grant in the address is over, or for another upload", "ask for an address again")
    return grant


def record_of(grant: Grant, data: bytes) -> ExportLogsServiceRequest:
    """Return an upload as an OTLP log request; raise ``BadRequest`` where it is not what was announced."""
    if len(data) != grant.size_bytes or sha256(data).hexdigest() != grant.hash:
        raise BadRequest("the bytes are not those that were announced", "announce them again")
    message = ExportLogsServiceRequest()
    record = (
        message.resource_logs.add().scope_logs.add().log_records.add(event_name=UPLOAD_EVENT, time_unix_nano=now_ns())
    )
    record.body.bytes_value = data
    record.attributes.add(key="type").value.string_value = grant.media_type
    return message


class Known:
    """Remembers for a while what was uploaded. For use on the event loop."""

    def __init__(self) -> None:
        self._at_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def add(self, grant: Grant) -> None:
        """Remember an upload that is durable now."""
        self._at_s[grant.project_id, grant.hash] = time.monotonic()
        self._at_s.move_to_end((grant.project_id, grant.hash))
        if len(self._at_s) > MAX_KNOWN:
            self._at_s.popitem(last=False)

    def has(self, grant: Grant) -> bool:
        """Tell whether these bytes were uploaded a short while ago."""
        return time.monotonic() - self._at_s.get((grant.project_id, grant.hash), float("-inf")) < KNOWN_S


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"langfuse upload\0" + body, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii", "replace") + b"=" * (-len(text) % 4))


def answer_to(grant: Grant, address: str | None) -> dict[str, Any]:
    """Return the answer to an announcement; without an address the SDK sends nothing."""
    return {"mediaId": grant.media_id, "uploadUrl": address}
