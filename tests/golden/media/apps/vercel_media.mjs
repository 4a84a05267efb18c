// An application of the Vercel AI SDK that shows a model an image and a paper: `node vercel_media.mjs latest files`.
import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import * as ai from "ai";

const [generation, scenario] = process.argv.slice(2);
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "golden" }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
const watched =
  generation === "latest" ? { telemetry: { isEnabled: true } } : { experimental_telemetry: { isEnabled: true } };
if (generation === "latest") {
  const { OpenTelemetry } = await import("@ai-sdk/otel");
  ai.registerTelemetry(new OpenTelemetry());
}

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: "none" });
const image = readFileSync("image.png");
const paper = readFileSync("paper.pdf");
const ask = (...content) => ({
  ...watched,
  model: openai.chat("gpt-4o"),
  messages: [{ role: "user", content }],
});

const scenarios = {
  // As bytes, which the SDK writes in base64.
  image: () => ai.generateText(ask({ type: "text", text: "What is this?" }, { type: "image", image })),
  // As base64, and as a `data:` address.
  files: () =>
    ai.generateText(
      ask(
        { type: "text", text: "Does the paper show this?" },
        { type: "image", image: `data:image/png;base64,${image.toString("base64")}` },
        { type: "file", data: paper.toString("base64"), mediaType: "application/pdf", filename: "paper.pdf" },
      ),
    ),
};

await scenarios[scenario]();
await provider.shutdown();
