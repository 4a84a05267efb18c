"""Media of Langfuse's SDKs: the token they write where they took some out of a span, and the uploads themselves."""

from __future__ import annotations

import binascii
import re
from hashlib import sha256

from spanhouse_server.model.blob import BLOB_SCHEME, Blob, Reference, media_type_of
from spanhouse_server.model.raw import RawLog
from spanhouse_server.normalise.magic import settle_type, sniff

#: The name under which an upload travels as a log record: its body is the bytes, its attribute ``type`` what the SDK
#: calls them. It becomes a blob and no row of ``logs``.
UPLOAD_EVENT = "spanhouse.media.uploaded"

TOKEN_START = "@@@langfuseMedia:"  # noqa: S105  no secret: what the text that stands for media begins with
_TOKEN = re.compile(r"@@@langfuseMedia:type=([^|@]{0,128})\|id=([A-Za-z0-9_-]{22})\|source=\w{1,32}@@@")
#: The id is the beginning of the SHA-256 in URL-safe base64: 22 characters hold 132 bits, which are 33 hex digits.
ID_CHARACTERS = 22
ID_HASH_DIGITS = 33


def hash_start(media_id: str) -> str:
    """Return the first digits of the SHA-256 that a media id of ``ID_CHARACTERS`` stands for."""
    return binascii.a2b_base64(media_id.replace("-", "+").replace("_", "/") + "AA").hex()[:ID_HASH_DIGITS]


def media_id(hash_hex: str) -> str:
    """Return the id that Langfuse gives to media with this SHA-256 (hex)."""
    text = binascii.b2a_base64(bytes.fromhex(hash_hex), newline=False).decode()
    return text.replace("+", "-").replace("/", "_")[:ID_CHARACTERS]


def read_token(text: str) -> Reference | None:
    """Return what a text that is such a token says; the size is not among it."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return None
    return Reference(BLOB_SCHEME + hash_start(found[2]), None, media_type_of(found[1]), False)


def uploaded_blob(log: RawLog) -> Blob | None:
    """Return the blob that an upload's record holds, or nothing where there are no bytes in it."""
    try:
        data = binascii.a2b_base64(log.body, strict_mode=True) if type(log.body) is str else b""
    except ValueError:
        return None
    if not data:
        return None
    said = log.attributes.get("type")
    kind = settle_type(media_type_of(said) if isinstance(said, str) else "", sniff(data), data)
    return Blob(sha256(data).hexdigest(), kind, len(data), log.body)
