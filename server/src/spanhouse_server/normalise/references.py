"""What a stored record refers to: blobs whose bytes came earlier, or come apart from it."""

from __future__ import annotations

import re

from spanhouse_server.model.blob import BLOB_SCHEME, HASH_PATTERN
from spanhouse_server.normalise.langfuse_media import ID_CHARACTERS, TOKEN_START, hash_start

#: Blobs that one record can keep alive: a conversation shows dozens, and looking each up costs something.
MAX_REFERENCES = 10_000

# No slash: JSON may write it with a backslash.
_SIGNS = (BLOB_SCHEME.rstrip("/").encode(), TOKEN_START.encode())
_REFERENCE = re.compile(
    rb"(?:%s|%s[^|@]{0,128}\|id=)(?:(%s)|([A-Za-z0-9_-]{%d})\|)"
    % (BLOB_SCHEME.encode(), re.escape(TOKEN_START.encode() + b"type="), HASH_PATTERN.encode(), ID_CHARACTERS)
)


def may_refer(body: bytes) -> bool:
    """Tell whether a body of records may refer to blobs: cheap, and wrong only by saying yes."""
    return any(sign in body for sign in _SIGNS)


def referred(row: bytes) -> list[str]:
    """Return the hashes, or beginnings of hashes (hex), of the blobs that a row refers to, each once."""
    found: dict[str, None] = {}
    if not may_refer(row):
        return []
    for reference in _REFERENCE.finditer(row):
        whole, media = reference.groups()
        found[whole.decode() if whole else hash_start(media.decode())] = None
        if len(found) >= MAX_REFERENCES:
            break
    return list(found)
