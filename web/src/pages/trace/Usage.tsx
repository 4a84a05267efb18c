/** Tokens and money of a span, in disjoint buckets, with why a price is missing or why it does not count. */
import type { SpanDetail } from "../../api/client";
import { formatExact, formatUsdFine } from "../../state/format";
import { buckets, countedText, reasonText } from "../../trace/usage";
import { Icon } from "../../ui/icons";

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
          <Icon name="info" size={13} /> Shown, but not counted in sums: {countedText(usage.counted_reason)}.
        </p>
      )}
      {cost.difference_usd !== null && Number(cost.difference_usd) !== 0 && (
        <p class="usage-note">
          <Icon name="info" size={13} /> The sender reported {formatUsdFine(cost.reported_usd ?? "0")}, the price list says{" "}
          {formatUsdFine(cost.computed_usd ?? "0")}.
        </p>
      )}
      {cost.reason && known && (cost.status === "unpriced" || cost.status === "partial") && (
        <p class="usage-note">
          <Icon name="info" size={13} /> {cost.status === "partial" ? "Only part of it has a price" : "No price"}: {reasonText(cost.reason)}
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
