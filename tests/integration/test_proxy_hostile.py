"""What a hostile client or upstream sends: nothing is read in two ways, nothing grows without bound, no secret stays."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.collector.proxy.wire import CLOSE, ProxyProcess, RawUpstream, Sink, ask, connected, standing

Standing = tuple[ProxyProcess, RawUpstream, Sink]
HOST = b"Host: localhost\r\n"
BODY = b'{"a":1}'
CHUNKS = b"7\r\n" + BODY + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("proxy")) as made:
        yield made


def post(*headers: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join([b"POST /openai/x HTTP/1.1", HOST + headers[0], *headers[1:], b"", body])


#: Each may be read in two ways by two parsers, and so hide a second request from one of them.
AMBIGUOUS = {
    "length and chunks": post(b"Content-Length: 7", b"Transfer-Encoding: chunked", body=CHUNKS),
    "a request behind the chunks": post(
        b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /openai/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "two lengths": post(b"Content-Length: 7", b"Content-Length: 3"),
    "one length twice": post(b"Content-Length: 7", b"Content-Length: 7"),
    "a list of lengths": post(b"Content-Length: 7, 7"),
    "a signed length": post(b"Content-Length: +7"),
    "a negative length": post(b"Content-Length: -7"),
    "another coding": post(b"Transfer-Encoding: xchunked", body=CHUNKS),
    "chunks not last": post(b"Transfer-Encoding: chunked, identity", body=CHUNKS),
    "two codings": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=CHUNKS),
    "a folded header": post(b"X-A: b", b" folded: 1", b"Content-Length: 7"),
    "bare line feeds": b"GET /openai/x HTTP/1.1\nHost: localhost\n\n",
    "a line feed in a header": post(b"X-A: b\nX-B: c", b"Content-Length: 7"),
    "a carriage return in a header": post(b"X-A: b\rX-B: c", b"Content-Length: 7"),
    "a null in a header": post(b"X-A: b\0c", b"Content-Length: 7"),
    "a blank before the colon": post(b"Content-Length : 7"),
    "a chunk of no size": post(b"Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_can_be_read_in_two_ways_is_refused(scene: Standing, name: str) -> None:
    proxy, upstream, _ = scene
    before = len(upstream.requests)
    with connected(proxy.port) as reader:
        reader.connection.sendall(AMBIGUOUS[name])
        answer = reader.message()
        assert answer.line.split()[1] == b"400"
        assert not reader.more(), "the connection stays open for what follows"
    # A body may have begun before its fault showed: then what came of it never looks whole.
    assert not [each for each in upstream.requests[before:] if each.whole]


#: What an upstream may answer that two parsers read differently, or that is no answer.
BROKEN = {
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a header split in two": b"HTTP/1.1 200 OK\r\nX-A: a\nSet-Cookie: x=1\r\nContent-Length: 3\r\n\r\nabc",
    "a control character": b"HTTP/1.1 200 OK\r\nX-A: a\x01b\r\nContent-Length: 3\r\n\r\nabc",
    "a coding for the way": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no status": b"HTTP/1.1 099 Odd\r\nContent-Length: 1\r\n\r\nx",
    "no HTTP": b"SSH-2.0-x\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000 + b"\r\nContent-Length: 1\r\n\r\nx",
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none_is_told_as_the_upstreams_fault(scene: Standing, name: str) -> None:
    proxy, upstream, _ = scene
    upstream.script[b"/broken"] = [BROKEN[name], 0.05, CLOSE]
    answer = ask(proxy.port, b"GET /openai/broken HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (answer.line.split()[1], answer.header(b"spanhouse-error")) == (b"502", b"upstream_broken")


def test_a_second_answer_is_nobodys(scene: Standing) -> None:
    proxy, upstream, _ = scene
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    upstream.script[b"/twice"] = [one + b"first" + one + b"other"]
    upstream.script[b"/once"] = [one + b"right"]
    with connected(proxy.port) as reader:
        for path, body in ((b"twice", b"first"), (b"once", b"right"), (b"twice", b"first"), (b"once", b"right")):
            reader.connection.sendall(b"GET /openai/%s HTTP/1.1\r\n" % path + HOST + b"\r\n")
            assert reader.message().body == body


def test_statuses_nobody_knows_pass_and_only_we_tell_our_figures(scene: Standing) -> None:
    proxy, upstream, _ = scene
    for status in (b"600", b"999"):
        upstream.script[b"/odd"] = [
            b"HTTP/1.1 %s Odd\r\nSpanhouse-Call-Id: forged\r\nSpanhouse-Overhead-Ms: 0\r\nContent-Length: 1\r\n\r\nx" % status
        ]  # fmt: skip
        answer = ask(proxy.port, b"GET /openai/odd HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (answer.line.split()[1], answer.body) == (status, b"x")
        named = [value for name, value in answer.headers if name == b"spanhouse-call-id"]
        assert len(named) == 1
        assert named != [b"forged"]


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


def test_a_client_of_http_1_0_gets_no_chunks(scene: Standing) -> None:
    proxy, upstream, _ = scene
    upstream.script[b"/chunked"] = [CHUNKED, 0.02, b"3\r\ndef\r\n0\r\n\r\n"]
    upstream.script[b"/cut"] = [CHUNKED, 0.1, CLOSE]
    upstream.script[b"/cut"] = [CHUNKED, 0.02, CLOSE]
    with connected(proxy.port) as reader:
        reader.connection.sendall(b"GET /openai/chunked HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = reader.head()
        assert not head.header(b"transfer-encoding")
        while reader.more():
            pass
        assert reader.buffer == b"abcdef"
    with connected(proxy.port) as reader:
        reader.connection.sendall(b"GET /openai/cut HTTP/1.0\r\nHost: localhost\r\n\r\n")
        reader.head()
        # Only a reset tells such a client that its answer is not whole.
        reader.connection.settimeout(10)
        reader.buffer = reader.buffer or reader.connection.recv(100)
        with pytest.raises(ConnectionResetError):
            reader.connection.recv(100)
        assert b"abc".startswith(reader.buffer)


def test_pipelined_requests_are_answered_in_order(scene: Standing) -> None:
    proxy, upstream, _ = scene
    for number in range(3):
        upstream.script[b"/n%d" % number] = [
            0.05 * (3 - number),
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number,
        ]
    with connected(proxy.port) as reader:
        reader.connection.sendall(
            b"".join(b"GET /openai/n%d HTTP/1.1\r\n" % each + HOST + b"\r\n" for each in range(3))
        )
        assert [reader.message().body for _ in range(3)] == [b"0", b"1", b"2"]


def test_an_absolute_address_names_no_other_host(scene: Standing) -> None:
    proxy, upstream, _ = scene
    ask(proxy.port, b"GET http://evil.example/openai/x?y=1 HTTP/1.1\r\n" + HOST + b"\r\n")
    seen = upstream.requests[-1]
    assert (seen.line, seen.header(b"host")) == (b"GET /x?y=1 HTTP/1.1", b"127.0.0.1:%d" % upstream.port)
    before = len(upstream.requests)
    for path in (b"//evil.example/openai/x", b"/openai@evil.example/x", b"/openai\\..\\x", b"/%6fpenai/x"):
        answer = ask(proxy.port, b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answer.header(b"spanhouse-error") == b"unknown_upstream"
    assert len(upstream.requests) == before


def test_a_head_without_end_is_cut_off(scene: Standing) -> None:
    proxy, upstream, _ = scene
    before = len(upstream.requests)
    for endless in (b"X-A: " + b"a" * 3_000_000, b"".join(b"X-%d: 1\r\n" % each for each in range(300_000))):
        with connected(proxy.port) as reader:
            try:
                reader.connection.sendall(b"GET /openai/x HTTP/1.1\r\n" + HOST + endless)
                assert reader.message().line.split()[1] == b"431"
            except (ConnectionError, EOFError):
                pass  # it was cut off while we were sending
    assert len(upstream.requests) == before
    assert ask(proxy.port, b"GET /openai/x HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n").whole


SECRETS = [f"sk-hidden-{number:02}" for number in range(14)]


def test_no_secret_is_kept_anywhere(tmp_path: Path) -> None:
    s = SECRETS
    upstream = RawUpstream()
    upstream.default = [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: %s\r\nX-Session-Token: %s\r\nContent-Length: 2\r\n\r\n{}"
        % (s[0].encode(), s[1].encode())
    ]  # fmt: skip
    upstream.script[b"/v1/hangs"] = [
        b"HTTP/1.1 200 OK\r\nSet-Cookie: %s\r\nContent-Length: 99\r\n\r\nx" % s[0].encode(),
        60.0,
    ]
    proxy = ProxyProcess(tmp_path, "http://127.0.0.1:9", "--upstream", f"openai=http://127.0.0.1:{upstream.port}")
    head = (
        f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {s[2]}\r\nX-Api-Key: {s[3]}\r\nApi-Key: {s[4]}\r\n"
        f"X-Goog-Api-Key: {s[5]}\r\nCookie: session={s[6]}\r\nProxy-Authorization: Basic {s[7]}\r\n"
        f"Helicone-Auth: Bearer {s[9]}\r\nSpanhouse-Key: {s[10]}\r\nX-Amz-Security-Token: {s[11]}\r\n"
        f'Spanhouse-Fallbacks: [{{}}, {{"headers": {{"authorization": "Bearer {s[12]}"}}}}]\r\n'
        f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{s[13]}\r\n"
    ).encode()
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"remember me"}]}'
    try:
        proxy.start()
        for path in (b"chat/completions", b"unknown/endpoint"):
            raw = (
                b"POST /openai/v1/%s?key=%s " % (path, s[8].encode()) + head + b"Content-Length: %d\r\n\r\n" % len(body)
            )
            assert ask(proxy.port, raw + body).body == b"{}"
        upgrade = (
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        ask(proxy.port, b"GET /openai/v1/realtime?key=%s " % s[8].encode() + head + upgrade)
        with connected(proxy.port) as reader:  # under way when both processes die: it stays in the journal
            raw = b"POST /openai/v1/hangs?key=%s " % s[8].encode() + head + b"Content-Length: %d\r\n\r\n" % len(body)
            reader.connection.sendall(raw + body)
            reader.head()
            time.sleep(1.5)
            proxy.kill()
    finally:
        proxy.kill()
        upstream.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    kept = b"".join(path.read_bytes() for path in files)
    assert b"remember me" in kept, "nothing was kept, so nothing is shown"
    assert any(path.suffix == ".frames" for path in files)
    assert b"hangs" in b"".join(path.read_bytes() for path in files if path.suffix == ".frames")
    for secret in SECRETS:
        assert secret.encode() not in kept
        assert secret not in "".join(proxy.output)
        assert any(secret.encode() in str(each).encode() for each in upstream.requests) or secret in (
            s[0], s[1], s[7], s[9], s[10], s[12],
        )  # fmt: skip


def test_clients_that_say_nothing_or_little_hold_up_nobody(scene: Standing) -> None:
    proxy, _, _ = scene
    idle = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(200)]
    try:
        for number, connection in enumerate(idle):
            if number % 2:
                connection.sendall(b"POST /openai/x HTTP/1.1\r\nHost: loc")
        for _ in range(10):
            assert ask(proxy.port, b"GET /openai/x HTTP/1.1\r\n" + HOST + b"\r\n").whole
    finally:
        for connection in idle:
            connection.close()


def test_the_environment_decides_nothing_unless_asked(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"
    )
    with standing(tmp_path, env=nowhere) as (proxy, upstream, sink):
        assert ask(proxy.port, b"GET /openai/x HTTP/1.1\r\n" + HOST + b"\r\n").body == b"{}"
        assert len(upstream.requests) == len(sink.wait(1)) == 1


def test_an_upstream_of_ipv6(tmp_path: Path) -> None:
    upstream = RawUpstream("::1")
    proxy = ProxyProcess(tmp_path, "http://127.0.0.1:9", "--upstream", f"openai=http://[::1]:{upstream.port}")
    try:
        assert ask(proxy.start().port, b"GET /openai/x HTTP/1.1\r\n" + HOST + b"\r\n").body == b"{}"
        assert upstream.requests[0].header(b"host") == b"[::1]:%d" % upstream.port
    finally:
        proxy.kill()
        upstream.close()
