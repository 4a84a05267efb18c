import { expect, it } from "vitest";
import type { Figures } from "../../ui/chart/prepare";
import { moversOf } from "./movers";

const reply = (totals: Record<string, number>, rest = 0): Figures => ({
  metric: "cost_usd", unit: "USD", interval_s: 3600,
  series: [...Object.entries(totals).map(([model, total]) => ({ group: { model }, points: [], total })), { group: { other: "true" }, points: [], total: rest }],
});

it("ranks by how far totals moved, whichever way, newcomers and leavers among them", () => {
  const found = moversOf(reply({ a: 5, b: 10, new: 2, same: 1 }, 100), reply({ a: 4, b: 2, gone: 30, same: 1 }));
  expect(found.map((one) => one.value)).toEqual(["gone", "b", "new", "a"]);
  expect(found[0]).toEqual({ value: "gone", now: 0, before: 30, change: -30 });
});

it("lists no more than was asked for", () => {
  expect(moversOf(reply({ a: 1, b: 2, c: 3 }), reply({}), 2).map((one) => one.value)).toEqual(["c", "b"]);
});
