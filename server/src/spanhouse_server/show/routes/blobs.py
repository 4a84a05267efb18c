"""Images, sound and files of spans, by their hash."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from spanhouse_server.query.blobs import BlobHead, blob_bytes, blob_head
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.replies import plain_error

router = APIRouter(tags=["spans"])

#: Types that a browser may show, and the ends of their files' names. Anything else is only handed over: a page or a
#: drawing with a script in it would run with the rights of whoever looks at it.
_SHOWN = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/bmp": "bmp",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/webm": "weba",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "text/plain": "txt",
}
#: Types that keep their name, but are saved and not opened.
_SAVED = {"application/pdf": "pdf"}
#: How long a browser may keep one: the bytes of a hash never change, but retention ends and people log out.
_MAX_AGE_S = 86_400
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")

_BYTES: dict[str, Any] = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes.", **_BYTES},
    206: {"description": "The part of the bytes that was asked for.", **_BYTES},
    304: {"description": "As the asker has it."},
    416: {"description": "The range begins behind the end."},
}

Hash = Annotated[
    str,
    Path(pattern=r"^[0-9a-fA-F]{32,64}$", description="SHA-256 of the bytes in hex, or at least its first 32 digits."),
]
Download = Annotated[bool, Query(description="Hand it over as a file, whatever its type.")]


@router.get("/blobs/{hash}", operation_id="getBlob", response_class=Response, responses=_ANSWERS)
def get_blob(
    request: Request, context: Context, project_id: ProjectId, hash: Hash, download: Download = False
) -> Response:
    """Give the bytes of an image, a sound or a file that a span refers to as `spanhouse-blob:sha256/<hash>`.

    Types that are safe to show keep theirs; all else is `application/octet-stream`, to be saved. One range of bytes
    can be asked for.
    """
    head = blob_head(context.store, project_id, hash.lower())
    headers = _headers(head, download)
    if _known(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    span = _asked(request, head.size_bytes, headers["etag"])
    if span is not None and span[0] >= span[1]:
        refusal = plain_error(416, "bad_range", f"the blob has {head.size_bytes} bytes", "ask for bytes within them")
        refusal.headers["content-range"] = f"bytes */{head.size_bytes}"
        return refusal
    data = blob_bytes(context.store, project_id, head.hash)
    if span is None:
        return Response(data, headers=headers)
    first, end = span
    headers["content-range"] = f"bytes {first}-{end - 1}/{head.size_bytes}"
    return Response(data[first:end], status_code=206, headers=headers)


@router.head(
    "/blobs/{hash}", operation_id="headBlob", response_class=Response, responses={200: {"description": "It is there."}}
)
def head_blob(context: Context, project_id: ProjectId, hash: Hash, download: Download = False) -> Response:
    """Tell type and size of what `getBlob` gives."""
    head = blob_head(context.store, project_id, hash.lower())
    return Response(headers={**_headers(head, download), "content-length": str(head.size_bytes)})


def _headers(head: BlobHead, download: bool) -> dict[str, str]:
    kind, ending = head.media_type, _SHOWN.get(head.media_type) or _SAVED.get(head.media_type, "")
    if not ending:
        kind, ending = "application/octet-stream", "bin"
    way = "inline" if head.media_type in _SHOWN and not download else "attachment"
    return {
        "content-type": "text/plain; charset=utf-8" if kind == "text/plain" else kind,
        "content-disposition": f'{way}; filename="{head.hash[:16]}.{ending}"',
        "etag": f'"{head.hash}"',
        "accept-ranges": "bytes",
        "cache-control": f"private, max-age={_MAX_AGE_S}, immutable",
        "vary": "authorization, cookie, x-api-key",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
    }


def _known(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def _asked(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Return first byte and end of the range asked for; nothing where all is to be sent.

    A range that cannot be read, several of them, or one for other bytes (``If-Range``) is as none. One that lies
    behind the end is empty.
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if found is None or found[0] == "bytes=-" or request.headers.get("if-range", etag) != etag:
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    first, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    return None if found[2] and int(found[2]) < first else (first, end)
