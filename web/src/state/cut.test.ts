import { expect, it } from "vitest";
import { cutRange } from "./time";

const NOW = Date.parse("2026-03-04T12:34:56Z");

it("begins ranges that end now at the edge of a bucket", () => {
  const cut = cutRange("24h", NOW, null)!;
  expect(cut.interval).toBe(900);
  expect(cut.to).toBe(NOW);
  expect(cut.from % 900_000).toBe(0);
  expect(NOW - cut.from).toBeGreaterThanOrEqual(86_400_000);
  expect(NOW - cut.from).toBeLessThan(86_400_000 + 900_000);
});

it("keeps the ends that were asked for", () => {
  const cut = cutRange("2026-03-04T01:02:03Z..2026-03-04T02:00:00Z", NOW, null)!;
  expect(cut.from).toBe(Date.parse("2026-03-04T01:02:03Z"));
  expect(cut.to).toBe(Date.parse("2026-03-04T02:00:00Z"));
});

it("begins open ranges at the first trace", () => {
  expect(cutRange("all", NOW, NOW - 7_200_000)!.from).toBeLessThanOrEqual(NOW - 7_200_000);
  expect(cutRange("all", NOW, null)).toBeNull();
  expect(cutRange("nonsense", NOW, null)).toBeNull();
});
