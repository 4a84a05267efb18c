import { expect, it } from "vitest";
import { signed, waterfall } from "./waterfall";

it("begins each factor where the one before it ended", () => {
  const steps = waterfall({
    baseline: { cost_usd: "10" },
    current: { cost_usd: "14" },
    factors: [{ factor: "volume", contribution_usd: "10" }, { factor: "price", contribution_usd: "-6" }],
  });
  expect(steps.map((step) => [step.name, step.kind, step.from, step.to])).toEqual([
    ["Before", "start", 0, 0.5],
    ["Volume", "up", 0.5, 1],
    ["Price", "down", 0.7, 1],
    ["Now", "end", 0, 0.7],
  ]);
});

it("stays within its box when nothing was spent or factors reach below nothing", () => {
  expect(waterfall({ baseline: { cost_usd: "0" }, current: { cost_usd: "0" }, factors: [] }).every((step) => step.from === 0 && step.to === 0)).toBe(true);
  const steps = waterfall({ baseline: { cost_usd: "1" }, current: { cost_usd: "2" }, factors: [{ factor: "volume", contribution_usd: "-3" }, { factor: "price", contribution_usd: "4" }] });
  for (const step of steps) {
    expect(step.from).toBeGreaterThanOrEqual(0);
    expect(step.to).toBeLessThanOrEqual(1);
    expect(step.from).toBeLessThanOrEqual(step.to);
  }
});

it("writes signs", () => {
  expect(signed("$2.00", "2")).toBe("+$2.00");
  expect(signed("$-2.00", "-2")).toBe("−$2.00");
  expect(signed("$0", "0")).toBe("$0");
});
