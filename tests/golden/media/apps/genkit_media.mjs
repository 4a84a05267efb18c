// An application of Genkit that shows a model an image, and has one drawn: `node genkit_media.mjs own image`.
import { readFileSync } from "node:fs";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { openAI } from "@genkit-ai/compat-oai/openai";
import { genkit } from "genkit";
import { enableTelemetry, flushTracing } from "genkit/tracing";

const [, scenario] = process.argv.slice(2);
await enableTelemetry({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });

const ai = genkit({
  plugins: [openAI({ apiKey: "none", baseURL: process.env.OPENAI_BASE_URL, maxRetries: 0 })],
});
const address = (name, kind) => `data:${kind};base64,${readFileSync(name).toString("base64")}`;

const scenarios = {
  image: () =>
    ai.generate({
      model: openAI.model("gpt-4o"),
      prompt: [
        { text: "What is this?" },
        { media: { url: address("image.png", "image/png"), contentType: "image/png" } },
      ],
    }),
  files: () =>
    ai.generate({
      model: openAI.model("gpt-4o"),
      messages: [
        {
          role: "user",
          content: [
            { media: { url: address("paper.pdf", "application/pdf"), contentType: "application/pdf" } },
            { text: "Sum it up." },
          ],
        },
        { role: "model", content: [{ text: "It is about spans." }] },
      ],
      prompt: [
        { text: "Does it show this?" },
        { media: { url: address("image.png", "image/png"), contentType: "image/png" } },
      ],
    }),
  drawing: () =>
    ai.generate({ model: openAI.model("gpt-image-1"), prompt: "Draw a small house.", config: { quality: "low" } }),
};

await scenarios[scenario]();
await flushTracing();
process.exit(0);
