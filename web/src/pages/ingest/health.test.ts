import { expect, it } from "vitest";
import type { IngestReply } from "../../api/client";
import { health, rateOf } from "./health";

const worker = (changes: Partial<IngestReply["workers"][0]>): IngestReply["workers"][0] => ({
  name: "rollup", kind: "worker", state: "running", every_s: 15, lag_s: 3, catching_up_before: null, runs: 1, rows: 1,
  rows_per_s: 0, busy_s: 0, errors: 0, last_error: "", last_error_at: null, last_run_at: null, ...changes,
});
const ingest = (changes: Partial<IngestReply>): IngestReply => ({
  received_spans: 1, stored_spans: 1, duplicate_spans: 0, received_logs: 0, received_metric_points: 0, rejected: {},
  spool: { bytes: 0, requests: 0, oldest_age_s: 0, set_aside: 0 }, lag_s: 0, workers: [worker({})], ...changes,
});

it("tells the worst first", () => {
  expect(health(ingest({})).look).toBe("ok");
  expect(health(ingest({ lag_s: 31, workers: [worker({ state: "failing" })] })).words).toContain("Storing lags");
  expect(health(ingest({ workers: [worker({ state: "failing" })] }))).toEqual({ look: "error", words: "Failing: rollup" });
  expect(health(ingest({ workers: [worker({ lag_s: 600 })] }))).toEqual({ look: "warn", words: "Lagging: rollup" });
  expect(health(ingest({ workers: [worker({ lag_s: null })] })).look).toBe("ok");
  expect(health(ingest({ spool: { bytes: 0, requests: 0, oldest_age_s: 0, set_aside: 2 } })).look).toBe("warn");
});

it("measures the rate between samples", () => {
  expect(rateOf([])).toBeNull();
  expect(rateOf([{ at: 0, received: 5 }])).toBeNull();
  expect(rateOf([{ at: 0, received: 5 }, { at: 2000, received: 25 }])).toBe(10);
  expect(rateOf([{ at: 0, received: 5 }, { at: 2000, received: 1 }])).toBe(0);
});
