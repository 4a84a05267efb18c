import { describe, expect, it } from "vitest";
import { buildTree, type TreeInput } from "./build";
import { firstToShow } from "./first";

type Sample = TreeInput & { category?: string };
const span = (span_id: string, parent_span_id = "", more: Partial<Sample> = {}): Sample => ({ span_id, parent_span_id, start_ms: 0, duration_ms: 1, ...more });
const shown = (...spans: Sample[]) => firstToShow(spans, buildTree(spans));
const failed = { status_code: "error" };

describe("firstToShow", () => {
  it("shows the failing leaf", () => {
    expect(shown(span("a", "", failed), span("b", "a", { tokens: 9, category: "llm" }), span("c", "a", { ...failed, category: "tool" }))).toBe("c");
  });

  it("shows the outer of two spans of one failed call", () => {
    const call = { ...failed, category: "llm" };
    expect(shown(span("agent", "", { ...failed, category: "agent" }), span("outer", "agent", call), span("inner", "outer", call))).toBe("outer");
  });

  it("shows the richest model call, else the root, else nothing", () => {
    expect(shown(span("a"), span("b", "a", { category: "llm", tokens: 3 }), span("c", "a", { category: "llm", tokens: 5 }))).toBe("c");
    expect(shown(span("a"), span("b", "a"))).toBe("a");
    expect(shown()).toBe("");
  });
});
