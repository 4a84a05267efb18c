// What an application does with OpenAI's client for Node: the calls behind the golden payloads.
import { createReadStream } from "node:fs";

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
const drain = async (answer) => {
  for await (const _ of await answer);
};

/** Returns the scenarios by name, for a client. */
export const scenariosOf = (openai) => {
  const ask = (model, content, more = {}, headers = {}) =>
    openai.chat.completions.create({ model, messages: [{ role: "user", content }], ...more }, { headers });
  return {
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
    drawing: () => openai.images.generate({ model: "gpt-image-1", prompt: "Draw a small house.", quality: "low" }),
    redrawing: () =>
      openai.images.edit({ model: "gpt-image-1", image: [createReadStream("image.png")], prompt: "Draw this anew." }),
    dalle: () => openai.images.generate({ model: "dall-e-3", prompt: "Draw a small house.", size: "1024x1024" }),
    embeddings: () =>
      openai.embeddings.create({ model: "text-embedding-3-small", input: ["one small text", "and another"] }),
    error: () => ask("gpt-error-429", "Am I too fast?").catch(() => undefined),
    responses: () =>
      openai.responses.create(
        { model: "gpt-5", instructions: "You answer in one sentence.", input: "What is a span?" },
        { headers: { "x-fake-cached-tokens": "3", "x-fake-reasoning-tokens": "6" } },
      ),
  };
};
