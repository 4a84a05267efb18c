// An application written with Genkit, which traces itself: `node genkit_app.mjs own chat`.
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { openAI } from "@genkit-ai/compat-oai/openai";
import { genkit, z } from "genkit";
import { enableTelemetry, flushTracing } from "genkit/tracing";

const [, scenario] = process.argv.slice(2);
await enableTelemetry({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });

const HEADERS = { "x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4" };
const ai = genkit({
  plugins: [openAI({ apiKey: "none", baseURL: process.env.OPENAI_BASE_URL, defaultHeaders: HEADERS, maxRetries: 0 })],
});
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
const getWeather = ai.defineTool(
  {
    name: "get_weather",
    description: "Tell the weather of a city",
    inputSchema: z.object({ city: z.string() }),
    outputSchema: z.string(),
  },
  async ({ city }) => `It is 21 degrees in ${city}.`,
);

const scenarios = {
  // Half of the input comes from the cache, some output is reasoning.
  chat: () =>
    ai.generate({
      model: openAI.model("gpt-4o-mini"),
      system: "You answer in one sentence.",
      prompt: "Why is the sky blue, grüße 🌍?",
      config: { temperature: 0.2, maxOutputTokens: 100 },
    }),
  stream: async () => {
    const { stream, response } = ai.generateStream({
      model: openAI.model("gpt-4o-mini"),
      prompt: "Tell me a story about streaming.",
    });
    for await (const _ of stream);
    await response;
  },
  // Two turns inside a flow: the model calls a tool, then reads its result.
  agent: () =>
    ai.defineFlow({ name: "helper", inputSchema: z.string(), outputSchema: z.string() }, async (question) => {
      const answer = await ai.generate({ model: openAI.model("gpt-4o"), prompt: question, tools: [getWeather] });
      return answer.text;
    })("What is the weather in Paris?"),
  vision: () =>
    ai.generate({
      model: openAI.model("gpt-4o"),
      prompt: [{ text: "What is this?" }, { media: { url: PIXEL, contentType: "image/png" } }],
    }),
  embeddings: () =>
    ai.embed({ embedder: openAI.embedder("text-embedding-3-small"), content: "one small text" }),
  error: () =>
    ai
      .generate({ model: openAI.model("gpt-error-429"), prompt: "Am I too fast?" })
      .catch(() => undefined),
};

await scenarios[scenario]();
await flushTracing();
process.exit(0);
