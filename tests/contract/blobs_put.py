"""Blobs put straight into a store, as records show them."""

from __future__ import annotations

from hashlib import sha256

from spanhouse_server.model.blob import Blob
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore
from tests.samples_media import b64
from tests.stored import NS

#: Far ahead: a merge would drop what is past its retention.
T0 = 4_000_000_000 * NS


def put(store: ColumnarStore, project: str, data: bytes, at_ns: int = T0, days: int = 30) -> str:
    """Store a blob as seen in a record; return its hash."""
    digest = sha256(data).hexdigest()
    found = BlobRows()
    found.add(project, at_ns, days, [Blob(digest, "image/png", len(data), b64(data))])
    keep_blobs(store, found)
    return digest
