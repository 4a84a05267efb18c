"""Media that lie apart from their spans, by their hash."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Any

from spanhouse_server.errors import NotFound
from spanhouse_server.model.blob import BLOB_SCHEME
from spanhouse_server.store.contract import ColumnarStore

#: Where the API serves a blob; the address of a part that lies in the store is made with it.
BLOB_PATH = "/api/v1/blobs/"

_THIS = "project_id = {project:String} AND startsWith(hash, {hash:String}) ORDER BY version DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What is known of a blob without its bytes: SHA-256 (hex), media type (may be empty), size."""

    hash: str
    media_type: str
    size_bytes: int


def blob_head(store: ColumnarStore, project_id: str, hash_start: str) -> BlobHead:
    """Return what is known of the blob whose hash begins so; raise ``NotFound``."""
    row = _row(store, project_id, hash_start, "hash, media_type, size_bytes")
    return BlobHead(row["hash"], row["media_type"], row["size_bytes"])


def blob_bytes(store: ColumnarStore, project_id: str, hash_hex: str) -> bytes:
    """Return the bytes of a blob; raise ``NotFound``."""
    return binascii.a2b_base64(_row(store, project_id, hash_hex, "data")["data"])


def _row(store: ColumnarStore, project_id: str, hash_start: str, columns: str) -> dict[str, Any]:
    found = store.select(
        f"SELECT {columns} FROM blobs WHERE {_THIS}",  # noqa: S608 - only our own column names are put in
        {"project": project_id, "hash": hash_start},
    )
    if not found:
        raise NotFound(
            f"no blob {hash_start} in this project",
            "it was never received, or it is older than the project keeps its telemetry",
        )
    return found[0]


def add_addresses(messages: list[Any]) -> list[Any]:
    """Add to each part that refers to a blob, in messages or a bare list of parts, where to fetch it (``address``)."""
    for message in messages:
        if isinstance(message, dict):
            parts = message.get("parts")
            for part in parts if isinstance(parts, list) else (message,):
                uri = part.get("uri") if isinstance(part, dict) else None
                if isinstance(uri, str) and uri.startswith(BLOB_SCHEME):
                    part["address"] = BLOB_PATH + uri[len(BLOB_SCHEME) :]
    return messages
