/** Tokens and money of a span, in disjoint buckets, with why a price is missing or why it does not count. */
import type { SpanDetail } from "../../api/client";
import { formatExact, formatUsdFine } from "../../state/format";
import { Icon } from "../../ui/icons";

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

export function Usage({ span }: { span: SpanDetail }) {
  const { usage, cost } = span;
  const known = usage.input_tokens !== null || usage.output_tokens !== null;
  if (!known && !cost.status) return null;
  const parts = buckets(usage);
  const total = parts.reduce((sum, part) => sum + part.tokens, 0);
  return (
    <section class="usage" aria-label="Tokens and cost">
      {total > 0 && (
        <div class="usage-bar" aria-hidden="true">
          {parts.map((part) => (
            <span key={part.name} class={part.look} style={{ flexGrow: part.tokens }} />
          ))}
        </div>
      )}
      <div class="usage-list num">
        {parts.map((part) => (
          <span key={part.name} class="usage-part">
            <span class={`usage-dot ${part.look}`} />
            {part.name} <b>{formatExact(part.tokens)}</b>
          </span>
        ))}
        {!known && <span class="muted">No tokens reported</span>}
        <span class="grow" />
        <Money span={span} />
      </div>
      {known && !usage.counted && (
        <p class="usage-note">
          <Icon name="info" size={13} /> Shown, but not counted in sums: a span below reports the same use.
        </p>
      )}
      {cost.reason && (cost.status === "unpriced" || cost.status === "partial") && (
        <p class="usage-note">
          <Icon name="info" size={13} /> {cost.status === "partial" ? "Only part of it has a price" : "No price"}: {cost.reason}
        </p>
      )}
    </section>
  );
}

function Money({ span: { cost } }: { span: SpanDetail }) {
  if (cost.total_usd === null) return cost.status === "unpriced" ? <span class="unpriced">unpriced</span> : null;
  const reported = cost.reported_usd !== null && cost.reported_usd !== cost.total_usd ? `\nThe sender reported $${cost.reported_usd}` : "";
  return (
    <span class="usage-money" title={`$${cost.total_usd}${reported}`}>
      {cost.input_usd !== null && cost.output_usd !== null && (
        <span class="muted">
          {formatUsdFine(cost.input_usd)} in + {formatUsdFine(cost.output_usd)} out =
        </span>
      )}{" "}
      <b>{formatUsdFine(cost.total_usd)}</b>
      {cost.status === "reported" && <span class="muted"> as reported</span>}
    </span>
  );
}
