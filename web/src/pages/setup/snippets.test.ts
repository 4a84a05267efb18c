import { describe, expect, it } from "vitest";
import { freshIds, otlpExample, rejectionHint, snippets } from "./snippets";

describe("snippets", () => {
  const now = Date.UTC(2026, 0, 2);
  const all = snippets("https://obs.example/team", false, freshIds(), now);

  it("hold this server's address", () => {
    for (const snippet of all) expect(snippet.steps.map((step) => step.code).join("\n")).toContain("https://obs.example/team");
  });

  it("ask for a key only where keys are needed", () => {
    const text = (keys: boolean) => snippets("http://h", keys, freshIds(), now).map((one) => one.steps.map((step) => step.code).join("\n"));
    expect(text(false).join()).not.toContain("YOUR_KEY");
    for (const code of text(true)) expect(code).toContain("YOUR_KEY");
  });

  it("can be pasted into a shell: the JSON in single quotes is whole", () => {
    const code = all.find((one) => one.id === "curl")!.steps[0].code;
    const body = /-d '([\s\S]*)'$/.exec(code)![1];
    expect(body).not.toContain("'");
    expect(JSON.parse(body).resourceSpans).toHaveLength(1);
  });

  it("have valid, fresh ids", () => {
    const ids = freshIds();
    expect(ids.trace).toMatch(/^[0-9a-f]{32}$/);
    expect(ids.root).toMatch(/^[0-9a-f]{16}$/);
    expect(freshIds().trace).not.toBe(ids.trace);
    expect(JSON.stringify(otlpExample(ids, now))).toContain(`"parentSpanId":"${ids.root}"`);
  });

  it("know what to do about rejections", () => {
    for (const reason of ["invalid_trace_id", "invalid_span_id", "invalid_time", "span_too_large", "whatever"]) expect(rejectionHint(reason)).toMatch(/\.$/);
  });
});
