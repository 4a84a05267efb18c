import { describe as group, expect, it } from "vitest";
import { ceilingOf, Colours, describe, type Figures, formatTick, formatValue, gapsOf, lonely, partialFrom, prepareChart, splitPartial, stack } from "./prepare";

function reply(points: [number, number | null][], groups: Record<string, string>[] = [{}], unit = "requests"): Figures {
  return {
    metric: "requests",
    unit,
    interval_s: 60,
    series: groups.map((group) => ({ group, points, total: points.reduce((sum, [, value]) => sum + (value ?? 0), 0) })),
  };
}

group("prepareChart", () => {
  it("lays points over every bucket of the range and keeps gaps apart from zeros", () => {
    const data = prepareChart([{ reply: reply([[60, 0], [180, 5]]), name: "Calls" }], 65_000, 240_000, 1e12, new Colours());
    expect(data.times).toEqual([60, 120, 180]);
    expect(data.lines[0].values).toEqual([0, null, 5]);
    expect(data.lines[0].name).toBe("Calls");
    expect(data.partialFrom).toBe(3);
  });

  it("tells the bucket that now lies in from those that are over", () => {
    expect(prepareChart([{ reply: reply([[60, 1]]) }], 60_000, 240_000, 190_000, new Colours()).partialFrom).toBe(2);
    expect(partialFrom([0, 60], 60, 120_000)).toBe(2);
  });

  it("names groups, gives each its filter, and what did not fit none", () => {
    const data = prepareChart([{ reply: reply([[60, 1]], [{ model: "a" }, { model: "" }, { other: "true" }]) }], 60_000, 120_000, 1e12, new Colours());
    expect(data.lines.map((line) => line.name)).toEqual(["a", "(none)", "all others"]);
    expect(data.lines.map((line) => line.filter)).toEqual([{ field: "model", value: "a" }, undefined, undefined]);
    expect(data.lines[2].colour).toBe("other");
  });

  it("is bounded however long the range is", () => {
    expect(prepareChart([{ reply: reply([]) }], 0, 1e15, 1e15, new Colours()).times.length).toBe(5000);
  });
});

group("colours", () => {
  it("stay with a name and run out into one for all others", () => {
    const colours = new Colours();
    expect(colours.of("a")).toBe(0);
    expect(colours.of("b")).toBe(1);
    expect(colours.of("a")).toBe(0);
    for (const name of "cdefgh") colours.of(name);
    expect(colours.of("late")).toBe("other");
  });
});

group("shapes", () => {
  const line = (values: (number | null)[]) => ({ key: "", name: "", colour: 0 as const, values, total: null });

  it("stacks upwards, nothing counting as nothing", () => {
    expect(stack([line([1, null, 2]), line([1, 4, null])])).toEqual([[1, 0, 2], [2, 4, 2]]);
  });

  it("finds where no line has anything", () => {
    expect(gapsOf([line([null, null, 0, null]), line([null, null, null, 3])], 4)).toEqual([[0, 2]]);
  });

  it("finds points that stand alone", () => {
    expect(lonely([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  });

  it("splits off what is not over, both parts meeting", () => {
    expect(splitPartial([1, 2, 3], 2)).toEqual({ whole: [1, 2, null], partial: [null, 2, 3] });
    expect(splitPartial([1, 2, 3], 3).partial).toEqual([null, null, 3]);
  });

  it("ends the axis above everything drawn", () => {
    const data = { times: [0, 60], step: 60, partialFrom: 2, unit: "", lines: [line([10, 20]), line([5, 5])] };
    expect(ceilingOf(data, false)).toBe(25);
    expect(ceilingOf(data, true)).toBe(30);
    expect(ceilingOf({ ...data, levels: [{ value: 90, name: "", colour: "error" }] }, false)).toBe(100);
    expect(ceilingOf({ ...data, lines: [] }, false)).toBe(1);
  });
});

group("words", () => {
  it("writes values in their unit", () => {
    expect(formatValue(1234, "ms")).toBe("1.23 s");
    expect(formatValue(0.1234, "share")).toBe("12%");
    expect(formatValue(null, "USD")).toBe("–");
    expect(formatTick(0.002, "USD")).toBe("$0.002");
    expect(formatTick(1500, "USD")).toBe("$1,500");
  });

  it("describes a chart for those who do not see it", () => {
    const data = prepareChart([{ reply: reply([[60, 1], [120, 9]]), name: "Calls" }], 60_000, 240_000, 1e12, new Colours());
    expect(describe(data, "Requests")).toBe("Requests, 3 intervals. Calls: 1 to 9. Nothing measured in 1 of them.");
  });
});
