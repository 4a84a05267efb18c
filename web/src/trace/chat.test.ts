import { describe, expect, it } from "vitest";
import { conversation, isSafeImage, isWebLink, parsed } from "./chat";

const text = (role: string, content: string) => ({ role, parts: [{ type: "text", content }] });

describe("conversation", () => {
  it("pairs a tool call with its result and drops the message that held only the result", () => {
    const messages = conversation({
      system_instructions: [{ type: "text", content: "Be brief" }],
      input_messages: [
        text("user", "weather?"),
        { role: "assistant", parts: [{ type: "tool_call", id: "c1", name: "weather", arguments: '{"city":"Oslo"}' }] },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: '{"t":3}' }] },
      ],
      output_messages: [{ ...text("assistant", "3 degrees"), finish_reason: "stop" }],
    });
    expect(messages.map((message) => message.role)).toEqual(["system", "user", "assistant", "assistant"]);
    expect(messages[2].parts[0]).toEqual({ kind: "call", id: "c1", name: "weather", args: { city: "Oslo" }, result: { t: 3 } });
    expect(messages[3]).toMatchObject({ side: "output", finish: "stop" });
  });

  it("keeps a result without a call, and a second result with the same id", () => {
    const response = { role: "tool", parts: [{ type: "tool_call_response", id: "c9", result: "late" }] };
    const call = { role: "assistant", parts: [{ type: "tool_call", id: "c9", name: "f", arguments: {} }] };
    expect(conversation({ system_instructions: [], input_messages: [response], output_messages: [] })).toHaveLength(1);
    expect(conversation({ system_instructions: [], input_messages: [call, response, response], output_messages: [] })).toHaveLength(2);
  });

  it("reads strange messages without failing", () => {
    const strange = [null, 7, "plain", {}, { role: "user", content: "old style" }, { role: 3, parts: [null, { type: "x-new", a: 1 }, { no: "type" }] }];
    const messages = conversation({ system_instructions: [], input_messages: strange, output_messages: [{}] });
    expect(messages.some((message) => message.parts.some((part) => part.kind === "text" && part.text === "old style"))).toBe(true);
    expect(messages.at(-1)).toMatchObject({ role: "assistant", parts: [] });
  });

  it("makes data addresses of blobs", () => {
    const [message] = conversation({
      system_instructions: [],
      input_messages: [{ role: "user", parts: [{ type: "blob", mime_type: "image/png", content: "AAAA" }, { type: "uri", uri: "https://x/y.png", modality: "image" }] }],
      output_messages: [],
    });
    expect(message.parts).toMatchObject([{ kind: "media", url: "data:image/png;base64,AAAA" }, { kind: "media", url: "https://x/y.png" }]);
  });
});

describe("media that lie apart", () => {
  it("are told by their hash, size and type", () => {
    const uri = `spanhouse-blob:sha256/${"cd".repeat(32)}`;
    const part = { type: "uri", modality: "audio", mime_type: "audio/wav", uri, size_bytes: 512, truncated: true, address: "/api/v1/blobs/x" };
    const [message] = conversation({ system_instructions: [], input_messages: [{ role: "user", parts: [part] }], output_messages: [] });
    expect(message.parts).toEqual([{ kind: "media", mime: "audio/wav", url: "", label: "audio/wav", stored: { hash: "cd".repeat(32), sizeBytes: 512, truncated: true } }]);
  });
});

describe("what may be drawn or linked", () => {
  it.each(["data:image/svg+xml;base64,AAAA", "https://evil/x.png", "data:text/html;base64,AAAA", "javascript:alert(1)"])("is not %s as an image", (url) => {
    expect(isSafeImage(url)).toBe(false);
  });
  it("takes pictures from data and links to the web", () => {
    expect(isSafeImage("data:image/png;base64,AAAA")).toBe(true);
    expect(isWebLink("https://example.org")).toBe(true);
    expect(isWebLink("javascript:alert(1)")).toBe(false);
  });
});

describe("parsed", () => {
  it("reads objects and lists only", () => {
    expect(parsed('{"a":1}')).toEqual({ a: 1 });
    expect(parsed("[1")).toBe("[1");
    expect(parsed("12")).toBe("12");
    expect(parsed(12)).toBe(12);
  });
});
