"""OTLP over HTTP as the specification and real senders have it."""

import gzip
import json
import socket
import threading
import zlib
from contextlib import suppress

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from spanhouse_server.errors import DiskFull, SpoolFull, StoreUnavailable
from spanhouse_server.receive.decompress import zstd
from tests.unit.receive import wire
from tests.waiting import until

JSON = "application/json"
PROTOBUF = "application/x-protobuf"


@pytest.mark.parametrize(
    ("signal", "message"), [("traces", wire.traces(3)), ("logs", wire.logs(3)), ("metrics", wire.metrics(3))]
)
def test_every_signal_is_spooled_as_it_came(end, signal, message):
    body = message.SerializeToString()
    reply = end.post(f"/v1/{signal}", body)
    assert (reply.status, reply.type, reply.body) == (200, PROTOBUF, b""), "partial_success stays unset"
    (entry,) = end.entries()
    assert (entry.signal, entry.project_id, entry.body) == (signal, "default", body)


def test_counters_say_what_was_received(end):
    before = end.spool.stats()
    end.post("/v1/traces", wire.traces(5).SerializeToString())
    end.post("/v1/logs", wire.logs(4).SerializeToString())
    end.post("/v1/metrics", wire.metrics(3).SerializeToString())
    after = end.spool.stats()
    assert after.received_spans - before.received_spans == 5
    assert after.received_logs - before.received_logs == 4
    assert after.received_metric_points - before.received_metric_points == 3


@pytest.mark.parametrize("given", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_kept_as_protobuf(end, given):
    span = wire.json_span()
    reply = end.post("/v1/traces", wire.json_traces(span, fieldOfTheFuture={"a": 1}), content_type=given)
    assert (reply.status, reply.type) == (200, JSON)
    assert json.loads(reply.body) == {}
    (entry,) = end.entries()
    kept = ExportTraceServiceRequest.FromString(entry.body).resource_spans[0].scope_spans[0].spans[0]
    assert (kept.trace_id.hex(), kept.span_id.hex(), kept.kind) == (span["traceId"], span["spanId"], 3)
    assert kept.attributes[0].value.int_value == 12


@pytest.mark.parametrize("given", ["application/protobuf", "application/x-protobuf; charset=utf-8"])
def test_other_names_of_protobuf(end, given):
    reply = end.post("/v1/traces", wire.traces().SerializeToString(), content_type=given)
    assert (reply.status, reply.type) == (200, given.partition(";")[0])


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate), ("zstd", zstd.compress)],
)
def test_encodings(end, encoding, pack):
    body = wire.traces(50, attribute=wire.text("word " * 500)).SerializeToString()
    reply = end.post("/v1/traces", pack(body), content_encoding=encoding)
    assert reply.status == 200
    assert end.entries()[0].body == body


def test_chunked_bodies_have_no_length(end):
    body = wire.traces(50, attribute=wire.text("word " * 500)).SerializeToString()
    reply = end.post("/v1/traces", iter([body[:10], body[10:70_000], body[70_000:]]))
    assert reply.status == 200
    assert end.entries()[0].body == body


@pytest.mark.parametrize(("body", "given"), [(b"", PROTOBUF), (b"{}", JSON), (b'{"resourceSpans":[]}', JSON)])
def test_empty_request_is_success_and_leaves_nothing(end, body, given):
    reply = end.post("/v1/traces", body, content_type=given)
    assert reply.status == 200
    assert reply.body in (b"", b"{}")
    assert end.entries() == []


def test_a_trailing_slash_is_forgiven(end):
    assert end.post("/v1/traces/", wire.traces().SerializeToString()).status == 200


def test_a_bad_span_is_rejected_alone(end):
    message = wire.traces(3)
    message.resource_spans[0].scope_spans[0].spans[1].trace_id = bytes(16)
    before = end.spool.stats().rejected.get("invalid_trace_id", 0)
    reply = end.post("/v1/traces", message.SerializeToString())
    answer = ExportTraceServiceResponse.FromString(reply.body)
    assert (reply.status, answer.partial_success.rejected_spans) == (200, 1)
    assert "all zero" in answer.partial_success.error_message
    assert len(end.entries()) == 1
    assert end.spool.stats().rejected["invalid_trace_id"] == before + 1


def test_json_partial_success_has_json_names(end):
    reply = end.post("/v1/traces", wire.json_traces(wire.json_span(spanId="00" * 8)), content_type=JSON)
    partial = json.loads(reply.body)["partialSuccess"]
    assert (reply.status, int(partial["rejectedSpans"])) == (200, 1)
    assert partial["errorMessage"]


def test_nothing_is_spooled_when_every_span_is_bad_but_it_is_counted(end):
    before = sum(end.spool.stats().rejected.values())
    reply = end.post("/v1/traces", wire.traces(4, span_id=b"").SerializeToString())
    assert reply.status == 200
    assert ExportTraceServiceResponse.FromString(reply.body).partial_success.rejected_spans == 4
    assert end.entries() == []
    until(lambda: sum(end.spool.stats().rejected.values()) == before + 4)


