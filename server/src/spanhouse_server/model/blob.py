"""Media that lie apart from their spans: the blob itself, and the reference that stands where it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

#: What the address of a blob begins with, wherever one stands: in parts, in raw attributes, in log bodies.
BLOB_SCHEME = "spanhouse-blob:sha256/"
#: Digits of a hash that are enough to name a blob: other systems' ids of media hold 132 bits of it.
MIN_HASH_DIGITS = 32
HASH_PATTERN = rf"[0-9a-f]{{{MIN_HASH_DIGITS},64}}"

#: A mark that a sender puts where it cut a value is at most so long.
_MARK_CHARACTERS = 64

_TYPE = r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,100}"
_MEDIA_TYPE = re.compile(_TYPE)
#: A reference in the raw record: the address, and what a part says beside it.
REFERENCE = re.compile(
    rf"{BLOB_SCHEME}(?P<hash>{HASH_PATTERN})(?:\?size_bytes=(?P<size>\d{{1,12}})(?:&type=(?P<type>{_TYPE}))?(?P<cut>&cut=1)?)?"
)


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes by their SHA-256 (``hash``, hex), as standard base64 in ``data``.

    ``media_type`` is what the bytes show themselves to be, else what their sender called them, else empty.
    """

    hash: str
    media_type: str
    size_bytes: int
    data: str


class Reference(NamedTuple):
    """What a reference says: the blob's address, its size (unknown for another system's id), its type, if it was cut."""

    uri: str
    size_bytes: int | None
    media_type: str
    truncated: bool


def reference_to(blob: Blob, truncated: bool) -> str:
    """Return the text that stands in the raw record where the blob's base64 was."""
    kind = f"&type={blob.media_type}" if blob.media_type else ""
    return f"{BLOB_SCHEME}{blob.hash}?size_bytes={blob.size_bytes}{kind}{'&cut=1' if truncated else ''}"


def read_reference(text: str) -> Reference | None:
    """Return what a text that is a reference says; a sender's mark of a cut may stand behind it."""
    found = REFERENCE.match(text) if text.startswith(BLOB_SCHEME) else None
    if found is None:
        return None
    tail, cut = len(text) - found.end(), found["cut"] is not None
    if tail and not (cut and tail <= _MARK_CHARACTERS):
        return None
    size = found["size"]
    return Reference(BLOB_SCHEME + found["hash"], int(size) if size else None, found["type"] or "", cut)


def media_type_of(said: str) -> str:
    """Return a media type in lower case and without parameters, empty where it is none."""
    plain = said.partition(";")[0].strip().lower()
    return plain if _MEDIA_TYPE.fullmatch(plain) else ""
