// An application written with the Vercel AI SDK: `node vercel_app.mjs legacy chat` (SDK 6) or `… latest chat` (SDK 7).
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { z } from "zod";

const [generation, scenario] = process.argv.slice(2);
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    "service.name": "golden",
    "service.version": "1.2.3",
    "service.instance.id": "golden-1",
    "host.name": "host-a",
    "deployment.environment.name": "test",
  }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();

const context_of_user = { userId: "user-1", sessionId: "session-1", tags: ["golden", "chain"], plan: "pro" };
let telemetry = { isEnabled: true, functionId: "helper", metadata: context_of_user };
if (generation === "latest") {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry());
  telemetry = { isEnabled: true, functionId: "helper" };
}
const watched = generation === "latest" ? { telemetry } : { experimental_telemetry: telemetry };

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: "none" });
const anthropic = createAnthropic({ baseURL: `${process.env.ANTHROPIC_BASE_URL}/v1`, apiKey: "none" });
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";
const getWeather = ai.tool({
  description: "Tell the weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `It is 21 degrees in ${city}.`,
});

const scenarios = {
  // Half of the input comes from the cache, some output is reasoning.
  chat: () =>
    ai.generateText({
      ...watched,
      model: openai.chat("gpt-4o-mini"),
      system: "You answer in one sentence.",
      prompt: "Why is the sky blue, grüße 🌍?",
      temperature: 0.2,
      maxOutputTokens: 100,
      headers: { "x-fake-cached-tokens": "5", "x-fake-reasoning-tokens": "4" },
    }),
  stream: async () => {
    const answer = ai.streamText({
      ...watched,
      model: openai.chat("gpt-4o-mini"),
      prompt: "Tell me a story about streaming.",
      headers: { "x-fake-ttft-ms": "30" },
    });
    for await (const _ of answer.textStream);
  },
  // Two steps: the model calls a tool, then reads its result.
  tools: () =>
    ai.generateText({
      ...watched,
      model: openai.chat("gpt-4o"),
      prompt: "What is the weather in Paris?",
      tools: { get_weather: getWeather },
      stopWhen: ai.stepCountIs(3),
    }),
  vision: () =>
    ai.generateText({
      ...watched,
      model: openai.chat("gpt-4o"),
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image", image: PIXEL, mediaType: "image/png" },
          ],
        },
      ],
    }),
  embeddings: () =>
    ai.embedMany({
      ...watched,
      model: openai.embedding("text-embedding-3-small"),
      values: ["one small text", "and another"],
    }),
  object: () =>
    ai.generateObject({
      ...watched,
      model: openai.chat("gpt-4o"),
      prompt: "Which city is called Paris?",
      schema: z.object({ city: z.string() }),
    }),
  responses: () =>
    ai.generateText({
      ...watched,
      model: openai.responses("gpt-5"),
      system: "You answer in one sentence.",
      prompt: "What is a span?",
      headers: { "x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "6" },
    }),
  // Asked twice: the first call writes the cache and the second reads it.
  anthropic_chat: async () => {
    for (const question of ["What is a span?", "What is a trace?"])
      await ai.generateText({
        ...watched,
        model: anthropic("claude-sonnet-4-5"),
        maxOutputTokens: 100,
        system: {
          role: "system",
          content: "You know everything about spans and traces.",
          providerOptions: { anthropic: { cacheControl: { type: "ephemeral" } } },
        },
        prompt: question,
      });
  },
  error: () =>
    ai
      .generateText({ ...watched, model: openai.chat("gpt-error-429"), prompt: "Am I too fast?", maxRetries: 0 })
      .catch(() => undefined),
};

await scenarios[scenario]();
await provider.shutdown();
