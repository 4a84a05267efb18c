"""Media over the API: who may have them, and how they are handed to a browser."""

from __future__ import annotations

from hashlib import sha256

import pytest

from spanhouse_server.model.blob import Blob
from spanhouse_server.store.blobs import BlobRows, keep_blobs
from spanhouse_server.store.contract import ColumnarStore
from tests.samples_media import b64, pdf, png, wav
from tests.stored import T0
from tests.unit.show.conftest import ADMIN, House

PNG, WAV = png(), wav()


def put(store: ColumnarStore, data: bytes, kind: str = "image/png", project: str = "default") -> str:
    digest = sha256(data).hexdigest()
    rows = BlobRows()
    rows.add(project, T0, 0, [Blob(digest, kind, len(data), b64(data))])
    keep_blobs(store, rows)
    return f"/api/v1/blobs/{digest}"


def test_bytes_come_back_with_their_type(house: House, store: ColumnarStore) -> None:
    path = put(store, PNG)
    reply = house.client.get(path)
    assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, PNG, "image/png")
    assert reply.headers["content-disposition"].startswith("inline")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"].startswith("sandbox")
    assert reply.headers["cache-control"] == "private, max-age=86400, immutable"
    assert "cookie" in reply.headers["vary"].lower()
    head = house.client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(PNG)))
    assert head.headers["content-type"] == "image/png"
    assert house.client.get(path[:-31].upper().replace("/API/V1/BLOBS/", "/api/v1/blobs/")).content == PNG
    saved = house.client.get(path + "?download=true")
    assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("kind", "shown_as"),
    [
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("text/xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("application/pdf", "application/pdf"),
    ],
)
def test_what_could_act_in_a_browser_is_only_saved(
    house: House, store: ColumnarStore, kind: str, shown_as: str
) -> None:
    reply = house.client.get(put(store, f"<script>{kind}</script>".encode(), kind))
    assert reply.headers["content-type"] == shown_as
    assert reply.headers["content-disposition"].startswith("attachment; filename=")


def test_plain_text_is_shown_as_text(house: House, store: ColumnarStore) -> None:
    reply = house.client.get(put(store, b"<b>plain</b>", "text/plain"))
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_an_etag_saves_the_bytes(house: House, store: ColumnarStore) -> None:
    path = put(store, PNG)
    etag = house.client.get(path).headers["etag"]
    for tags in (etag, f'W/{etag}, "other"', "*"):
        reply = house.client.get(path, headers={"if-none-match": tags})
        assert (reply.status_code, reply.content) == (304, b"")
    assert house.client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(WAV)),
        ("bytes=-50", len(WAV) - 50, len(WAV)),
        ("bytes=-99999999", 0, len(WAV)),
        (f"bytes=10-{10**14}", 10, len(WAV)),
    ],
)
def test_a_range_is_part_of_the_bytes(house: House, store: ColumnarStore, asked: str, first: int, end: int) -> None:
    path = put(store, WAV, "audio/wav")
    reply = house.client.get(path, headers={"range": asked})
    assert (reply.status_code, reply.content) == (206, WAV[first:end])
    assert reply.headers["content-range"] == f"bytes {first}-{end - 1}/{len(WAV)}"
    other = house.client.get(path, headers={"range": asked, "if-range": '"other"'})
    assert (other.status_code, other.content) == (200, WAV)


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes=a-b", "bytes=1-" + "9" * 40]
)
def test_a_range_that_cannot_be_read_is_none(house: House, store: ColumnarStore, asked: str) -> None:
    reply = house.client.get(put(store, WAV, "audio/wav"), headers={"range": asked})
    assert (reply.status_code, reply.content) == (200, WAV)


def test_a_range_behind_the_end_is_refused(house: House, store: ColumnarStore) -> None:
    path = put(store, WAV, "audio/wav")
    for asked in (f"bytes={len(WAV)}-", "bytes=-0"):
        reply = house.client.get(path, headers={"range": asked})
        assert (reply.status_code, reply.json()["error"]["code"]) == (416, "bad_range")
        assert reply.headers["content-range"] == f"bytes */{len(WAV)}"


def test_another_project_has_none_of_it(locked: House, store: ColumnarStore) -> None:
    path = put(store, pdf(), "application/pdf", project="other")
    own, foreign = (locked.records.create_key(project, "k")[1] for project in ("other", "default"))

    def ask(secret: str, way: str = path) -> int:
        return locked.client.get(way, headers={"authorization": f"Bearer {secret}"}).status_code

    assert ask(own) == 200
    assert ask(foreign) == 404
    assert ask(foreign, path[:-32]) == 404
    assert ask(foreign, path + "?project=other") == 403
    assert locked.client.get(path).status_code == 401
    assert locked.client.head(path, headers={"x-api-key": foreign}).status_code == 404
    assert ask(ADMIN, path + "?project=other") == 200


def test_what_is_no_hash_is_refused(house: House) -> None:
    for bad in ("abc", "g" * 64, "a" * 65, "%27%20OR%201"):
        assert house.client.get(f"/api/v1/blobs/{bad}").status_code == 400
    missing = house.client.get(f"/api/v1/blobs/{'a' * 64}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
