"""JSON replies: compressed for those who take it, and only where that pays."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from spanhouse_server.show.replies import JsonReply, takes_gzip

_SIZES = {"small": 10, "middle": 5_000, "large": 600_000}


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/{size}")
    def get(size: str) -> JsonReply:
        return JsonReply(_content(size))

    return TestClient(app, base_url="http://127.0.0.1")


def _content(size: str) -> dict[str, Any]:
    return {"text": "täxt " * (_SIZES[size] // 5)}


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("accepts", ["gzip, deflate, br", "identity"])
def test_the_same_json_arrives_compressed_or_not(client: TestClient, size: str, accepts: str) -> None:
    reply = client.get(f"/{size}", headers={"accept-encoding": accepts})
    assert reply.json() == _content(size)
    assert reply.headers["cache-control"] == "no-store"
    compressed = size != "small" and accepts != "identity"
    assert (reply.headers.get("content-encoding") == "gzip") == compressed
    assert ("accept-encoding" in reply.headers.get("vary", "")) == (size != "small")
    assert (int(reply.headers["content-length"]) < len(reply.content)) == compressed


def test_a_large_reply_is_compressed_beside_the_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[int, str] = {}
    compress = gzip.compress

    def watched(body: bytes, *args: Any, **named: Any) -> bytes:
        threads[len(body)] = threading.current_thread().name
        return compress(body, *args, **named)

    monkeypatch.setattr(gzip, "compress", watched)
    with client:
        for size in ("middle", "large"):
            client.get(f"/{size}")
    (middle, large) = sorted(threads)
    assert threads[middle] != threads[large]
    assert "worker" in threads[large].lower()


@pytest.mark.parametrize("header", ["gzip", "GZIP", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*", "gzip;q=0.001", "gzip; q=1"])
def test_takes_gzip(header: str) -> None:
    assert takes_gzip(header)


@pytest.mark.parametrize("header", ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "xgzip"])
def test_takes_no_gzip(header: str) -> None:
    assert not takes_gzip(header)
