// What an application does with OpenAI's client for Node: `node openai_app.mjs openinference_js chat`.
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { resourceFromAttributes } from "@opentelemetry/resources";
import * as library from "openai";

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

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
const TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tell the weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const ask = (model, content, more = {}, headers = {}) =>
  openai.chat.completions.create({ model, messages: [{ role: "user", content }], ...more }, { headers });
const drain = async (answer) => {
  for await (const _ of await answer);
};

const scenarios = {
  // Half of the input comes from the cache, some output is reasoning.
  chat: () =>
    openai.chat.completions.create(
      {
        model: "gpt-4o-mini",
        messages: [
          { role: "system", content: "You answer in one sentence." },
          { role: "user", content: "Why is the sky blue, grüße 🌍?" },
        ],
        temperature: 0.2,
        max_tokens: 100,
      },
      { headers: { "x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4" } },
    ),
  stream: () =>
    drain(
      ask(
        "gpt-4o-mini",
        "Tell me a story about streaming.",
        { stream: true, stream_options: { include_usage: true } },
        { "x-fake-ttft-ms": "30" },
      ),
    ),
  stream_without_usage: () => drain(ask("gpt-4o-mini", "Count to three.", { stream: true })),
  // Two calls: the model calls a tool, then reads its result.
  tools: async () => {
    const messages = [{ role: "user", content: "What is the weather in Paris?" }];
    const first = await openai.chat.completions.create({ model: "gpt-4o", messages, tools: [TOOL] });
    const { tool_calls } = first.choices[0].message;
    messages.push({ role: "assistant", tool_calls });
    for (const call of tool_calls) {
      const { city } = JSON.parse(call.function.arguments);
      messages.push({ role: "tool", tool_call_id: call.id, content: `It is 21 degrees in ${city}.` });
    }
    await openai.chat.completions.create({ model: "gpt-4o", messages, tools: [TOOL] });
  },
  vision: () =>
    ask("gpt-4o", [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: PIXEL } },
    ]),
  embeddings: () =>
    openai.embeddings.create({ model: "text-embedding-3-small", input: ["one small text", "and another"] }),
  error: () => ask("gpt-error-429", "Am I too fast?").catch(() => undefined),
  responses: () =>
    openai.responses.create(
      { model: "gpt-5", instructions: "You answer in one sentence.", input: "What is a span?" },
      { headers: { "x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "6" } },
    ),
};

await scenarios[scenario]();
await new Promise((resolve) => setTimeout(resolve, 200)); // streams are told when they were read to their end
await provider.shutdown();
