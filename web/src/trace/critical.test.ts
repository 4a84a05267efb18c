import { describe, expect, it } from "vitest";
import { buildTree, type TreeInput } from "./build";
import { criticalPath, joinStretches } from "./critical";

const span = (span_id: string, parent_span_id: string, start_ms: number, duration_ms: number): TreeInput => ({ span_id, parent_span_id, start_ms, duration_ms });

/** Own time on the critical path by span id. */
function own(spans: TreeInput[]): Record<string, number> {
  const tree = buildTree(spans);
  return Object.fromEntries([...criticalPath(spans, tree).own].map(([at, ms]) => [spans[tree.order[at]].span_id, ms]));
}

describe("criticalPath", () => {
  it("gives each moment to what held the trace up then", () => {
    const spans = [span("root", "", 0, 100), span("a", "root", 10, 30), span("b", "root", 50, 40)];
    expect(own(spans)).toEqual({ root: 10 + 10 + 10, a: 30, b: 40 });
    const tree = buildTree(spans);
    expect(criticalPath(spans, tree).stretches.get(tree.position.get("root")!)).toEqual([[90, 100], [40, 50], [0, 10]]);
  });

  it("leaves out what ran beside something longer", () => {
    expect(own([span("root", "", 0, 100), span("slow", "root", 0, 100), span("quick", "root", 5, 20)])).toEqual({ slow: 100 });
  });

  it("follows the child that ended last, and below it its own children", () => {
    const spans = [span("root", "", 0, 100), span("early", "root", 0, 60), span("late", "root", 40, 55), span("leaf", "late", 50, 40)];
    expect(own(spans)).toEqual({ root: 5 + 40, late: 5 + 10, leaf: 40 });
  });

  it("cuts a child that outlives its parent, and one that began before it", () => {
    expect(own([span("root", "", 0, 100), span("fire and forget", "root", 90, 500)])).toEqual({ root: 90, "fire and forget": 10 });
    expect(own([span("root", "", 50, 50), span("skewed", "root", 0, 80)])).toEqual({ root: 20, skewed: 30 });
  });

  it("sums to the length of the trace wherever a root covers it", () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    for (let round = 0; round < 50; round++) {
      const spans = [span("0", "", 0, 1000)];
      for (let index = 1; index < 60; index++) spans.push(span(String(index), String(Math.floor(random() * index)), random() * 900, random() * 300));
      const sum = Object.values(own(spans)).reduce((all, ms) => all + ms, 0);
      const tree = buildTree(spans);
      const last = Math.max(...Array.from(tree.order, (index, at) => (tree.depth[at] === 0 ? spans[index].start_ms + spans[index].duration_ms : 0)));
      expect(sum).toBeCloseTo(last, 6);
    }
  });

  it("takes several roots, durations below zero, none at all, and a chain of 20,000", () => {
    expect(own([span("a", "", 0, 10), span("b", "", 30, 10)])).toEqual({ a: 10, b: 10 });
    expect(own([span("odd", "", 5, -3)])).toEqual({});
    expect(own([])).toEqual({});
    const chain = Array.from({ length: 20_000 }, (_, index) => span(String(index), index ? String(index - 1) : "", index, 40_000 - 2 * index));
    expect(Object.keys(own(chain)).length).toBe(20_000);
  });
});

it("joins stretches that lie close", () => {
  expect(joinStretches([[90, 100], [85, 89], [10, 20]], 2)).toEqual([[85, 100], [10, 20]]);
  expect(joinStretches([], 2)).toEqual([]);
});
