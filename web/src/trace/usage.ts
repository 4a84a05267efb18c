/** Tokens in disjoint buckets, and in words why a price is missing. Pure. */
import type { SpanDetail } from "../api/client";

export interface Bucket {
  name: string;
  side: "input" | "output";
  tokens: number;
  look: string;
}

/** Splits the inclusive totals into buckets that do not overlap; empty ones are left out. */
export function buckets(usage: SpanDetail["usage"]): Bucket[] {
  const read = usage.cache_read_tokens ?? 0;
  const write = usage.cache_write_tokens ?? 0;
  const heard = usage.audio_input_tokens ?? 0;
  const thought = usage.reasoning_tokens ?? 0;
  const spoken = usage.audio_output_tokens ?? 0;
  const all: Bucket[] = [
    { name: "Input", side: "input", tokens: Math.max(0, (usage.input_tokens ?? 0) - read - write - heard), look: "u-input" },
    { name: "Read from cache", side: "input", tokens: read, look: "u-read" },
    { name: "Written to cache", side: "input", tokens: write, look: "u-write" },
    { name: "Audio in", side: "input", tokens: heard, look: "u-audio" },
    { name: "Output", side: "output", tokens: Math.max(0, (usage.output_tokens ?? 0) - thought - spoken), look: "u-output" },
    { name: "Reasoning", side: "output", tokens: thought, look: "u-reasoning" },
    { name: "Audio out", side: "output", tokens: spoken, look: "u-audio" },
  ];
  return all.filter((bucket) => bucket.tokens > 0);
}

/** Says the server's reason for a missing price as the end of a sentence. */
export function reasonText(reason: string): string {
  const [code, rest] = reason.split(": ", 2);
  switch (code) {
    case "no_usage":
      return rest ? `the sender did not report ${rest.replace(/_/g, " ")}` : "the sender reported no tokens";
    case "no_price_for":
      return `no price is known for ${rest?.replace(/_/g, " ") ?? "it"}`;
    case "unknown_model":
      return rest ? `the model ${rest} is not in the price list` : "the span names no model";
    default:
      return reason.replace(/_/g, " ");
  }
}

/** Says why the usage of a span is not counted, as the end of a sentence. */
export function countedText(reason: string): string {
  const [code, span] = reason.split(": ", 2);
  switch (code) {
    case "wraps_call":
      return "the call below it has the figures";
    case "repeats_children":
      return "it sums up what is below it";
    case "inside_call":
      return "it is part of the call above it";
    case "same_response":
    case "same_call":
      return `span ${span ?? ""} reports the same call`;
    case "summed_by":
      return `span ${span ?? ""}, a later call of the same loop, tells the sum`;
    case "other_trace": {
      const [trace, inner] = (span ?? "").split("/", 2);
      return `span ${inner ?? ""} of trace ${trace ?? ""} reports the same call`;
    }
    default:
      return "another span reports the same use";
  }
}
