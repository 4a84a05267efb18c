import { describe, expect, it } from "vitest";
import { axisTicks } from "../../ui/chart/ticks";
import { barPath, prepareBars } from "./histogram";
import { mergeRows, type Row } from "./rows";
import { windowRange } from "../../ui/window";

const row = (key: string, time: string, name = "") => ({ key, time, name }) as Row;

describe("mergeRows", () => {
  it("renews known rows in place and puts new ones on top, newest first", () => {
    const { rows, added } = mergeRows([row("b", "2"), row("a", "1")], [row("a", "1", "changed"), row("c", "3"), row("d", "4")]);
    expect(rows.map((one) => one.key)).toEqual(["d", "c", "b", "a"]);
    expect(rows[3].name).toBe("changed");
    expect(added).toBe(2);
  });
});

describe("windowRange", () => {
  it("never leaves the list", () => {
    expect(windowRange(0, 300, 30, 1000, 5)).toEqual({ start: 0, end: 15 });
    expect(windowRange(1e9, 300, 30, 10, 5)).toEqual({ start: 10, end: 10 });
    expect(windowRange(0, 0, 30, 0, 5)).toEqual({ start: 0, end: 0 });
  });
});

describe("the strip", () => {
  const reply = (points: (number | null)[][]) => ({ interval_s: 60, series: [{ points }] });
  it("puts figures on one grid and knows zeros", () => {
    const bars = prepareBars(reply([[60, 4], [180, 2]]), reply([[60, 1], [120, null]]), 65_000, 230_000);
    expect(bars.bars.map((bar) => [bar.total, bar.errors])).toEqual([[4, 1], [0, 0], [2, 0]]);
    expect([bars.max, bars.total, bars.errors]).toEqual([4, 6, 1]);
    expect(barPath(bars, "total", 300, 40).match(/M/g)).toHaveLength(2);
    expect(barPath(bars, "errors", 300, 40).match(/M/g)).toHaveLength(1);
  });
  it("has few ticks, all inside", () => {
    for (const length of [5000, 3_600_000, 7 * 86_400_000, 300 * 86_400_000]) {
      const ticks = axisTicks(1_700_000_000_000, 1_700_000_000_000 + length, 9);
      expect(ticks.length).toBeLessThanOrEqual(10);
      expect(ticks.every((tick) => tick.at >= 1_700_000_000_000 && tick.at <= 1_700_000_000_000 + length)).toBe(true);
    }
  });
});
