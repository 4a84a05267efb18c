"""OTLP over gRPC, through real channels and the official stubs."""

import asyncio
import subprocess
import sys
import time

import grpc
import psutil
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from spanhouse_server.config import Settings
from spanhouse_server.errors import ConfigError, SpoolFull
from spanhouse_server.receive import Outcome, start_grpc
from tests.unit.receive import wire

MIB = 1024 * 1024


@pytest.fixture
def channel(end):
    with grpc.insecure_channel(f"127.0.0.1:{end.grpc_port}", options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def failure(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
@pytest.mark.parametrize(
    ("signal", "stub", "message"),
    [
        ("traces", TraceServiceStub, wire.traces(20)),
        ("logs", LogsServiceStub, wire.logs(20)),
        ("metrics", MetricsServiceStub, wire.metrics(20)),
    ],
)
def test_every_signal(end, channel, signal, stub, message, compression):
    response = stub(channel).Export(message, compression=compression)
    assert not response.HasField("partial_success")
    (entry,) = end.entries()
    assert (entry.signal, entry.project_id, entry.body) == (signal, "default", message.SerializeToString())


def test_empty_request_is_success(end, channel):
    assert not TraceServiceStub(channel).Export(wire.traces(0)).HasField("partial_success")
    assert end.entries() == []


def test_partial_success(end, channel):
    message = wire.traces(3)
    message.resource_spans[0].scope_spans[0].spans[0].span_id = bytes(8)
    partial = TraceServiceStub(channel).Export(message).partial_success
    assert partial.rejected_spans == 1
    assert "all zero" in partial.error_message
    assert len(end.entries()) == 1


def test_bad_bytes_are_invalid_argument(end, channel):
    call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    error = failure(lambda: call(b"\xff\xff\xff"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "truncated or corrupt" in error.details()
    assert end.entries() == []


def test_back_pressure_says_when_to_come_again(end, channel, monkeypatch):
    async def refuse(*args, **kwargs):
        raise SpoolFull("the spool is full", retry_after_s=3)

    monkeypatch.setattr(end.spool, "append", refuse)
    error = failure(lambda: TraceServiceStub(channel).Export(wire.traces()))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the spool is full")
    trailers = dict(error.trailing_metadata())
    assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds == 3
    status = Status.FromString(trailers["grpc-status-details-bin"])
    info = RetryInfo()
    assert status.code == 14
    assert status.details[0].Unpack(info)
    assert info.retry_delay.seconds == 3


def test_messages_above_the_limit_are_not_to_be_retried(end, channel):
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        message = wire.traces(attribute=wire.text("z" * (21 * MIB)))
        error = failure(lambda m=message, c=compression: TraceServiceStub(channel).Export(m, compression=c))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "google.rpc.retryinfo-bin" not in dict(error.trailing_metadata() or ())
    assert end.entries() == []


def test_messages_up_to_the_limit_are_taken(end, channel):
    message = wire.traces(2, attribute=wire.text("z" * (6 * MIB)))
    TraceServiceStub(channel).Export(message)
    assert len(end.entries()[0].body) > 12 * MIB


BOMBER = """
import sys, grpc
channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}", options=[("grpc.max_send_message_length", -1)])
call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
try:
    call(bytes(1 << 29), compression=grpc.Compression.Gzip)
except grpc.RpcError as error:
    print(error.code().name)
"""


def test_a_bomb_is_stopped_at_the_limit(end):
    client = subprocess.Popen([sys.executable, "-c", BOMBER, str(end.grpc_port)], stdout=subprocess.PIPE, text=True)
    process = psutil.Process()
    before = peak = process.memory_info().rss
    while client.poll() is None:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.001)
    assert client.stdout is not None
    with client.stdout as said:
        assert said.read().strip() == "RESOURCE_EXHAUSTED"
    print(f"512 MiB of zeros over gRPC: grew by {(peak - before) / MIB:.0f} MiB")
    assert (peak - before) / MIB < 60
    assert end.entries() == []


def test_a_fault_of_ours_asks_for_the_data_again(end, channel, monkeypatch):
    async def fail(*args, **kwargs):
        raise OSError("the disk is on fire")

    monkeypatch.setattr(end.spool, "append", fail)
    error = failure(lambda: TraceServiceStub(channel).Export(wire.traces()))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "fire" not in error.details()


async def test_a_taken_port_is_a_clear_error(end):
    settings = Settings.load({"grpc_port": end.grpc_port}, env={})
    with pytest.raises(ConfigError) as caught:
        await start_grpc(end.receiver, settings)
    assert str(end.grpc_port) in caught.value.message
    assert "--grpc-port" in caught.value.hint


async def test_grpc_can_be_turned_off(end):
    assert await start_grpc(end.receiver, Settings.load({"grpc_port": -1}, env={})) == (None, -1)


def test_a_graceful_stop_finishes_what_has_begun(end):
    async def run():
        began, release = asyncio.Event(), asyncio.Event()

        class Slow:
            metrics, in_flight, answered = end.receiver.metrics, end.receiver.in_flight, end.receiver.answered

            async def project_for(self, headers):
                return "default"

            async def accept(self, *args):
                began.set()
                await release.wait()
                return Outcome(1, 0, "")

        server, port = await start_grpc(Slow(), Settings.load({"grpc_port": 0}, env={}))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = asyncio.ensure_future(TraceServiceStub(channel).Export(wire.traces()))
            await began.wait()
            stopping = asyncio.create_task(server.stop(5))
            await asyncio.sleep(0.05)
            assert not stopping.done()
            release.set()
            assert (await call).partial_success.rejected_spans == 0
            await stopping

    asyncio.run(run())
