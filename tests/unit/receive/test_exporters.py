"""The exporters of the OpenTelemetry SDK, unchanged, against the receiving end."""

import json

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from spanhouse_server.errors import SpoolFull

MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "héllo " * 200}]}])


def emit(exporter, count=5):
    """Make spans as an application does; return the provider's verdict on flushing them."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests", "1.0")
    for number in range(count):
        with tracer.start_as_current_span(f"chat {number}") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.input.messages", MESSAGES)
            span.set_attribute("gen_ai.usage.input_tokens", 12)
    provider.force_flush()
    provider.shutdown()


def spans_in(entries):
    return [
        span
        for entry in entries
        for group in ExportTraceServiceRequest.FromString(entry.body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


@pytest.mark.parametrize("compression", list(Compression))
def test_spans_over_http(end, compression):
    emit(HttpSpans(endpoint=f"{end.url}/v1/traces", compression=compression))
    spans = spans_in(end.entries())
    assert [span.name for span in spans] == [f"chat {number}" for number in range(5)]
    assert spans[0].attributes[1].value.string_value == MESSAGES


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_spans_over_grpc(end, compression):
    emit(GrpcSpans(endpoint=f"http://127.0.0.1:{end.grpc_port}", compression=compression))
    assert len(spans_in(end.entries())) == 5


def test_settings_from_the_environment(end, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", end.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    emit(HttpSpans())
    assert len(spans_in(end.entries())) == 5


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_logs(end, kind):
    if kind == "http":
        exporter = HttpLogs(endpoint=f"{end.url}/v1/logs", compression=Compression.Gzip)
    else:
        exporter = GrpcLogs(endpoint=f"http://127.0.0.1:{end.grpc_port}")
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("tests")
    logger.emit(event_name="gen_ai.user.message", body={"content": "hello"}, timestamp=1)
    provider.shutdown()
    assert [entry.signal for entry in end.entries()] == ["logs"]


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_metrics(end, kind):
    if kind == "http":
        exporter = HttpMetrics(endpoint=f"{end.url}/v1/metrics", compression=Compression.Deflate)
    else:
        exporter = GrpcMetrics(endpoint=f"http://127.0.0.1:{end.grpc_port}")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    provider.get_meter("tests").create_histogram("gen_ai.client.token.usage", "{token}").record(12)
    provider.shutdown()
    assert {entry.signal for entry in end.entries()} == {"metrics"}


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_exporters_come_again_after_back_pressure(end, monkeypatch, kind):
    append, refusals = end.spool.append, []

    async def refuse_once(*args, **kwargs):
        if not refusals:
            refusals.append(1)
            raise SpoolFull("the spool is full", retry_after_s=1)
        return await append(*args, **kwargs)

    monkeypatch.setattr(end.spool, "append", refuse_once)
    if kind == "http":
        emit(HttpSpans(endpoint=f"{end.url}/v1/traces"))
    else:
        emit(GrpcSpans(endpoint=f"http://127.0.0.1:{end.grpc_port}"))
    assert refusals == [1]
    assert len(spans_in(end.entries())) == 5


def test_exporters_do_not_repeat_what_is_too_large(serve, caplog):
    end = serve(max_body_mb=1, fsync="off")
    calls = []
    exporter = HttpSpans(endpoint=f"{end.url}/v1/traces")
    provider = TracerProvider()
    spans = []
    tracer = provider.get_tracer("tests")
    for _ in range(3):
        span = tracer.start_span("big")
        span.set_attribute("text", "x" * 700_000)
        span.end()
        spans.append(span)
    calls.append(exporter.export(spans))
    assert calls == [SpanExportResult.FAILURE]
    value = end.receiver.metrics.registry.get_sample_value
    labels = {"transport": "http", "signal": "traces", "status": "413"}
    assert value("spanhouse_ingest_requests_total", labels) == 1
    assert exporter.export(spans[:1]) == SpanExportResult.SUCCESS