@pytest.mark.parametrize("given", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "", "x" * 500])
def test_other_content_types_are_415(end, given):
    reply = end.post("/v1/traces", wire.traces().SerializeToString(), content_type=given)
    assert (reply.status, reply.type) == (415, JSON)
    code, message = wire.status_of(reply.body, reply.type)
    assert code == 3
    assert "send application/x-protobuf or application/json" in message
    assert len(message) < 300


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "snappy"])
def test_other_encodings_are_415(end, encoding):
    reply = end.post("/v1/traces", b"whatever", content_encoding=encoding)
    assert (reply.status, reply.type) == (415, PROTOBUF)
    assert "gzip, deflate" in wire.status_of(reply.body, reply.type)[1]


@pytest.mark.parametrize("given", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "refusal",
    [
        SpoolFull("the spool is full", retry_after_s=7),
        DiskFull("no room", retry_after_s=7),
        StoreUnavailable("away", "", 7),
    ],
)
def test_back_pressure_is_503_with_retry_after(end, monkeypatch, given, refusal):
    async def refuse(*args, **kwargs):
        raise refusal

    monkeypatch.setattr(end.spool, "append", refuse)
    body = wire.traces().SerializeToString() if given == PROTOBUF else wire.json_traces(wire.json_span())
    reply = end.post("/v1/traces", body, content_type=given)
    assert (reply.status, reply.headers["retry-after"], reply.type) == (503, "7", given)
    assert wire.status_of(reply.body, given) == (14, refusal.message)
    if given == PROTOBUF:
        info = RetryInfo()
        assert Status.FromString(reply.body).details[0].Unpack(info)
        assert info.retry_delay.seconds == 7


def test_a_fault_of_ours_asks_for_the_data_again(end, monkeypatch):
    async def fail(*args, **kwargs):
        raise OSError("the disk is on fire")

    monkeypatch.setattr(end.spool, "append", fail)
    reply = end.post("/v1/traces", wire.traces().SerializeToString())
    assert (reply.status, "retry-after" in reply.headers) == (503, True)
    assert b"fire" not in reply.body


def test_too_many_large_bodies_at_once_are_503(end, monkeypatch):
    monkeypatch.setattr(end.receiver.in_flight, "limit_bytes", 1000)
    reply = end.post("/v1/traces", wire.traces(50).SerializeToString())
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert end.receiver.in_flight.bytes == 0
    assert end.post("/v1/traces", wire.traces(1).SerializeToString()).status == 200


def test_disconnect_in_the_middle_is_silent(end, caplog):
    for arrived in (0, 100):
        with socket.create_connection(("127.0.0.1", end.http_port)) as connection:
            head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            connection.sendall(head + b"content-length: 5000\r\n\r\n" + bytes(arrived))
            until(lambda arrived=arrived: end.receiver.in_flight.bytes == arrived)
    until(lambda: end.receiver.in_flight.bytes == 0)
    assert end.post("/v1/traces", wire.traces().SerializeToString()).status == 200
    assert len(end.entries()) == 1
    assert caplog.records == []


def test_a_body_that_stops_arriving_is_given_up(end, monkeypatch):
    monkeypatch.setattr("spanhouse_server.receive.http.STALLED_S", 0.2)
    with socket.create_connection(("127.0.0.1", end.http_port), timeout=60) as connection:
        head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        connection.sendall(head + b"content-length: 5000\r\n\r\n" + bytes(100))
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"stopped arriving" in answer
    assert end.receiver.in_flight.bytes == 0


def test_a_body_that_trickles_is_given_up(end, monkeypatch):
    monkeypatch.setattr("spanhouse_server.receive.http.ARRIVAL_S", 0.5)
    answers = []
    with socket.create_connection(("127.0.0.1", end.http_port), timeout=60) as connection:
        head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
        connection.sendall(head + b"content-length: 50000\r\n\r\n")
        reader = threading.Thread(target=lambda: answers.append(connection.recv(1000)))
        reader.start()
        # Never idle for as long as a stalled body may be, and not at its end for many minutes.
        for _ in range(1000):
            with suppress(ConnectionError):
                connection.sendall(b"\0")
            reader.join(0.05)
            if not reader.is_alive():
                break
        assert answers, "the trickle is waited for"
    assert answers[0].startswith(b"HTTP/1.1 503")
    assert b"arrives too slowly" in answers[0]
    until(lambda: end.receiver.in_flight.bytes == 0)


def test_answers_are_counted(end):
    def count(status):
        labels = {"transport": "http", "signal": "traces", "status": status}
        return end.receiver.metrics.registry.get_sample_value("spanhouse_ingest_requests_total", labels) or 0

    before = count("200"), count("400")
    end.post("/v1/traces", wire.traces().SerializeToString())
    end.post("/v1/traces", b"\xff\xff\xff")
    assert (count("200"), count("400")) == (before[0] + 1, before[1] + 1)
