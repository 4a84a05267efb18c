// What an application does with OpenAI's client for Node: `node openai_app.mjs openinference_js chat`.
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { resourceFromAttributes } from "@opentelemetry/resources";
import * as library from "openai";
import { scenariosOf } from "./openai_scenarios.mjs";

const [instrumentation, scenario] = process.argv.slice(2);
// Where Langfuse's SDK asks for places to put images.
process.env.LANGFUSE_BASE_URL = process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
process.env.LANGFUSE_PUBLIC_KEY = "pk-lf-golden";
process.env.LANGFUSE_SECRET_KEY = "golden";
const exporter = new OTLPTraceExporter();
const processors = {
  openinference_js: async () => new BatchSpanProcessor(exporter),
  langfuse_js: async () => new (await import("@langfuse/otel")).LangfuseSpanProcessor({ exporter }),
};
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    "service.name": "golden",
    "service.version": "1.2.3",
    "service.instance.id": "golden-1",
    "host.name": "host-a",
    "deployment.environment.name": "test",
  }),
  spanProcessors: [await processors[instrumentation]()],
});
provider.register();

// Wraps the client, where the library itself is not.
let watched = (client) => client;
if (instrumentation === "openinference_js") {
  const { OpenAIInstrumentation } = await import("@arizeai/openinference-instrumentation-openai");
  new OpenAIInstrumentation({ tracerProvider: provider }).manuallyInstrument({ ...library });
} else {
  watched = (await import("@langfuse/openai")).observeOpenAI;
}
const openai = watched(new library.OpenAI({ maxRetries: 0 }));

await scenariosOf(openai)[scenario]();
await new Promise((resolve) => setTimeout(resolve, 200)); // streams are told when they were read to their end
await provider.shutdown();
