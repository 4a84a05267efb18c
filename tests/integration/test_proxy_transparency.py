"""What passes the proxy is what was sent, by hash, against an upstream that is a bare socket."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.unit.collector.proxy.wire import (
    CLOSE,
    RESET,
    Message,
    ProxyProcess,
    RawUpstream,
    Sink,
    ask,
    connected,
    standing,
)

OURS = {b"spanhouse-call-id", b"spanhouse-overhead-ms"}
PER_CONNECTION = {b"connection", b"keep-alive", b"host", b"transfer-encoding", b"te"}
Standing = tuple[ProxyProcess, RawUpstream, Sink]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("proxy")) as made:
        yield made


def request(method: str, target: str, headers: list[str], body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def compare(direct: Message, proxied: Message) -> None:
    assert [h for h in direct.headers if h[0] not in PER_CONNECTION] == [
        h for h in proxied.headers if h[0] not in PER_CONNECTION | OURS
    ]
    assert hashlib.sha256(direct.body).digest() == hashlib.sha256(proxied.body).digest()
    assert direct.trailers == proxied.trailers
    assert direct.whole == proxied.whole


JSON = b'{"model":"gpt-4o","messages":[{"role":"user","content":"gr\xc3\xbc\xc3\x9fe"}]}'
SIZED = f"Content-Length: {len(JSON)}"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    + bytes(range(256))
    + b"\r\n--b--\r\n"
)
CHUNKED = b"5\r\n" + JSON[:5] + b"\r\n1\r\n" + JSON[5:6] + b"\r\n%x\r\n" % len(JSON[6:]) + JSON[6:] + b"\r\n0\r\n"
REQUESTS = {
    "json": request("POST", "/v1/chat/completions", ["Content-Type: application/json", SIZED], JSON),
    "gzip": request(
        "POST",
        "/v1/responses",
        ["Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(JSON, mtime=0))}"],
        gzip.compress(JSON, mtime=0),
    ),
    "odd target": request("GET", "/v1/a%2Fb/../c//d%20e;x=1?q=%C3%BC&key=secret&a=&b", []),
    "delete": request("DELETE", "/v1/files/file-1", ["X-Twice: 1", "x-twice: 2", "Cookie: a=b; c=d"]),
    "unknown method": request("PATCH", "/v1/x", ["Content-Length: 0"]),
    "multipart": request(
        "POST",
        "/v1/audio/transcriptions",
        ["Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(MULTIPART)}"],
        MULTIPART,
    ),
    "chunked": request("POST", "/v1/x", ["Transfer-Encoding: chunked"], CHUNKED + b"\r\n"),
    "trailers": request(
        "POST", "/v1/x", ["Transfer-Encoding: chunked", "Trailer: X-Sum"], CHUNKED + b"X-Sum: abc\r\n\r\n"
    ),
    "unknown headers": request(
        "POST",
        "/v1/messages",
        ["anthropic-beta: a,b", "X-Stainless-Retry-Count: 0", "session_id: s-1", "Authorization: Bearer sk-1", SIZED],
        JSON,
    ),
}


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
def test_requests_arrive_as_sent(scene: Standing, raw: bytes) -> None:
    proxy, upstream, _ = scene
    first = len(upstream.requests)
    ask(upstream.port, raw)
    for prefix in (b"/openai", b"/proxy/openai"):
        method, target, rest = raw.split(b" ", 2)
        ask(proxy.port, b" ".join((method, prefix + target, rest)))
    direct, *proxied = upstream.requests[first:]
    assert len(proxied) == 2
    for each in proxied:
        assert each.line == direct.line
        compare(direct, each)
        assert each.header(b"host") == f"127.0.0.1:{upstream.port}".encode()


def test_our_headers_and_those_of_the_connection_stay_here(scene: Standing) -> None:
    proxy, upstream, _ = scene
    headers = [
        "Spanhouse-Session-Id: s", "Helicone-User-Id: u", "X-Spanhouse-Project: p", "Connection: keep-alive, X-Hop",
        "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authorization: Basic x", "X-Kept: 1",
    ]  # fmt: skip
    ask(proxy.port, request("GET", "/openai/v1/models", headers))
    assert [name for name, _ in upstream.requests[-1].headers] == [b"host", b"x-kept"]


SSE = 'data: {"choices":[{"delta":{"content":"grüße 🌍"}}]}\n\n'.encode()
ANSWERS = {
    "plain": [b"HTTP/1.1 200 OK\r\nDate: x\r\nServer: up\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\r\nabc"],
    "compressed": [
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(gzip.compress(JSON, mtime=0)),
        gzip.compress(JSON, mtime=0),
    ],
    "no content": [b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"],
    "redirect": [b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"],
    "overloaded": [b"HTTP/1.1 529 Overloaded\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"],
    "until close": [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"abc", 0.05, b"def", CLOSE],
    "chunked with trailers": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n",
        b"3\r\nabc\r\n", b"0\r\nX-Sum: 1\r\n\r\n",
    ],
    "early hints": [b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"],
    "broken chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0.05, RESET],
    "broken length": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0.05, CLOSE],
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_come_back_as_sent(scene: Standing, name: str) -> None:
    proxy, upstream, _ = scene
    path = b"/" + name.replace(" ", "-").encode()
    upstream.script[path] = list(ANSWERS[name])
    direct = ask(upstream.port, request("GET", path.decode(), []))
    proxied = ask(proxy.port, request("GET", "/openai" + path.decode(), []))
    assert proxied.line.split()[:2] == direct.line.split()[:2]
    compare(direct, proxied)


def test_head_has_the_length_and_no_body(scene: Standing) -> None:
    proxy, upstream, _ = scene
    upstream.script[b"/head"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"]
    with connected(proxy.port) as reader:
        for _ in range(2):  # on one connection: what follows is not taken for a body
            reader.connection.sendall(request("HEAD", "/openai/head", []))
            answer = reader.message(to_head=True)
            assert answer.header(b"content-length") == b"1234"
            assert not reader.buffer


def test_stream_pieces_arrive_when_they_are_sent(scene: Standing) -> None:
    proxy, upstream, _ = scene
    cut = SSE.index("ü".encode()) + 1  # inside a character
    pieces = [SSE[:cut], SSE[cut:], b"data", b": [DONE]\n", b"\n"]
    steps: list[object] = [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"]
    arrived = [threading.Event() for _ in pieces]
    for piece, event in zip(pieces, arrived, strict=True):
        steps += [b"%x\r\n%s\r\n" % (len(piece), piece), event]  # the next is sent when this one has come
    upstream.script[b"/sse"] = [*steps, b"0\r\n\r\n"]
    with connected(proxy.port) as reader:
        reader.connection.sendall(request("POST", "/openai/sse", ["Content-Length: 2"], b"{}"))
        head = reader.until(b"\r\n\r\n")
        sent = b""
        for piece, event in zip(pieces, arrived, strict=True):
            sent += piece
            while unchunked(reader.buffer) != sent:
                assert reader.more(), f"{piece} was held back"
            event.set()
        reader.buffer = head + b"\r\n\r\n" + reader.buffer
        assert reader.message().body == sent


def unchunked(data: bytes) -> bytes:
    """Return what has come of a chunked body, whether the last chunk is whole or not."""
    body = b""
    while (mark := data.find(b"\r\n")) >= 0:
        size = int(data[:mark], 16)
        body += data[mark + 2 : mark + 2 + size]
        data = data[mark + 4 + size :]
    return body


@pytest.mark.parametrize("continues", [True, False], ids=["upstream says go on", "upstream ignores it"])
def test_expect_continue(scene: Standing, continues: bool) -> None:
    proxy, upstream, _ = scene
    upstream.continues = continues
    with connected(proxy.port) as reader:
        reader.connection.sendall(
            request("POST", "/openai/v1/x", ["Expect: 100-continue", f"Content-Length: {len(JSON)}"])
        )
        assert reader.head().line.startswith(b"HTTP/1.1 100")
        reader.connection.sendall(JSON)
        assert reader.message().line.startswith(b"HTTP/1.1 200")
    assert upstream.requests[-1].body == JSON
    assert upstream.requests[-1].header(b"expect") == b"100-continue"


def test_a_hundred_megabytes_pass_both_ways_in_little_memory(scene: Standing) -> None:
    proxy, upstream, _ = scene
    piece = bytes(range(256)) * 4096
    size = 100 * len(piece)
    upstream.script[b"/big"] = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, *[piece] * 100]
    process = psutil.Process(proxy.process.pid)
    before = process.memory_info().rss
    with connected(proxy.port) as reader:
        reader.connection.sendall(request("POST", "/openai/big", [f"Content-Length: {size}"]))
        for _ in range(100):
            reader.connection.sendall(piece)
        answer = reader.head()
        # A slow reader: the proxy must not take the whole answer in meanwhile.
        time.sleep(0.5)
        grown = process.memory_info().rss - before
        answer.body = reader.exactly(size)
    whole = hashlib.sha256(piece * 100).digest()
    assert hashlib.sha256(answer.body).digest() == whole
    assert hashlib.sha256(upstream.requests[-1].body).digest() == whole
    upstream.requests.pop()
    assert grown < 120 * 1024 * 1024


def test_a_client_that_goes_away_ends_the_upstream_call(scene: Standing) -> None:
    proxy, upstream, sink = scene
    upstream.script[b"/v1/slow"] = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 10.0]
    upstream.gone.clear()
    with connected(proxy.port) as reader:
        reader.connection.sendall(request("GET", "/openai/v1/slow", []))
        reader.until(b"abc")
    assert upstream.gone.wait(30)
    upstream.gone.clear()
    upstream.script[b"/v1/silent"] = [10.0]
    before = len(upstream.requests)
    with connected(proxy.port) as reader:
        reader.connection.sendall(request("GET", "/openai/v1/silent", []))
        while len(upstream.requests) == before:
            time.sleep(0.01)
    assert upstream.gone.wait(30)


def test_an_upstream_that_is_not_there(tmp_path_factory: pytest.TempPathFactory, scene: Standing) -> None:
    proxy, upstream, _ = scene
    upstream.script[b"/v1/none"] = [RESET]
    answer = ask(proxy.port, request("GET", "/openai/v1/none", []))
    assert answer.line.startswith(b"HTTP/1.1 502")
    assert answer.header(b"spanhouse-error") == b"upstream_broken"
    assert b"before it answered" in answer.body


def test_a_signed_bedrock_request_is_refused_with_the_way_out(scene: Standing) -> None:
    proxy, _, _ = scene
    answer = ask(
        proxy.port,
        request(
            "POST", "/bedrock/us-east-1/model/m/converse", ["Authorization: AWS4-HMAC-SHA256 x", "Content-Length: 0"]
        ),
    )
    assert answer.line.startswith(b"HTTP/1.1 400")
    assert b"AWS_BEARER_TOKEN_BEDROCK" in answer.body


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
           "Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: permessage-deflate", "OpenAI-Beta: realtime=v1"]  # fmt: skip


def test_websockets_pass_byte_by_byte(scene: Standing) -> None:
    proxy, upstream, _ = scene
    accepted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Up: 1\r\n\r\n"
    from_server = b"\x81\x05hello\x89\x00\x88\x02\x03\xe8"
    upstream.script[b"/v1/realtime"] = [accepted, 0.1, from_server, CLOSE]
    with connected(proxy.port) as reader:
        reader.connection.sendall(
            request("GET", "/openai/v1/realtime?model=gpt-4o", [*UPGRADE, "Spanhouse-User-Id: u"])
        )
        assert reader.head().header(b"x-up") == b"1"
        reader.connection.sendall(
            b"\x81\x85\x01\x02\x03\x04" + bytes(a ^ b for a, b in zip(b"there", b"\x01\x02\x03\x04\x01", strict=True))
        )
        while reader.more():
            pass
        assert reader.buffer == from_server
    seen = upstream.requests[-1]
    assert seen.line == b"GET /v1/realtime?model=gpt-4o HTTP/1.1"
    names = [name for name, _ in seen.headers]
    assert sorted(names) == sorted([b"host", *(line.split(":")[0].lower().encode() for line in UPGRADE)])


def test_another_sites_page_opens_no_websocket(scene: Standing) -> None:
    proxy, upstream, _ = scene
    before = len(upstream.requests)
    for headers in (["Origin: https://evil.example"], ["Origin: null"]):
        answer = ask(proxy.port, request("GET", "/openai/v1/realtime", [*UPGRADE, *headers]))
        assert (answer.line.split()[1], answer.header(b"spanhouse-error")) == (b"403", b"foreign_page")
    assert len(upstream.requests) == before


def test_a_refused_upgrade_is_passed_on_and_closed(scene: Standing) -> None:
    proxy, upstream, _ = scene
    upstream.script[b"/v1/responses"] = [b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno"]
    with connected(proxy.port) as reader:
        reader.connection.sendall(request("GET", "/openai/v1/responses", UPGRADE))
        answer = reader.message()
        assert (answer.line.split()[1], answer.body) == (b"426", b"no")
        assert not reader.more()
