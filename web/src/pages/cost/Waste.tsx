/** What was spent in vain, with the dearest calls to look at. */
import { getWaste } from "../../api/calls";
import { href } from "../../router";
import { formatCount, formatShare, formatUsd, formatUsdFine, plural } from "../../state/format";
import type { Scope } from "../../state/scope";
import { apiTime } from "../../state/time";
import { Await, Card, ShareBar } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { useLoad } from "../../ui/useLoad";

const KINDS: Record<string, { name: string; help: string }> = {
  errors: { name: "Failed calls", help: "billed, but no answer" },
  retries: { name: "Asked again", help: "the same question again, shortly after" },
  cut_off: { name: "Cut off", help: "the answer hit the limit of tokens" },
};

export function Waste({ scope }: { scope: Scope }) {
  const found = useLoad(scope.key, (signal) => getWaste({ q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to) }, signal));
  return (
    <Card title="Spent in vain" note={found.data ? `${formatUsd(found.data.wasted_usd)}, ${formatShare(found.data.share_of_cost)} of the spend` : undefined}>
      <Await of={found} lines={4}>
        {(waste) => (
          <FigureTable
            heads={["Kind", { end: "Spend" }, "Share", "Dearest"]}
            after={
              waste.resends.requests > 0 && (
                <p class="muted figure-empty">
                  The proxy sent {plural(waste.resends.requests, "call")} {formatCount(waste.resends.resends)} times more; those attempts left no bill.
                </p>
              )
            }
          >
            {waste.kinds.map((kind) => (
              <tr key={kind.kind}>
                <th scope="row">
                  {KINDS[kind.kind].name}
                  <p class="muted small">
                    {plural(kind.requests, "call")}, {KINDS[kind.kind].help}
                  </p>
                </th>
                <td class="end">
                  {formatUsd(kind.cost_usd)}
                  {kind.unpriced_requests > 0 && <p class="muted small">{formatCount(kind.unpriced_requests)} unpriced</p>}
                </td>
                <td>
                  <span class="share-cell">
                    <ShareBar share={kind.share_of_cost} look="warn" />
                    {formatShare(kind.share_of_cost)}
                  </span>
                </td>
                <td>
                  {kind.examples.slice(0, 3).map((example) => (
                    <a key={example.span_id} class="example" href={href("trace", { id: example.trace_id, span: example.span_id })} title={example.model}>
                      {formatUsdFine(example.cost_usd)}
                    </a>
                  ))}
                  {kind.examples.length === 0 && <span class="muted">none</span>}
                </td>
              </tr>
            ))}
          </FigureTable>
        )}
      </Await>
    </Card>
  );
}
