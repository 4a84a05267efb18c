import { describe, expect, it } from "vitest";
import { formatAgo, formatBytes, formatCount, formatDuration, formatErrorType, formatScore, formatUsd, formatUsdFine, formatWhen } from "./format";

describe("figures", () => {
  it.each([
    [0, "0 ms"], [0.0005, "500 ns"], [0.0123, "12.3 µs"], [1, "1 ms"], [12.345, "12.3 ms"], [999.4, "999 ms"],
    [1000, "1 s"], [59_900, "59.9 s"], [61_000, "1m 01s"], [3_660_000, "1h 01m"], [90_000_000, "1d 1h"], [null, "–"], [Number.NaN, "–"],
  ])("duration %s ms is %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  it.each([[0, "0"], [9999, "9,999"], [12_345, "12.3k"], [1_234_567, "1.23M"], [null, "–"]])("count %s is %s", (value, text) => expect(formatCount(value)).toBe(text));

  it.each([["0", "$0"], ["0.000231", "$0.00023"], ["0.0000004", "<$0.00001"], ["1.5", "$1.50"], ["1234.5", "$1,235"], [null, "–"], ["x", "–"]])("money %s is %s", (value, text) => expect(formatUsd(value)).toBe(text));

  it.each([["0.000000152", "$0.00000015"], ["0.01333", "$0.013"], ["0.5", "$0.5"], ["0.1", "$0.1"], ["2", "$2.00"]])("fine money %s is %s", (value, text) => expect(formatUsdFine(value)).toBe(text));

  it.each([
    ["openai.NotFoundError", "NotFoundError"], ["", "error"], ["unknown", "error"], ["_OTHER", "error"], ["timeout", "timeout"],
    ["a.b.First, c.Second", "First, Second"], ["a.Same, b.Same", "Same"],
  ])("the error type %j is named %j", (type, text) => expect(formatErrorType(type)).toBe(text));

  it("sizes and scores", () => {
    expect(formatBytes(1023)).toBe("1023 B");
    expect(formatBytes(20 * 1024 * 1024)).toBe("20 MB");
    expect(formatScore(0.123456)).toBe("0.123");
    expect(formatScore(null, "good")).toBe("good");
  });
});

describe("instants", () => {
  const now = new Date(2026, 4, 20, 15, 30);
  it("say only what is not obvious", () => {
    expect(formatWhen(new Date(2026, 4, 20, 9, 5, 7).toISOString(), now)).toBe("09:05:07");
    expect(formatWhen(new Date(2026, 4, 19, 9, 5, 7).toISOString(), now)).toBe("May 19 09:05");
    expect(formatWhen(new Date(2025, 4, 19).toISOString(), now)).toBe("May 19 2025");
    expect(formatWhen("nonsense", now)).toBe("–");
  });
  it("in nanoseconds are read too", () => expect(formatAgo("2026-01-01T00:00:00.123456789Z", Date.parse("2026-01-01T00:01:05Z"))).toBe("1m ago"));
});
