import { describe, expect, it } from "vitest";
import { absolute, bucketSeconds, describeRange, parseTyped, resolveRange, stepRange } from "./time";

const now = new Date(2026, 4, 20, 15, 30).getTime();
const local = (year: number, month: number, day: number, hour = 0, minute = 0) => new Date(year, month, day, hour, minute).getTime();

describe("resolveRange", () => {
  it("reads relative, open and exact ranges", () => {
    expect(resolveRange("90m", now)).toEqual({ from: now - 5_400_000, to: null });
    expect(resolveRange("all", now)).toEqual({ from: null, to: null });
    const from = now - 1000;
    expect(resolveRange(absolute(from, now), now)).toEqual({ from, to: now });
    expect(resolveRange(absolute(null, now), now)).toEqual({ from: null, to: now });
  });
  it.each(["", "soon", "0h", "..", "2026-13-01T00:00:00Z..", "2026-01-02T00:00:00Z..2026-01-01T00:00:00Z", "1h..2h"])("refuses %j", (text) => {
    expect(resolveRange(text, now)).toBeNull();
  });
});

describe("parseTyped", () => {
  it.each([
    ["3h", "3h"],
    ["last 2 days", "2d"],
    [" 45 Min ", "45m"],
    ["past week", "1w"],
    ["1.5 hours ago", "1.5h"],
    ["all time", "all"],
  ])("understands %j", (typed, range) => expect(parseTyped(typed, now)).toBe(range));

  it("understands days in local time", () => {
    expect(parseTyped("today", now)).toBe(absolute(local(2026, 4, 20), null));
    expect(parseTyped("yesterday", now)).toBe(absolute(local(2026, 4, 19), local(2026, 4, 20)));
    expect(parseTyped("2026-01-02", now)).toBe(absolute(local(2026, 0, 2), local(2026, 0, 3)));
    expect(parseTyped("2026-01-02 to 2026-01-05", now)).toBe(absolute(local(2026, 0, 2), local(2026, 0, 6)));
    expect(parseTyped("2026-01-02 10:00 - 2026-01-02 11:30", now)).toBe(absolute(local(2026, 0, 2, 10), local(2026, 0, 2, 11, 30)));
    expect(parseTyped("2026-05-20 10:00 to now", now)).toBe(absolute(local(2026, 4, 20, 10), now));
  });

  it.each(["", "h", "banana", "2026-02-30", "2026-01-05 to 2026-01-02", "3 parsecs", "day"])("does not guess at %j", (typed) => {
    expect(parseTyped(typed, now)).toBeNull();
  });

  it("gives only what resolveRange reads", () => {
    for (const typed of ["3h", "yesterday", "2026-01-02", "2 months", "today"]) expect(resolveRange(parseTyped(typed, now)!, now)).not.toBeNull();
  });
});

describe("ranges", () => {
  it("step by their own length", () => {
    expect(resolveRange(stepRange("1h", -1, now), now)).toEqual({ from: now - 7_200_000, to: now - 3_600_000 });
    expect(stepRange("all", 1, now)).toBe("all");
  });
  it("have names", () => {
    expect(describeRange("7d", now)).toBe("Last 7 days");
    expect(describeRange("1h", now)).toBe("Last hour");
    expect(describeRange("3h", now)).toBe("Last 3 hours");
    expect(describeRange(absolute(local(2026, 4, 20, 10), local(2026, 4, 20, 11)), now)).toBe("May 20 10:00 – 11:00");
  });
  it("are cut in at most so many buckets", () => {
    for (const length of [1000, 60_000, 86_400_000, 400 * 86_400_000]) expect(length / 1000 / bucketSeconds(0, length, 120)).toBeLessThanOrEqual(120);
  });
});
