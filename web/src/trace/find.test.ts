import { describe, expect, it } from "vitest";
import { findSpans, nextMatch } from "./find";
import { buckets, countedText, reasonText } from "./usage";
import { barOf, frameOf, timeTicks } from "./layout";

describe("findSpans", () => {
  const spans = [
    { span_id: "aa", name: "chat gpt-4o", category: "llm", model: "gpt-4o", status_code: "error" },
    { span_id: "bb", name: "Search Docs", category: "retriever" },
  ];
  it("wants every word, in any case", () => {
    expect([...findSpans(spans, "search docs")]).toEqual(["bb"]);
    expect([...findSpans(spans, "GPT error")]).toEqual(["aa"]);
    expect([...findSpans(spans, "gpt docs")]).toEqual([]);
    expect([...findSpans(spans, "  ")]).toEqual([]);
  });
});

describe("nextMatch", () => {
  it("wraps around both ways", () => {
    expect(nextMatch([2, 5, 9], 5, 1)).toBe(9);
    expect(nextMatch([2, 5, 9], 9, 1)).toBe(2);
    expect(nextMatch([2, 5, 9], 2, -1)).toBe(9);
    expect(nextMatch([2, 5, 9], -1, 1)).toBe(2);
    expect(nextMatch([], 3, 1)).toBe(-1);
  });
});

describe("bars", () => {
  it("stay within the frame whatever the durations are", () => {
    const spans = [{ start_ms: -5, duration_ms: 0 }, { start_ms: 0, duration_ms: 100 }, { start_ms: 50, duration_ms: -10 }];
    const frame = frameOf(spans);
    expect(frame).toEqual({ from: -5, to: 100 });
    for (const span of spans) {
      const bar = barOf(span, frame);
      expect(bar.left).toBeGreaterThanOrEqual(0);
      expect(bar.left + bar.width).toBeLessThanOrEqual(100.0001);
    }
  });
  it("have a frame also when nothing takes time", () => {
    expect(frameOf([])).toEqual({ from: 0, to: 1 });
    expect(frameOf([{ start_ms: 3, duration_ms: 0 }])).toEqual({ from: 3, to: 4 });
  });
  it("put ticks at round times inside the frame", () => {
    expect(timeTicks({ from: 0, to: 2590 }, 5)).toEqual([1000, 2000]);
    for (const length of [0.003, 1, 7, 999, 123_456_789]) {
      const ticks = timeTicks({ from: 0, to: length }, 5);
      expect(ticks.length).toBeLessThanOrEqual(5);
      expect(ticks.every((tick) => tick > 0 && tick < length)).toBe(true);
    }
  });
});

describe("usage", () => {
  const none = { input_tokens: null, output_tokens: null, cache_read_tokens: null, cache_write_tokens: null, reasoning_tokens: null, audio_input_tokens: null, audio_output_tokens: null, audio_cache_read_tokens: null, cache_write_1h_tokens: null, image_input_tokens: null, image_output_tokens: null, tool_use_tokens: null, web_search_requests: null, service_tier: "", basis: "", counted: true, counted_reason: "" };
  it("splits inclusive totals into buckets that add up to them", () => {
    const parts = buckets({ ...none, input_tokens: 100, cache_read_tokens: 40, cache_write_tokens: 10, output_tokens: 30, reasoning_tokens: 20 });
    expect(parts.map((part) => [part.name, part.tokens])).toEqual([["Input", 50], ["Read from cache", 40], ["Written to cache", 10], ["Output", 10], ["Reasoning", 20]]);
    expect(parts.reduce((sum, part) => sum + part.tokens, 0)).toBe(130);
  });
  it("never shows less than nothing", () => {
    expect(buckets({ ...none, input_tokens: 10, cache_read_tokens: 40 }).map((part) => part.tokens)).toEqual([40]);
    expect(buckets(none)).toEqual([]);
  });
  it.each([
    ["no_usage", "the sender reported no tokens"],
    ["no_usage: output_tokens", "the sender did not report output tokens"],
    ["unknown_model: shop-guard-7b", "the model shop-guard-7b is not in the price list"],
    ["no_price_for: cache_read", "no price is known for cache read"],
    ["something_new", "something new"],
  ])("says %s in words", (reason, text) => expect(reasonText(reason)).toBe(text));
  it.each([
    ["wraps_call", "the call below it has the figures"],
    ["same_call: 00f067aa0ba902b7", "span 00f067aa0ba902b7 reports the same call"],
    ["summed_by: 00f067aa", "span 00f067aa, a later call of the same loop, tells the sum"],
    ["other_trace: 4bf92f35/00f067aa", "span 00f067aa of trace 4bf92f35 reports the same call"],
    ["something_new", "another span reports the same use"],
  ])("says why %s is not counted", (reason, text) => expect(countedText(reason)).toBe(text));
});
