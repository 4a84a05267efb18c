import { describe, expect, it } from "vitest";
import { ancestors, buildTree, collapsible, type TreeInput, visibleRows } from "./build";

const span = (span_id: string, parent_span_id = "", start_ms = 0, more: Partial<TreeInput> = {}): TreeInput => ({ span_id, parent_span_id, start_ms, duration_ms: 1, ...more });
const names = (spans: TreeInput[]) => {
  const tree = buildTree(spans);
  return Array.from(tree.order, (index, at) => `${"  ".repeat(tree.depth[at])}${spans[index].span_id}`);
};

describe("buildTree", () => {
  it("puts children below their parent in order of start, whatever order they come in", () => {
    expect(names([span("c", "a", 5), span("b", "a", 2), span("d", "b", 3), span("a")])).toEqual(["a", "  b", "    d", "  c"]);
  });

  it("knows subtree ends, places among siblings and parents", () => {
    const spans = [span("a"), span("b", "a", 1), span("c", "b", 2), span("d", "a", 3)];
    const tree = buildTree(spans);
    expect([...tree.end]).toEqual([4, 3, 3, 4]);
    expect([...tree.place]).toEqual([1, 1, 1, 2]);
    expect([...tree.siblings]).toEqual([1, 2, 1, 2]);
    expect([...tree.parent]).toEqual([-1, 0, 1, 0]);
    expect(ancestors(tree, 2)).toEqual([1, 0]);
  });

  it("shows orphans as roots and says so", () => {
    const tree = buildTree([span("a"), span("b", "gone", 1), span("c", "b", 2)]);
    expect(tree.roots).toBe(2);
    expect([...tree.orphans]).toEqual([tree.position.get("b")]);
    expect(tree.depth[tree.position.get("c")!]).toBe(1);
  });

  it("cuts rings at their earliest member and shows every span once", () => {
    const spans = [span("x"), span("a", "c", 3), span("b", "a", 1), span("c", "b", 2), span("tail", "a", 4), span("self", "self", 9)];
    const tree = buildTree(spans);
    expect(tree.order.length).toBe(spans.length);
    expect(new Set(tree.order).size).toBe(spans.length);
    expect([...tree.rings].sort()).toEqual([tree.position.get("b"), tree.position.get("self")].sort());
    expect(tree.depth[tree.position.get("b")!]).toBe(0);
    expect(tree.depth[tree.position.get("tail")!]).toBe(3);
  });

  it("keeps the last of spans with the same id", () => {
    const spans = [span("a", "", 0, { tokens: 1 }), span("a", "", 0, { tokens: 2 })];
    const tree = buildTree(spans);
    expect(tree.order.length).toBe(1);
    expect(tree.tokens[0]).toBe(2);
  });

  it("sums errors, tokens and cost of what counts, and leaves unknown unknown", () => {
    const tree = buildTree([
      span("a", "", 0, { tokens: 99, cost_usd: "9", counted: false }),
      span("b", "a", 1, { tokens: 10, cost_usd: "0.1", status_code: "error" }),
      span("c", "a", 2, { tokens: 5 }),
      span("d", "a", 3),
    ]);
    expect(tree.tokens[0]).toBe(15);
    expect(tree.cost[0]).toBeCloseTo(0.1);
    expect(tree.errors[0]).toBe(1);
    expect(tree.tokens[3]).toBeNaN();
  });

  it("is empty for nothing", () => {
    const tree = buildTree([]);
    expect(tree.order.length).toBe(0);
    expect(visibleRows(tree, new Set()).length).toBe(0);
  });
});

describe("large shapes", () => {
  const limitMs = 1500; // far above what is measured (about 60 ms), far below what O(n²) would take

  it("builds a chain of 10,000", () => {
    const chain = Array.from({ length: 10_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : "", i));
    const started = performance.now();
    const tree = buildTree(chain);
    expect(performance.now() - started).toBeLessThan(limitMs);
    expect(tree.depth[9_999]).toBe(9_999);
    expect(tree.end[0]).toBe(10_000);
    expect(visibleRows(tree, new Set([5])).length).toBe(6);
  });

  it("builds 50,000 siblings, 50,000 orphans and 25,000 rings", () => {
    const shapes: [TreeInput[], number][] = [
      [[span("root"), ...Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, "root", 50_000 - i))], 1],
      [Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, `gone${i}`, i)), 50_000],
      [Array.from({ length: 50_000 }, (_, i) => span(`s${i}`, `s${i ^ 1}`, i)), 25_000],
    ];
    for (const [spans, roots] of shapes) {
      const started = performance.now();
      const tree = buildTree(spans);
      expect(performance.now() - started).toBeLessThan(limitMs);
      expect(tree.roots).toBe(roots);
      expect(tree.order.length).toBe(spans.length);
    }
  });
});

describe("visibleRows", () => {
  it("hides what is below collapsed rows, also when those are hidden themselves", () => {
    const tree = buildTree([span("a"), span("b", "a", 1), span("c", "b", 2), span("d", "c", 3), span("e", "a", 4)]);
    expect([...visibleRows(tree, new Set([1, 2]))]).toEqual([0, 1, 4]);
    expect([...collapsible(tree)]).toEqual([1, 2]);
  });
});
