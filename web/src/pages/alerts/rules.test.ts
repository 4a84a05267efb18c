import { describe, expect, it } from "vitest";
import type { RuleItem } from "../../api/client";
import { draftOf, NEW_RULE, PARAMS, readSeconds, ruleOf, writeSeconds } from "./rules";

const ITEM: RuleItem = {
  id: "1", name: "Slow", type: "threshold", enabled: true, metric: "ttft_ms.p95", q: "service:a", group_by: ["model", "service"], window_s: 5400, every_s: 60,
  for_s: 0, keep_firing_s: 90, severity: "warning", params: { above: 1.5, bucket_s: 300, aggregate: "max" }, no_data: "keep", channels: ["ops"],
  labels: { team: "x=y" }, note: "n", managed_by: "file", created_at: "", updated_at: "", state: "ok", reason: "", error: "", error_since: null,
  evaluated_at: null, observed: {}, took_ms: 0, alerts: { pending: 0, firing: 0 },
};

describe("seconds", () => {
  it("are read with and without a unit", () => {
    expect(["5m", "1.5h", "90", " 2d ", "1w"].map(readSeconds)).toEqual([300, 5400, 90, 172_800, 604_800]);
    expect(["", "m", "-5m", "5 minutes", "1e3"].map(readSeconds)).toEqual([null, null, null, null, null]);
  });

  it("are written so that they read back as the same", () => {
    for (const seconds of [0, 1, 59, 60, 90, 3600, 5400, 86_400, 604_800, 700_000]) expect(readSeconds(writeSeconds(seconds))).toBe(seconds);
  });
});

describe("rules", () => {
  it("come back from the form as they went in", () => {
    const { name, type, metric, q, group_by, window_s, every_s, for_s, keep_firing_s, severity, params, no_data, channels, labels, note, enabled } = ITEM;
    expect(ruleOf(draftOf(ITEM))).toEqual({ name, type, metric, q, group_by, window_s, every_s, for_s, keep_firing_s, severity, params, no_data, channels, labels, note, enabled, managed_by: "file" });
  });

  it("leave behind what another kind asked for, and keep what the form does not know", () => {
    const draft = { ...NEW_RULE, type: "anomaly", params: { above: "5", direction: "up", learn_s: "7200" } };
    expect(ruleOf(draft).params).toEqual({ direction: "up", learn_s: 7200 });
    expect(ruleOf({ ...draft, type: "budget" }).metric).toBe("");
  });

  it("name the field that cannot be read", () => {
    expect(() => ruleOf({ ...NEW_RULE, window: "soon" })).toThrow("Window");
    expect(() => ruleOf({ ...NEW_RULE, params: { above: "much" } })).toThrow("Breach above");
  });

  it("offer what a kind takes only once", () => {
    for (const fields of Object.values(PARAMS)) expect(new Set(fields.map((field) => field.name)).size).toBe(fields.length);
  });
});
