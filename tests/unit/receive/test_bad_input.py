"""Whatever is sent: a clear 4xx or a rejection of the single span, never a 5xx, in bounded memory."""

import gzip
import json
import os
import socket
import threading
import zlib
from base64 import b64encode

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spanhouse_server.decode import decode, parse
from spanhouse_server.receive import receiver
from spanhouse_server.receive.decompress import zstd
from tests.unit.receive import wire
from tests.unit.receive.bombs import zstd_zeros

JSON = "application/json"
MIB = 1024 * 1024


def refused(end, body, says, *, status=400, given="application/x-protobuf", **headers):
    """Assert that a body is refused with this status and a message that names the fault."""
    reply = end.post("/v1/traces", body, content_type=given, **headers)
    assert reply.status == status, reply.body
    assert reply.type == given
    message = wire.status_of(reply.body, given)[1]
    assert says in message, message
    assert len(message) < 500
    assert end.entries() == []


class Sent(bytes):
    """A request in protobuf that protobuf's own writer would not write."""

    def SerializeToString(self):
        return bytes(self)


def rejected_alone(end, message_or_json, says):
    """Assert that one span of two is refused and the other one kept."""
    given = JSON if type(message_or_json) is bytes else "application/x-protobuf"
    body = message_or_json if given == JSON else message_or_json.SerializeToString()
    reply = end.post("/v1/traces", body, content_type=given)
    assert reply.status == 200, reply.body
    if given == JSON:
        partial = json.loads(reply.body)["partialSuccess"]
        count, text = int(partial["rejectedSpans"]), partial["errorMessage"]
    else:
        answer = ExportTraceServiceResponse.FromString(reply.body).partial_success
        count, text = answer.rejected_spans, answer.error_message
    assert count == 1
    assert says in text, text
    (entry,) = end.entries()
    stored = decode(entry.signal, parse(entry.signal, "application/x-protobuf", entry.body), entry.received_ns)
    assert (len(stored.spans), sum(stored.rejected.values())) == (1, 1)


def test_truncated_gzip(end):
    packed = gzip.compress(wire.traces(20).SerializeToString())
    refused(end, packed[:-12], "gzip body is cut off", content_encoding="gzip")


def test_gzip_that_is_none(end):
    refused(end, wire.traces().SerializeToString(), "the body is not gzip", content_encoding="gzip")


def test_gzip_that_is_not_announced(end):
    refused(end, gzip.compress(wire.traces().SerializeToString()), "Content-Encoding: gzip")


def test_truncated_protobuf(end):
    refused(end, wire.traces(20).SerializeToString()[:-7], "truncated or corrupt")


def test_random_bytes(end):
    for _ in range(50):
        reply = end.post("/v1/traces", os.urandom(200))
        assert reply.status in (200, 400)


def test_json_announced_as_protobuf_and_the_reverse(end):
    refused(end, wire.json_traces(wire.json_span()), "Content-Type: application/json")
    refused(
        end, wire.traces(trace_id=b"\xff" * 16).SerializeToString(), "Content-Type: application/x-protobuf", given=JSON
    )


PACKERS = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_requests_of_every_kind(end, data):
    """Good requests with some bytes changed, dropped or added, before or after packing."""
    signal = data.draw(st.sampled_from(["traces", "logs", "metrics"]))
    media_type = data.draw(st.sampled_from([JSON, "application/x-protobuf"]))
    encoding = data.draw(st.sampled_from(list(PACKERS)))
    good = GOOD[media_type]
    packed = PACKERS[encoding](damaged(data, good))
    reply = end.post(f"/v1/{signal}", damaged(data, packed), content_type=media_type, content_encoding=encoding)
    assert reply.status in (200, 400), reply.body
    assert reply.type == media_type


def damaged(data, body):
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(body)))
        drop = data.draw(st.integers(0, 6))
        body = body[:at] + data.draw(st.binary(max_size=6)) + body[at + drop :]
    return body


GOOD = {
    "application/x-protobuf": wire.traces(3, attribute=wire.nested(4)).SerializeToString(),
    JSON: wire.json_traces(wire.json_span(), wire.json_span(kind="SPAN_KIND_CLIENT")),
}


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"{", b'{"resourceSpans":7}', b"", b"\xff\xfe{}", b"{}{}"])
def test_json_that_is_no_request(end, body):
    reply = end.post("/v1/traces", body, content_type=JSON)
    assert reply.status in ((200, 400) if body == b"" else (400,)), (body, reply.body)
    assert reply.type == JSON


def test_invalid_utf_8(end):
    message = wire.traces(2)
    message.resource_spans[0].scope_spans[0].spans[1].name = "x" * 40
    rejected_alone(end, Sent(message.SerializeToString().replace(b"x" * 40, b"\xff\xfe" * 20)), "UTF-8")


def test_invalid_utf_8_that_belongs_to_every_span(end):
    body = wire.traces(2).SerializeToString().replace(b"tests", b"\xff\xfe\xff\xfe\xff")
    refused(end, body, "UTF-8")


def test_base64_ids_in_json(end):
    bad = wire.json_span(traceId=b64encode(os.urandom(16)).decode())
    rejected_alone(end, wire.json_traces(bad, wire.json_span()), "base64")


def test_hex_text_as_bytes_in_protobuf(end):
    message = wire.traces(2)
    message.resource_spans[0].scope_spans[0].spans[0].trace_id = os.urandom(16).hex().encode()
    rejected_alone(end, message, "hexadecimal")


