"""Langfuse's uploads, as its SDKs make them: announced, sent without credentials, reported; kept as blobs."""

# ruff: noqa: F811 - fixtures of another file

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanhouse_server.decode import MAX_RECORD_BYTES
from spanhouse_server.errors import Forbidden
from spanhouse_server.normalise.langfuse_media import media_id
from spanhouse_server.query.blobs import blob_bytes, blob_head
from spanhouse_server.receive import langfuse_media
from tests import otlp
from tests.samples_media import png, wav
from tests.unit.receive.conftest import ReceivingEnd, serving
from tests.unit.receive.test_vendor_stored import Kept, kept, store  # noqa: F401  fixtures

Row = dict[str, Any]


def ask(end: ReceivingEnd, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", end.http_port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def announcement(data: bytes, kind: str = "image/png", **more: Any) -> bytes:
    digest = base64.b64encode(sha256(data).digest()).decode()
    said = {"traceId": "t", "contentType": kind, "contentLength": len(data), "sha256Hash": digest, "field": "input"}
    return json.dumps(said | more).encode()


def upload(end: ReceivingEnd, data: bytes, kind: str = "image/png") -> str:
    """Upload as the SDKs do; return the id."""
    status, answer = ask(end, "POST", "/api/public/media", announcement(data, kind))
    assert (status, answer["mediaId"]) == (201, media_id(sha256(data).hexdigest()))
    address = urlsplit(answer["uploadUrl"])
    assert f"{address.scheme}://{address.netloc}" == end.url
    assert ask(end, "PUT", f"{address.path}?{address.query}", data, content_type=kind)[0] == 200
    assert ask(end, "PATCH", f"/api/public/media/{answer['mediaId']}", b'{"uploadHttpStatus":200}') == (204, None)
    return answer["mediaId"]


def test_an_upload_is_shown_by_the_span_that_names_it(kept: Kept) -> None:
    data, trace_id = png(seed=77), "77" * 16
    uploaded = upload(kept.end, data)
    token = f"@@@langfuseMedia:type=image/png|id={uploaded}|source=base64_data_uri@@@"
    said = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": token}}]}]
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.input": json.dumps(said)}
    body = otlp.request(otlp.span(trace_id, "7" * 16, name="g", attributes=attributes), scope="langfuse-sdk")
    assert kept.end.post("/api/public/otel/v1/traces", body).status == 200
    kept.drain()
    (part,) = kept.spans(trace_id)["g"]["input_messages"][0]["parts"]
    assert (part["type"], part["modality"], part["mime_type"]) == ("uri", "image", "image/png")
    found = blob_head(kept.store, "default", part["address"].rpartition("/")[2])
    assert (found.hash, found.media_type, found.size_bytes) == (sha256(data).hexdigest(), "image/png", len(data))
    assert blob_bytes(kept.store, "default", found.hash) == data
    assert kept.counted() == (1, 1, 0, 0)
    assert kept.store.select("SELECT count() AS n FROM logs WHERE project_id = 'default'") == [{"n": 0}]


def test_small_media_and_what_shows_no_type_are_kept_too(kept: Kept) -> None:
    for data, kind in (
        (b"tiny", "application/octet-stream"),
        (bytes(range(256)), "audio/pcm"),
        (wav(0.01), "audio/wav"),
    ):
        upload(kept.end, data, kind)
        kept.drain()
        assert blob_head(kept.store, "default", sha256(data).hexdigest()).media_type == kind
        assert blob_bytes(kept.store, "default", sha256(data).hexdigest()) == data


def test_what_was_just_uploaded_is_not_asked_for_again(end: ReceivingEnd) -> None:
    data = png(seed=78)
    upload(end, data)
    status, answer = ask(end, "POST", "/api/public/media", announcement(data))
    assert (status, answer) == (200, {"mediaId": media_id(sha256(data).hexdigest()), "uploadUrl": None})
    assert len(end.entries()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        announcement(b"x", sha256Hash="short"),
        announcement(b"x", sha256Hash=None),
        announcement(b"x", contentLength=0),
        announcement(b"x", contentLength="1"),
        announcement(b"x", contentLength=MAX_RECORD_BYTES),
        announcement(b"x", contentLength=True),
    ],
)
def test_an_announcement_that_says_too_little_is_refused(end: ReceivingEnd, body: bytes) -> None:
    status, answer = ask(end, "POST", "/api/public/media", body)
    assert status == 400
    assert answer["message"]


def test_only_what_was_announced_is_taken(end: ReceivingEnd) -> None:
    data = png(seed=79)
    address = ask(end, "POST", "/api/public/media", announcement(data))[1]["uploadUrl"].removeprefix(end.url)
    assert ask(end, "PUT", address, data[:-1])[0] == 400
    assert ask(end, "PUT", address, data[:-1] + b"!")[0] == 400
    assert ask(end, "PUT", address, data + b"!")[0] in (400, 413)
    path, _, grant = address.partition("?grant=")
    for forged in ("", ".", "x.y", grant[:-2] + "AA", "A" + grant[1:], grant.partition(".")[0], "é.é"):
        assert (
            ask(
                end,
                "PUT",
                f"{path}?grant={forged.encode('latin-1', 'ignore').hex() if not forged.isascii() else forged}",
                data,
            )[0]
            == 403
        )
    assert ask(end, "PUT", f"/api/public/media/{'A' * 22}/bytes?grant={grant}", data)[0] == 403
    assert end.entries() == []
    assert ask(end, "PUT", address, data)[0] == 200


def test_a_grant_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    data, key = b"some bytes", b"k" * 32
    grant = langfuse_media.asked("p", announcement(data), 1000)
    assert langfuse_media.granted(grant.signed(key), grant.media_id, key) == grant
    with pytest.raises(Forbidden):
        langfuse_media.granted(grant.signed(b"other"), grant.media_id, key)
    monkeypatch.setattr("time.time", lambda: grant.until_s + 1)
    with pytest.raises(Forbidden):
        langfuse_media.granted(grant.signed(key), grant.media_id, key)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_no_text_is_a_grant(text: str) -> None:
    with pytest.raises(Forbidden):
        langfuse_media.granted(text, "A" * 22, b"k" * 32)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[ReceivingEnd]:
    with serving(tmp_path, admin_key="a" * 24, require_keys=True) as opened:
        yield opened


def test_an_upload_goes_to_the_project_of_the_key(locked: ReceivingEnd) -> None:
    locked.records.create_project("acme")
    secret = locked.records.create_key("acme", "k")[1]
    basic = "Basic " + base64.b64encode(f"pk-lf-x:{secret}".encode()).decode()
    data = png(seed=80)
    assert ask(locked, "POST", "/api/public/media", announcement(data))[0] == 401
    assert ask(locked, "PATCH", "/api/public/media/x", b"{}")[0] == 401
    status, answer = ask(locked, "POST", "/api/public/media", announcement(data), authorization=basic)
    assert status == 201
    # As the SDKs do: without credentials.
    assert ask(locked, "PUT", answer["uploadUrl"].removeprefix(locked.url), data)[0] == 200
    assert [entry.project_id for entry in locked.entries()] == ["acme"]


def test_the_address_is_the_one_the_sender_knows(end: ReceivingEnd) -> None:
    behind = {"x_forwarded_proto": "https", "x_forwarded_prefix": "/spans/", "host": "traces.example.org"}
    answer = ask(end, "POST", "/api/public/media", announcement(png(seed=81)), **behind)[1]
    assert answer["uploadUrl"].startswith("https://traces.example.org/spans/api/public/media/")
