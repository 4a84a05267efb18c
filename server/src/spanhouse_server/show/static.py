"""The built web page: its files, and ``index.html`` for every route of the client."""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from spanhouse_server.show.replies import COMPRESS_FROM_BYTES, takes_gzip
from spanhouse_server.show.security import PAGE_HEADERS

WEB_DIR = Path(__file__).resolve().parents[1] / "_web"
#: What belongs to others: an unknown path below these is an error, never the page.
_NOT_OURS = ("api", "v1", "proxy", "healthz", "readyz", "metrics")
_IMMUTABLE = "public, max-age=31536000, immutable"
_COMPRESSED = (".html", ".js", ".css", ".svg", ".json", ".txt", ".map")

_MISSING = b"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Spanhouse</title></head>
<body><h1>The web page is not built</h1>
<p>The server runs and receives; only its page is missing. Build it with <code>make web</code>
(needs Node 20 or newer), then reload. The API answers at <a href="/api/v1/openapi.json">/api/v1</a>.</p>
</body></html>"""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file of the build, held in memory: there are few and they are small."""

    body: bytes
    compressed: bytes | None
    media_type: str
    cache_control: str
    etag: str


def load_files(folder: Path) -> dict[str, WebFile]:
    """Return the files of a build by path below ``folder``; hidden ones are left out."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            files[name] = _load(path, name)
    return files


def _load(path: Path, name: str) -> WebFile:
    return _held(path.read_bytes(), name)


def _held(body: bytes, name: str) -> WebFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith((".js", ".mjs")):
        media_type = "text/javascript"
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    worthwhile = name.endswith(_COMPRESSED) and len(body) >= COMPRESS_FROM_BYTES
    return WebFile(
        body=body,
        compressed=gzip.compress(body, 9, mtime=0) if worthwhile else None,
        media_type=media_type,
        cache_control=_IMMUTABLE if name.startswith("assets/") else "no-cache",
        etag=f'"{blake2b(body, digest_size=12).hexdigest()}"',
    )


class _PageRoute(Route):
    """Matches what no other room owns, so that the API's own 404 and 405 stay its own."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return no match for the paths of other rooms."""
        first = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/").partition("/")[0]
        if first in _NOT_OURS:
            return Match.NONE, {}
        return super().matches(scope)


def install_static(app: FastAPI, folder: Path = WEB_DIR) -> None:
    """Serve the build in ``folder`` at every path that nobody else answers; call it last."""
    files = load_files(folder) if folder.is_dir() else {}

    async def page(request: Request) -> Response:
        return answer(files, request.path_params["path"], request)

    app.router.routes.append(_PageRoute("/{path:path}", page, methods=["GET"], include_in_schema=False))


def answer(files: dict[str, WebFile], path: str, request: Request) -> Response:
    """Return the file a path means, ``index.html`` for a route of the client, or 404 for a lost file.

    The build refers to its files relatively. Where a page lies deeper, as ``/traces/x``, a ``<base>`` says how far up
    they are. Whatever leads to ``/traces/assets/…`` all the same means the longest end of the path that is a file.
    """
    if "index.html" not in files:
        return Response(_MISSING, 503, {**PAGE_HEADERS, "cache-control": "no-store"}, "text/html; charset=utf-8")
    parts = [part for part in path.split("/") if part]
    for start in range(len(parts)):
        found = files.get("/".join(parts[start:]))
        if found is not None:
            return _file(found, request)
    if "assets" in parts:
        # An old page asks for a file of an earlier build: HTML in its place would only confuse it.
        return Response("not found", 404, {**PAGE_HEADERS, "cache-control": "no-store"}, "text/plain")
    depth = _depth(request)
    return _file(files["index.html"] if not depth else _deeper(files["index.html"], depth), request)


def _depth(request: Request) -> int:
    """Return how many folders below the root a browser takes the page to be: it does not decode ``%2F``."""
    below = request.scope.get("root_path", "")
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    return max(raw.count(b"/") - below.count("/") - 1, 0)


@lru_cache(maxsize=16)
def _deeper(page: WebFile, depth: int) -> WebFile:
    up = b"../" * depth
    return _held(page.body.replace(b"<head>", b'<head><base href="%s" />' % up, 1), "index.html")


def _file(file: WebFile, request: Request) -> Response:
    headers = {**PAGE_HEADERS, "cache-control": file.cache_control, "etag": file.etag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(None, 304, headers)
    if file.compressed is not None and takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(file.compressed, 200, {**headers, "content-encoding": "gzip"}, file.media_type)
    return Response(file.body, 200, headers, file.media_type)
