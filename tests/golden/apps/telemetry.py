"""Plain OpenTelemetry set-up for the golden apps: traces and logs over OTLP/HTTP, each sent once, at the end."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable

from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def set_up() -> Callable[[], None]:
    """Install global providers; return what flushes and shuts them down."""
    resource = Resource.create(
        {
            "service.name": "golden",
            "service.version": "1.2.3",
            "service.instance.id": "golden-1",
            "host.name": "host-a",
            "deployment.environment.name": "test",
        }
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(loggers)
    with contextlib.suppress(ImportError):  # before events were logs with a name
        events = importlib.import_module("opentelemetry._events")
        sdk = importlib.import_module("opentelemetry.sdk._events")
        events.set_event_logger_provider(sdk.EventLoggerProvider(loggers))

    def finish() -> None:
        tracers.shutdown()
        loggers.shutdown()

    return finish


INSTRUMENTORS = {
    "none": (),
    "openai_v2": (("opentelemetry.instrumentation.openai_v2", "OpenAIInstrumentor"),),
    "genai_openai": (("opentelemetry.instrumentation.genai.openai", "OpenAIInstrumentor"),),
    "genai_anthropic": (("opentelemetry.instrumentation.genai.anthropic", "AnthropicInstrumentor"),),
    "openinference_openai": (("openinference.instrumentation.openai", "OpenAIInstrumentor"),),
    "openinference_anthropic": (("openinference.instrumentation.anthropic", "AnthropicInstrumentor"),),
    "openinference_langchain": (("openinference.instrumentation.langchain", "LangChainInstrumentor"),),
    "openinference_google": (("openinference.instrumentation.google_genai", "GoogleGenAIInstrumentor"),),
    "openinference_crewai": (
        ("openinference.instrumentation.crewai", "CrewAIInstrumentor"),
        ("openinference.instrumentation.openai", "OpenAIInstrumentor"),
    ),
    "google_genai": (("opentelemetry.instrumentation.google_genai", "GoogleGenAiSdkInstrumentor"),),
    "openllmetry_openai": (("opentelemetry.instrumentation.openai", "OpenAIInstrumentor"),),
    "openllmetry_langchain": (("opentelemetry.instrumentation.langchain", "LangchainInstrumentor"),),
    "chroma": (("opentelemetry.instrumentation.chromadb", "ChromaInstrumentor"),),
    "openllmetry_anthropic": (("opentelemetry.instrumentation.anthropic", "AnthropicInstrumentor"),),
}


def instrument(name: str) -> None:
    """Switch on an instrumentation by the name the cases use."""
    for module, instrumentor in INSTRUMENTORS[name]:
        getattr(importlib.import_module(module), instrumentor)().instrument()
