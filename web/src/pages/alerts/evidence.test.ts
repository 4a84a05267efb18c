import { describe, expect, it } from "vitest";
import { evidenceChart, levelsOf, ratio, tracesOf, unitOf } from "./evidence";

describe("evidenceChart", () => {
  it("draws points against the levels of a threshold", () => {
    const chart = evidenceChart({ points: [[600, 1], [900, null], [1200, 9]], threshold: { direction: "above", breach: 5, warning: 3, recover: null } }, "cost_usd", 1250)!;
    expect(chart.times).toEqual([600, 900, 1200]);
    expect(chart.lines[0].values).toEqual([1, null, 9]);
    expect(chart.levels!.map((level) => [level.name, level.value])).toEqual([["breach", 5], ["warning", 3]]);
    expect(chart.marks).toEqual([{ at: 1250, name: "fired", colour: "error" }]);
    expect(chart.unit).toBe("USD");
    expect(evidenceChart({ points: [[600, 1], [900, 2]] }, "", 1600)!.times).toEqual([600, 900, 1200, 1500]);
    expect(evidenceChart({ points: [[600, 1], [900, 2]] }, "", 999_999)!.times).toEqual([600, 900]);
  });

  it("draws the band of a baseline on the grid of the points", () => {
    const chart = evidenceChart({ points: [[0, 4], [300, 8]], baseline: [[0, 4, 3, 5], [300, null, null, null]], series: { interval_s: 60, points: [[0, 1], [60, 1], [120, 1]] } }, "requests", null)!;
    expect(chart.lines.map((line) => line.values)).toEqual([[4, 8], [4, null]]);
    expect(chart.band).toEqual({ low: [3, null], high: [5, null] });
  });

  it("draws finer points where they measure the same, and keeps the judged ones of a sum", () => {
    const evidence = { points: [[0, 10], [300, 90], [600, 20]], series: { interval_s: 60, points: [[360, 70], [420, 75], [480, 80], [540, 95]] } };
    expect(evidenceChart(evidence, "duration_ms.p95", null)!.times).toEqual([360, 420, 480, 540]);
    expect(evidenceChart(evidence, "request_errors/requests", null)!.lines[0].values).toEqual([70, 75, 80, 95]);
    expect(evidenceChart(evidence, "cost_usd", null)!.times).toEqual([0, 300, 600]);
  });

  it("prefers the longer line where there is no baseline, and survives what it does not know", () => {
    const chart = evidenceChart({ points: [[600, 1]], series: { interval_s: 60, points: [[480, 1], [540, 2], [600, 3]] } }, "requests", null)!;
    expect(chart.lines[0].values).toEqual([1, 2, 3]);
    expect(evidenceChart({}, "", null)).toBeNull();
    expect(evidenceChart({ points: "x", baseline: [[1]], series: null }, "", null)).toBeNull();
    expect(evidenceChart({ points: [[600, 1]] }, "", null)!.times).toEqual([600]);
  });
});

it("knows units of metrics and of ratios", () => {
  expect(unitOf("request_duration_ms.p95")).toBe("ms");
  expect(unitOf("request_errors/requests")).toBe("share");
  expect(unitOf("cost_usd/requests")).toBe("USD");
  expect(unitOf("requests")).toBe("count");
});

it("takes a bare number for a level and nothing else", () => {
  expect(levelsOf(4)[0].value).toBe(4);
  expect(levelsOf("4")).toEqual([]);
  expect(levelsOf({ breach: null })).toEqual([]);
});

it("leaves malformed traces out", () => {
  expect(tracesOf({ traces: [{ trace_id: "a".repeat(32), name: "x", start_time: "t" }, { trace_id: "javascript:alert(1)" }, null] })).toEqual([{ traceId: "a".repeat(32), name: "x", time: "t" }]);
  expect(tracesOf({})).toEqual([]);
});

it("divides where there is something to divide by", () => {
  expect(ratio([[0, 1], [60, 2], [120, null]], [[0, 4], [60, 0], [120, 3]])).toEqual([[0, 0.25], [60, null], [120, null]]);
});
