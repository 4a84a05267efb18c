import { describe, expect, it } from "vitest";
import { isAbout, normalChart, type NormalLine } from "./normal";

const line = (points: NormalLine["points"], labels = {}): NormalLine => ({ labels, points });

describe("normalChart", () => {
  it("draws values, what was expected and the band, with gaps where nothing was said", () => {
    const chart = normalChart(line([[0, 4, 5, 3, 7], [300, 9, 5, 3, 7], [900, 5, null, null, null]]), "cost_usd")!;
    expect(chart.times).toEqual([0, 300, 600, 900]);
    expect(chart.lines.map((one) => one.values)).toEqual([[4, 9, null, 5], [5, 5, null, null]]);
    expect(chart.band).toEqual({ low: [3, 3, null, null], high: [7, 7, null, null] });
    expect(chart.unit).toBe("USD");
  });

  it("keeps every thinned point, in order, without holes between neighbours", () => {
    // Every tenth of 10,000 five-minute points, each picked at another place of its ten.
    const points = Array.from({ length: 1000 }, (_, index): NormalLine["points"][number] => [(index * 10 + ((index * 7) % 10)) * 300, index, index, index - 1, index + 1]);
    const chart = normalChart(line(points), "requests")!;
    const values = chart.lines[0].values;
    const kept = new Set(values);
    expect(points.every((point) => kept.has(point[1]))).toBe(true);
    expect(values.filter((value) => value === null).length).toBeLessThan(chart.times.length / 50);
    expect(values.filter((value) => value !== null)).toEqual(values.filter((value) => value !== null).toSorted((a, b) => a! - b!));
  });

  it("draws one point, and nothing of none", () => {
    expect(normalChart(line([[600, 1, 2, 1, 3]]), "")!.times).toEqual([600]);
    expect(normalChart(line([]), "")).toBeNull();
  });
});

it("finds the alerts about a group", () => {
  const group = line([], { model: "gpt-4o" });
  expect(isAbout(group, { alertname: "x", model: "gpt-4o" })).toBe(true);
  expect(isAbout(group, { alertname: "x", model: "other" })).toBe(false);
  expect(isAbout(line([], {}), { model: "other" })).toBe(true);
});
