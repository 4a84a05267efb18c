// The same under OpenTelemetry's own instrumentation, with the SDK of its third generation: `node otel_js_app.mjs own chat`.
import { createRequire } from "node:module";
import { context, metrics, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { OpenAIInstrumentation } from "@opentelemetry/instrumentation-openai";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { scenariosOf } from "./openai_scenarios.mjs";

const [, scenario] = process.argv.slice(2);
const resource = resourceFromAttributes({
  "service.name": "golden",
  "service.version": "1.2.3",
  "service.instance.id": "golden-1",
  "host.name": "host-a",
  "deployment.environment.name": "test",
});
const tracers = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })] });
const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
});
trace.setGlobalTracerProvider(tracers);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const instrumentation = new OpenAIInstrumentation({ captureMessageContent: true });
instrumentation.setTracerProvider(tracers);
instrumentation.setLoggerProvider(loggers);
instrumentation.setMeterProvider(metrics.getMeterProvider()); // without one it fails

// It watches what is loaded by `require` from now on.
const { OpenAI } = createRequire(import.meta.url)("openai");
await scenariosOf(new OpenAI({ maxRetries: 0 }))[scenario]();
await new Promise((resolve) => setTimeout(resolve, 200)); // streams are told when they were read to their end
await tracers.shutdown();
await loggers.shutdown();
