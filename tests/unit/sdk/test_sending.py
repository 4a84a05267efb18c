"""The way to the server: batching, retries, bounds, splitting; the host is never held up or broken."""

from __future__ import annotations

import logging
import os
import socket
import threading

import psutil
import pytest
from opentelemetry import trace as otel_trace

import spanhouse
from spanhouse._sender import Lane, Limits, Sender
from spanhouse._state import STATE
from spanhouse._transport import Transport, retry_after_s
from tests.unit.sdk.capture import CaptureServer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@spanhouse.task
def step(value):
    return value


def test_spans_are_sent_in_batches_and_compressed(recorded):
    for number in range(1200):
        step(f"{number} " + "text " * 20)
    recorded.wait(lambda: len(recorded.spans) == 1200)
    assert len(recorded.requests) <= 6
    assert sorted(int(span.json("spanhouse.input")["value"].split()[0]) for span in recorded.spans) == list(range(1200))
    _, path, headers, wire_bytes, body_bytes = recorded.requests[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "gzip"
    assert wire_bytes < body_bytes / 3
    assert headers["user-agent"].startswith("spanhouse-python/")


def test_a_lonely_span_is_sent_soon_and_unasked(recorded):
    step(1)
    recorded.wait(lambda: recorded.spans)
    assert [span.name for span in recorded.spans] == ["step"]
    assert STATE.sender.limits.delay_s <= 1


def test_key_project_and_headers(server):
    spanhouse.init(
        server.url + "/",
        "sk-1",
        project="shop",
        headers={"X-Team": "blue"},
        environment="prod",
        release="1.2",
        instrument=False,
    )
    step(1)
    spanhouse.flush(60)
    headers = server.requests[0][2]
    assert (headers["authorization"], headers["x-spanhouse-project"], headers["x-team"]) == (
        "Bearer sk-1",
        "shop",
        "blue",
    )
    resource = server.spans[0].resource
    assert (resource["deployment.environment.name"], resource["service.version"]) == ("prod", "1.2")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retryable_answers_lose_and_repeat_nothing(recorded, status):
    recorded.answers = [(status, {"Retry-After": "0"}), (status, {})]
    step(1)
    assert spanhouse.flush(60)
    assert len(recorded.requests) == 3
    assert len(recorded.spans) == 1


def test_retry_after_is_honoured_even_while_flushing(recorded):
    recorded.answers = [(503, {"Retry-After": "1"})]
    step(1)
    assert spanhouse.flush(60)
    first, second = (request[0] for request in recorded.requests)
    assert 1.0 <= second - first < 2.5


def test_retry_after_forms():
    assert retry_after_s("7") == 7
    assert retry_after_s("99999") == 300
    assert retry_after_s("-1") == 0
    assert retry_after_s("soon") is None
    assert retry_after_s("nan") is None
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_refused_batches_are_dropped_counted_and_warned_of_once(recorded, warnings, status):
    for _ in range(3):
        recorded.answers = [(status, {})]
        step(1)
        assert spanhouse.flush(60)
    assert len(recorded.requests) == 3
    assert STATE.sender.stats.dropped_refused == 3
    assert len(warnings.records) == 1
    assert str(status) in warnings.text


def test_bodies_too_large_for_the_server_are_split(recorded, warnings):
    recorded.max_body_bytes = 8000
    for _ in range(20):
        step("x" * 2000)
    step("y" * 20_000)
    assert spanhouse.flush(60)
    assert len(recorded.spans) == 20
    assert STATE.sender.stats.dropped_refused == 1
    assert "413" in warnings.text


def test_large_spans_do_not_share_a_body(recorded):
    for _ in range(30):
        step(["z" * 1000] * 400)
    assert spanhouse.flush(60)
    assert len(recorded.spans) == 30
    assert max(request[4] for request in recorded.requests) < 6 * 1024 * 1024


def test_a_span_that_cannot_be_encoded_does_not_take_its_batch_down(recorded):
    tracer = otel_trace.get_tracer("other")
    step(1)
    tracer.start_span("bad \ud800 name").end()
    step(2)
    assert spanhouse.flush(60)
    assert len(recorded.spans) == 2
    assert STATE.sender.stats.dropped_refused == 1


@pytest.mark.timeout(120)  # a flush or an end that waits for the server would wait for minutes
def test_server_down_is_bounded_quiet_and_does_not_block(warnings, monkeypatch):
    senders = set()
    real = Transport.post
    monkeypatch.setattr(Transport, "post", lambda *given: senders.add(threading.get_ident()) or real(*given))
    spanhouse.init(f"http://127.0.0.1:{free_port()}", instrument=False)
    payload = "p" * 200_000
    step(payload)
    before = psutil.Process().memory_info().rss
    for _ in range(3000):
        step(payload)
    sender = STATE.sender
    assert sender._queued_bytes <= sender.limits.queue_bytes
    assert sender.stats.dropped_full > 1000
    assert psutil.Process().memory_info().rss - before < 250 * 1024 * 1024
    assert not spanhouse.flush(0.5)
    assert not spanhouse.shutdown(timeout_s=0.5)
    assert senders
    assert threading.get_ident() not in senders, "only the sender's own thread waits for a server"
    assert len(warnings.records) <= 4


def test_a_hanging_server_does_not_hold_up_the_host(server):
    server.hold.clear()
    spanhouse.init(server.url, instrument=False)
    step(0)
    server.wait(lambda: server.requests)
    for number in range(1, 2000):
        step(number)
    assert not spanhouse.flush(0.2)
    assert server.spans == [], "all of them were recorded before the server answered once"
    server.hold.set()
    assert spanhouse.flush(60)
    assert {span.json("spanhouse.input")["value"] for span in server.spans} == set(range(2000))


def test_what_was_recorded_while_the_server_was_down_arrives_later(monkeypatch):
    tried = threading.Semaphore(0)
    real = Transport.post

    def post(*given):
        outcome = real(*given)
        tried.release()
        return outcome

    monkeypatch.setattr(Transport, "post", post)
    port = free_port()
    spanhouse.init(f"http://127.0.0.1:{port}", instrument=False)
    for number in range(100):
        step(number)
    for _ in range(2):
        assert tried.acquire(timeout=60), "sent in vain, and tried again"
    with CaptureServer(port) as server:
        assert spanhouse.flush(60)
        assert len(server.spans) == 100


def test_the_oldest_are_dropped_when_the_queue_is_full():
    sent = []
    begun, release = threading.Event(), threading.Event()

    class Slow:
        def post(self, url, body, content_type, timeout_s=None):
            from spanhouse._transport import Outcome

            begun.set()
            assert release.wait(60)
            sent.append(body)
            return Outcome("sent")

    lane = Lane("things", "", "", lambda items: b",".join(items), 1)
    sender = Sender(Slow, Limits(queue_items=5, delay_s=0.01))
    sender.put(lane, b"first", 5)
    assert begun.wait(60)
    for number in range(20):
        sender.put(lane, str(number).encode(), 2)
    release.set()
    assert sender.flush(60)
    assert sent == [b"first", b"15", b"16", b"17", b"18", b"19"]
    assert sender.stats.dropped_full == 15
    assert sender.close(1)


def test_the_sender_does_not_trace_itself(recorded):
    class Spy(logging.Handler):
        def emit(self, record):
            pass

    from opentelemetry import context as otel_context

    from spanhouse import _transport

    seen = []
    original = _transport.Transport.post

    def post(self, *args, **kwargs):
        seen.append(otel_context.get_value(otel_context._SUPPRESS_INSTRUMENTATION_KEY))
        return original(self, *args, **kwargs)

    _transport.Transport.post = post
    try:
        step(1)
        assert spanhouse.flush(60)
    finally:
        _transport.Transport.post = original
    assert seen == [True]


def test_init_is_idempotent_and_tolerant(server, warnings):
    first = spanhouse.init(server.url, instrument=False)
    assert spanhouse.init("http://127.0.0.1:1", instrument=False) is first
    assert first.endpoint == server.url
    spanhouse.shutdown()
    assert spanhouse.init("ftp://nowhere", sample_rate=7, instrument=False).endpoint == "http://127.0.0.1:4318"
    assert len(warnings.records) == 2


def test_environment_variables(server, monkeypatch):
    monkeypatch.setenv("SPANHOUSE_ENDPOINT", server.url)
    monkeypatch.setenv("SPANHOUSE_API_KEY", "sk-env")
    monkeypatch.setenv("SPANHOUSE_CAPTURE_CONTENT", "false")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other.example:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-vendor-key=secret")
    spanhouse.init(instrument=False)
    step("private")
    spanhouse.flush(60)
    headers = server.requests[0][2]
    assert headers["authorization"] == "Bearer sk-env"
    assert "x-vendor-key" not in headers
    assert "spanhouse.input" not in server.spans[0].attributes


def test_opentelemetry_variables_are_the_fallback(server, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc,x-tenant=t1")
    spanhouse.init(instrument=False)
    step(1)
    spanhouse.flush(60)
    assert server.requests[0][2]["authorization"] == "Bearer abc"
    assert server.requests[0][2]["x-tenant"] == "t1"
    spanhouse.shutdown()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spanhouse.init(instrument=False)
    step(2)
    assert spanhouse.flush(60)
    assert len(server.spans) == 1


def test_a_fork_sends_nothing_twice_and_the_child_sends_its_own(recorded):
    step("queued in the parent")
    with spanhouse.span("open in both"):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                step("child")
                with spanhouse.span("earlier", start_time_ns=1_700_000_000_000_000_000):
                    pass
                status = 0
            finally:
                # As the child unwinds, `open in both` would end here as well.
                otel_trace.get_current_span().end()
                os._exit(status if spanhouse.flush(60) else 2)
        assert os.waitpid(child, 0)[1] == 0
    step("parent after")
    assert spanhouse.flush(60)
    inputs = sorted(span.json("spanhouse.input")["value"] for span in recorded.spans if span.name == "step")
    assert inputs == ["child", "parent after", "queued in the parent"]
    parent = recorded.span("open in both")
    (childs,) = [s for s in recorded.spans if s.attributes.get("spanhouse.input") == '{"value":"child"}']
    assert childs.parent_id == parent.span_id
    assert recorded.span("earlier").start_ns == 1_700_000_000_000_000_000
    assert len({span.span_id for span in recorded.spans}) == len(recorded.spans) == 5
