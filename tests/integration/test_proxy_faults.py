"""Nothing that goes wrong behind the proxy is seen by a client, and nothing recorded is lost."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
import time
from pathlib import Path

import psutil

from tests.unit.collector.proxy.wire import Message, ProxyProcess, RawUpstream, Reader, Sink, ask, connected, standing
from tests.waiting import until

BODY = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
ANSWER = (
    b'{"id":"c","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'
)
REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nSet-Cookie: s=sk-cookie\r\nContent-Length: %d\r\n\r\n"
    % len(ANSWER)
)


def chat(headers: str = "") -> bytes:
    return (
        f"POST /openai/v1/chat/completions?key=sk-query HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-secret\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n{headers}\r\n"
    ).encode() + BODY


def call(reader: Reader, headers: str = "") -> Message:
    reader.connection.sendall(chat(headers))
    answer = reader.message()
    assert answer.line == b"HTTP/1.1 200 OK"
    assert answer.body == ANSWER
    return answer


def kept(data_dir: Path) -> int:
    """Return how many spans lie in the queue on disk."""
    with contextlib.closing(sqlite3.connect(data_dir / "queue.db", timeout=10)) as connection:
        return int(connection.execute("SELECT COALESCE(SUM(spans), 0) FROM batches").fetchone()[0])


def test_calls_are_recorded_without_credentials(tmp_path: Path) -> None:
    with standing(tmp_path) as (proxy, upstream, sink):
        upstream.default = [REPLY + ANSWER]
        trace = "0af7651916cd43dd8448eb211c80319c"
        with connected(proxy.port) as reader:
            call(
                reader, f"traceparent: 00-{trace}-b7ad6b7169203331-01\r\nX-Session-Id: s-1\r\nHelicone-User-Id: u-1\r\n"
            )
            call(reader, "Spanhouse-Omit-Request: true\r\nSpanhouse-Omit-Response: TRUE\r\nSpanhouse-Tags: a, b\r\n")
            assert not call(reader).header(b"spanhouse-warning")
            warned = call(reader, "Spanhouse-Omit-Request: no way\r\n")
            assert warned.header(b"spanhouse-warning").startswith(b"Spanhouse-Omit-Request is neither true nor false")
        upstream.script[b"/v1/broken"] = [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0.02, "close"]
        ask(proxy.port, b"GET /openai/v1/broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
        spans = sink.wait(5)
        first, second, _, fourth = (span for span in spans if span.get("gen_ai.request.model") == "gpt-4o")
        assert "gen_ai.input.messages" not in fourth
        assert (first["trace"], first["parent"]) == (trace, "b7ad6b7169203331")
        assert upstream.requests[0].header(b"traceparent") == f"00-{trace}-{first['span']}-01".encode()
        assert (first["session.id"], first["user.id"]) == ("s-1", "u-1")
        assert (first["gen_ai.usage.input_tokens"], first["gen_ai.usage.output_tokens"]) == (5, 2)
        assert "hello" in str(first["gen_ai.output.messages"])
        assert second["gen_ai.usage.input_tokens"] == 5
        assert "gen_ai.input.messages" not in second
        assert "gen_ai.output.messages" not in second
        assert any(span.get("error.type") == "connection_broken" for span in spans)
        everything = b"".join(sink.bodies)
        for secret in (b"sk-secret", b"sk-query", b"sk-cookie"):
            assert secret not in everything
        assert b"sk-" not in "".join(proxy.output).encode()


def test_an_absent_endpoint_delays_nobody_and_gets_everything_later(tmp_path: Path) -> None:
    # It takes connections and never answers: what waited for it would wait for good.
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    upstream = RawUpstream()
    upstream.default = [REPLY + ANSWER]
    flags = ("--upstream", f"openai=http://127.0.0.1:{upstream.port}")
    proxy = ProxyProcess(tmp_path, f"http://127.0.0.1:{port}", *flags).start()
    try:
        with connected(proxy.port) as reader:
            for _ in range(101):
                call(reader)
        until(lambda: kept(tmp_path) == 101)  # the recorder gathers for a moment
        proxy.kill()
        # What was kept survives kill -9 of everything, and goes out by the next proxy.
        proxy = ProxyProcess(tmp_path, f"http://127.0.0.1:{port}", *flags).start()
        with connected(proxy.port) as reader:
            for _ in range(10):
                call(reader)
        silent.close()
        sink = Sink(port)
        spans = sink.wait(111)
        time.sleep(0.3)
        assert len({span["span"] for span in spans}) == len(sink.spans()) == 111
        sink.close()
    finally:
        proxy.kill()
        upstream.close()


def test_an_endpoint_that_refuses_is_asked_again(tmp_path: Path) -> None:
    with standing(tmp_path) as (proxy, upstream, sink):
        upstream.default = [REPLY + ANSWER]
        sink.status = 503
        with connected(proxy.port) as reader:
            call(reader)
        until(lambda: sink.refused)
        assert not sink.spans()
        sink.status = 200
        sink.wait(1)


def recorders(proxy: ProxyProcess) -> list[psutil.Process]:
    """Wait for the recorder to run."""
    relay = psutil.Process(proxy.process.pid)
    until(relay.children)
    return relay.children()


def kill_recorder(proxy: ProxyProcess) -> None:
    for recorder in recorders(proxy):
        recorder.kill()
        recorder.wait(60)


def test_the_recorder_dies_again_and_again_under_load(tmp_path: Path) -> None:
    with standing(tmp_path) as (proxy, upstream, sink):
        upstream.default = [REPLY + ANSWER]
        faults: list[BaseException] = []
        calls = 0
        stop = threading.Event()

        def client() -> None:
            nonlocal calls
            try:
                with connected(proxy.port) as reader:
                    while not stop.is_set():
                        call(reader)
                        calls += 1
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.3)
            kill_recorder(proxy)
        time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join()
        assert not faults
        assert calls > 50
        assert len(upstream.requests) == calls  # nothing was sent twice
        recorders(proxy)
        time.sleep(1.2)  # its first counts
        before = len(sink.spans())
        with connected(proxy.port) as reader:
            call(reader)
        sink.wait(before + 1)


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    upstream = RawUpstream()
    big = b'{"choices":[{"message":{"role":"assistant","content":"%s"}}]}' % (b"x y " * 50_000)
    upstream.default = [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(big) + big
    ]
    proxy = ProxyProcess(
        tmp_path, "http://127.0.0.1:9", "--upstream", f"openai=http://127.0.0.1:{upstream.port}", "--queue-mb", "1"
    )
    try:
        proxy.start()
        for _ in range(12):
            assert ask(proxy.port, chat()).body == big
            time.sleep(0.12)
        deadline_s = time.monotonic() + 60
        while b'reason="queue_full"} 0.0' in (
            page := ask(proxy.port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body
        ):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert b'spanhouse_proxy_dropped_total{reason="queue_full"}' in page
        assert sum(path.stat().st_size for path in tmp_path.glob("queue.db*")) < 8 * 1024 * 1024
    finally:
        proxy.kill()
        upstream.close()


def test_a_key_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    with standing(tmp_path, env={"SPANHOUSE_PROXY_KEY": "k" * 24}) as (proxy, upstream, _):
        upstream.default = [REPLY + ANSWER]
        refused = ask(proxy.port, chat())
        assert (refused.line.split()[1], refused.header(b"spanhouse-error")) == (b"401", b"unauthenticated")
        assert not upstream.requests
        with connected(proxy.port) as reader:
            call(reader, f"Spanhouse-Auth: Bearer {'k' * 24}\r\n")
        assert b"spanhouse-auth" not in dict(upstream.requests[-1].headers)


def test_usage_is_asked_for_and_withheld(tmp_path: Path) -> None:
    piece = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
    usage = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
    done = b"data: [DONE]\n\n"
    body = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    with standing(tmp_path) as (proxy, upstream, sink):
        events = [b"%x\r\n%s\r\n" % (len(each), each) for each in (piece, usage[:30], usage[30:], done)]
        upstream.default = [
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", *events, b"0\r\n\r\n",
        ]  # fmt: skip
        head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
        plain = ask(proxy.port, f"{head}\r\n".encode() + body)
        assert plain.body == piece + usage + done
        assert upstream.requests[-1].body == body
        asked = ask(proxy.port, f"{head}Helicone-Stream-Usage: true\r\n\r\n".encode() + body)
        assert asked.body == piece + done
        sent = upstream.requests[-1]
        assert b'"include_usage":true' in sent.body
        assert sent.header(b"accept-encoding") == b"identity"
        assert all(span["gen_ai.usage.input_tokens"] == 5 for span in sink.wait(2))
