// The npm clients of OpenAI and Anthropic, used in every way against one base URL each. Prints what they gave as
// JSON, without what differs by nature (times, request ids), so that two runs can be compared.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../../web/package.json", import.meta.url));
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");

const { OPENAI_URL, ANTHROPIC_URL, SESSION } = process.env;
const asked = [{ role: "user", content: "What is the weather in Paris?" }];
const headers = { "X-Session-Id": SESSION, "x-fake-id": "same" };
const seen = [];

const BY_NATURE = new Set(["created", "created_at", "completed_at", "_request_id", "request_id"]);
const plain = (value) => JSON.parse(JSON.stringify(value, (key, inner) => (BY_NATURE.has(key) ? undefined : inner)));

async function note(name, ask) {
  try {
    seen.push([name, plain(await ask())]);
  } catch (error) {
    seen.push([name, error.constructor.name, error.status ?? null, plain(error.error ?? null), retryAfter(error)]);
  }
}

const retryAfter = (error) => error.headers?.get?.("retry-after") ?? null;

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function first(stream, controller) {
  for await (const event of stream) {
    controller.abort();
    return event;
  }
}

const openai = new OpenAI({ baseURL: OPENAI_URL, apiKey: "sk-test", maxRetries: 0, defaultHeaders: headers });
const chat = { model: "gpt-4o-mini", messages: asked };
const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }];
await note("chat", () => openai.chat.completions.create(chat));
await note("stream", async () =>
  all(await openai.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } })),
);
await note("tools", () => openai.chat.completions.create({ ...chat, tools }));
await note("responses", () => openai.responses.create({ model: "gpt-4.1", input: "hello" }));
await note("responses stream", async () =>
  all(await openai.responses.create({ model: "gpt-4.1", input: "hello", stream: true })),
);
await note("embeddings", () => openai.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"] }));
await note("models", async () => (await openai.models.list()).data.map((model) => model.id));
for (const status of [400, 401, 429, 500]) {
  await note(`error ${status}`, () => openai.chat.completions.create({ ...chat, model: `error-${status}` }));
}
await note("timeout", () => openai.chat.completions.create({ ...chat, model: "slow-gpt" }, { timeout: 100 }));
await note("broken", async () =>
  all(await openai.chat.completions.create({ ...chat, model: "broken-gpt", stream: true })),
);
await note("hangs up", async () => {
  const controller = new AbortController();
  const options = { signal: controller.signal, headers: { "x-fake-chunk-ms": "20" } };
  return first(await openai.chat.completions.create({ ...chat, model: "gpt-4.1-mini", stream: true }, options), controller);
});

const anthropic = new Anthropic({ baseURL: ANTHROPIC_URL, apiKey: "sk-ant", maxRetries: 0, defaultHeaders: headers });
const message = { model: "claude-haiku-4-5", max_tokens: 64, messages: asked };
await note("message", () => anthropic.messages.create(message));
await note("message stream", async () => all(await anthropic.messages.create({ ...message, stream: true })));
await note("message tools", () =>
  anthropic.messages.create({ ...message, tools: [{ name: "get_weather", input_schema: { type: "object" } }] }),
);
await note("count", () => anthropic.messages.countTokens({ model: message.model, messages: asked }));
await note("message error", () => anthropic.messages.create({ ...message, model: "error-529" }));
await note("message timeout", () => anthropic.messages.create({ ...message, model: "slow-claude" }, { timeout: 100 }));

console.log(JSON.stringify(seen));
