/** Why a period cost more or less than the one before: factor by factor, and model by model. */
import { useState } from "preact/hooks";
import { getCostChanges } from "../../api/calls";
import type { CostChangeReply } from "../../api/client";
import { formatCount, formatShare, formatUsd } from "../../state/format";
import type { Scope } from "../../state/scope";
import { apiTime } from "../../state/time";
import { Await, Card, Empty } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { Button } from "../../ui/kit";
import { useLoad } from "../../ui/useLoad";
import { FACTORS, signed, waterfall } from "./waterfall";

export function Changes({ scope }: { scope: Scope }) {
  const found = useLoad(scope.key, (signal) => getCostChanges({ q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to) }, signal));
  return (
    <Card title="What changed" note="against the same time before">
      <Await of={found} lines={6}>
        {(change) => <Waterfall change={change} />}
      </Await>
    </Card>
  );
}

function Waterfall({ change }: { change: CostChangeReply }) {
  const [models, setModels] = useState(false);
  if (Number(change.baseline.cost_usd) === 0 && Number(change.current.cost_usd) === 0) return <Empty>Nothing was spent in either period.</Empty>;
  const usd = (text: string) => signed(formatUsd(Math.abs(Number(text))), text);
  return (
    <div class="changes">
      <p class="changes-top">{change.top ? change.top.sentence : "Both periods cost the same."}</p>
      <ol class="waterfall num">
        {waterfall(change).map((step) => (
          <li key={step.name} class={`waterfall-step waterfall-${step.kind}`} title={Object.values(FACTORS).find((factor) => factor.name === step.name)?.help}>
            <span class="waterfall-name">{step.name}</span>
            <span class="waterfall-track" aria-hidden="true">
              <span class="waterfall-bar" style={{ left: `${step.from * 100}%`, width: `max(2px, ${(step.to - step.from) * 100}%)` }} />
            </span>
            <span class="waterfall-usd">{step.kind === "start" || step.kind === "end" ? formatUsd(step.usd) : usd(step.usd)}</span>
          </li>
        ))}
      </ol>
      <Button look="plain" icon={models ? "down" : "chevron"} aria-expanded={models} onClick={() => setModels(!models)}>
        By model
      </Button>
      {models && (
        <FigureTable heads={["Model", { end: "Change" }, { end: "Calls" }, { end: "Tokens in per call" }, { end: "Cached" }]}>
          {change.models.map((model) => (
            <tr key={`${model.provider}/${model.model}`}>
              <th scope="row" class="clip">
                {model.model || "(none)"}
              </th>
              <td class={Number(model.change_usd) > 0 ? "end error-text" : "end"}>{usd(model.change_usd)}</td>
              <td class="end">
                {formatCount(model.baseline.requests)} → {formatCount(model.current.requests)}
              </td>
              <td class="end">
                {whole(model.baseline.input_tokens_per_request)} → {whole(model.current.input_tokens_per_request)}
              </td>
              <td class="end">
                {formatShare(model.baseline.cache_hit_rate)} → {formatShare(model.current.cache_hit_rate)}
              </td>
            </tr>
          ))}
        </FigureTable>
      )}
    </div>
  );
}

function whole(value: number | null): string {
  return value === null ? "–" : formatCount(Math.round(value));
}