@pytest.mark.parametrize(("field", "value"), [("trace_id", bytes(16)), ("span_id", bytes(8)), ("span_id", b"abc")])
def test_impossible_ids(end, field, value):
    message = wire.traces(2)
    setattr(message.resource_spans[0].scope_spans[0].spans[1], field, value)
    rejected_alone(end, message, field)


@pytest.mark.parametrize(
    "times", [(0, 0), (1, 2), (1_700_000_000_000_000_000, 1), (7_258_118_400_000_000_000, 7_258_118_400_000_000_001)]
)
def test_odd_times_are_kept(end, times):
    message = wire.traces(start_time_unix_nano=times[0], end_time_unix_nano=times[1])
    assert end.post("/v1/traces", message.SerializeToString()).body == b""
    assert len(end.entries()) == 1


def test_deep_nesting_in_protobuf(end):
    # Too deep for protobuf's own writer as well, so put together by hand.
    value = b"\x0a\x04core"
    for _ in range(1000):
        inner = b"\x0a" + varint(len(value)) + value
        value = b"\x2a" + varint(len(inner)) + inner
    pieces = [b"\x0a\x03big\x12" + varint(len(value)) + value]
    for tag in (b"\x4a", b"\x12", b"\x12", b"\x0a"):
        pieces = [tag + varint(sum(map(len, pieces))), *pieces]
    # Requests of protobuf may stand one behind the other: the second is one good span.
    rejected_alone(end, Sent(b"".join(pieces) + wire.traces().SerializeToString()), "nested")


def test_deep_nesting_in_json(end):
    value = {"stringValue": "core"}
    for _ in range(150):
        value = {"arrayValue": {"values": [value]}}
    deep = '{"arrayValue":{"values":[' * 5000 + "]}}" * 5000
    for body in (
        wire.json_traces(wire.json_span(attributes=[{"key": "deep", "value": value}])),
        b'{"resourceSpans":[{"x":' + deep.encode() + b"}]}",
        b"[" * 200_000,
    ):
        reply = end.post("/v1/traces", body, content_type=JSON)
        assert reply.status in (200, 400), reply.body
        assert b"nest" in reply.body or b"deep" in reply.body or reply.status == 200, reply.body


def varint(number):
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


class Peak:
    """How much this process, which holds the receiving end, grows during a block."""

    def __enter__(self):
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._top = self._before
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(0.002):
            self._top = max(self._top, self._process.memory_info().rss)

    @property
    def mib(self):
        return (self._top - self._before) / MIB


def test_a_declared_length_above_the_limit_is_refused_before_reading(end):
    with Peak() as peak:
        refused(end, bytes(100 * MIB), "larger than 20 MiB", status=413)
    assert peak.mib < 30
    with socket.create_connection(("127.0.0.1", end.http_port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: %d\r\n\r\n" % (100 * MIB)
        )
        # Nothing of the body was sent: the answer cannot have waited for it.
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_attribute_of_100_mb(end):
    body = wire.traces(attribute=wire.text("y" * 100_000_000)).SerializeToString()
    refused(end, body, "larger than 20 MiB", status=413)
    packed = gzip.compress(body, 1)
    assert len(packed) < MIB
    with Peak() as peak:
        refused(end, packed, "larger than 20 MiB", status=413, content_encoding="gzip")
    assert peak.mib < 40, f"grew by {peak.mib:.0f} MiB"


def test_an_endless_chunked_body(end):
    with Peak() as peak:
        chunks = (bytes(MIB) for _ in range(100))
        refused(end, chunks, "larger than 20 MiB", status=413)
    assert peak.mib < 60, f"grew by {peak.mib:.0f} MiB"


def test_zip_bombs_sent_at_once(end):
    bomb = zstd_zeros(10 << 30)
    statuses = []

    def send():
        statuses.append(end.post("/v1/traces", bomb, content_encoding="zstd").status)

    threads = [threading.Thread(target=send) for _ in range(20)]
    with Peak() as peak:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(statuses) <= {413, 503}
    assert 413 in statuses
    print(f"20 bombs of 10 GiB at once: grew by {peak.mib:.0f} MiB")
    assert peak.mib < 160, f"grew by {peak.mib:.0f} MiB"
    assert end.receiver.in_flight.bytes == 0


@pytest.mark.parametrize("kind", [JSON, "application/x-protobuf"])
def test_a_large_good_body_does_not_hold_up_the_small_ones(end, monkeypatch, kind):
    large = wire.json_traces(*(wire.json_span(name="n" * 2000) for _ in range(400)))
    if kind != JSON:
        large = wire.traces(400, name="n" * 2000).SerializeToString()
    small = wire.traces().SerializeToString()
    begun, go_on = threading.Event(), threading.Event()
    real = receiver._read

    def read(signal, media_type, body):
        if len(body) == len(large):  # takes as long to read as the small ones need
            begun.set()
            assert go_on.wait(60)
        return real(signal, media_type, body)

    monkeypatch.setattr(receiver, "_read", read)
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(end.post("/v1/traces", large, content_type=kind).status))
    thread.start()
    assert begun.wait(60)
    for _ in range(20):
        assert end.post("/v1/traces", small).status == 200
    assert statuses == []
    go_on.set()
    thread.join()
    assert statuses == [200]
