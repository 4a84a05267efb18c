/** What the same calls would have cost with other models. */
import { useState } from "preact/hooks";
import { getWhatIf } from "../../api/calls";
import { place, setParams } from "../../router";
import { formatShare, formatUsd, plural } from "../../state/format";
import type { Scope } from "../../state/scope";
import { apiTime } from "../../state/time";
import { Await, Card, Empty } from "../../ui/figures";
import { FigureTable } from "../../ui/FigureTable";
import { Button } from "../../ui/kit";
import { useLoad } from "../../ui/useLoad";
import { signed } from "./waterfall";

const MOST = 10;

/** The models that the address names to compare with. */
export function whatIfModels(): string[] {
  return (place.value.params.get("if") ?? "").split(",").filter(Boolean).slice(0, MOST);
}

export function WhatIf({ scope }: { scope: Scope }) {
  const models = whatIfModels();
  const [typed, setTyped] = useState("");
  const keep = (next: string[]) => setParams({ if: next.join(",") || undefined }, { replace: true });
  const found = useLoad(scope.key && models.length ? `${scope.key}|${models}` : "", (signal) => getWhatIf({ q: scope.q, from: apiTime(scope.from), to: apiTime(scope.to), model: models }, signal));
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = typed.split(",").map((one) => one.trim()).filter(Boolean);
    if (wanted.length) keep([...new Set([...models, ...wanted])].slice(0, MOST));
    setTyped("");
  };
  return (
    <Card title="With another model" note="the same calls by the tokens they used">
      <form class="inline-form" onSubmit={submit}>
        <label class="visually-hidden" for="what-if-model">
          Model
        </label>
        <input id="what-if-model" class="text-input" value={typed} placeholder="gpt-4o-mini or anthropic/claude-haiku-4-5" onInput={(event) => setTyped(event.currentTarget.value)} />
        <Button look="outline" type="submit" icon="plus">
          Compare
        </Button>
      </form>
      {models.length === 0 ? (
        <Empty>Name a model to see what this traffic would have cost with it.</Empty>
      ) : (
        <Await of={found} lines={2}>
          {(reply) => (
            <FigureTable heads={["Model", { end: "Would cost" }, { end: "Did cost" }, { end: "Change" }, { hidden: "Remove" }]}>
              {reply.models.map((model) => (
                <tr key={model.asked}>
                  <th scope="row" class="clip">
                    {model.model || model.asked}
                    <p class="muted small">
                      {model.cost_usd === null
                        ? Object.keys(model.reasons)[0] || "has no price"
                        : model.unpriceable_requests
                          ? `${plural(model.unpriceable_requests, "call")} cannot be priced`
                          : `over ${plural(model.priced_requests, "call")}`}
                    </p>
                  </th>
                  <td class="end">{formatUsd(model.cost_usd === null ? null : model.comparable.what_if_usd)}</td>
                  <td class="end">{formatUsd(model.cost_usd === null ? null : model.comparable.actual_usd)}</td>
                  <td class={`end${Number(model.comparable.change_usd) > 0 ? " error-text" : ""}`}>
                    {model.cost_usd === null ? "–" : `${signed(formatUsd(Math.abs(Number(model.comparable.change_usd))), model.comparable.change_usd)} (${formatShare(model.comparable.change_share)})`}
                  </td>
                  <td class="end">
                    <Button icon="close" label={`Without ${model.asked}`} onClick={() => keep(models.filter((one) => one !== model.asked))} />
                  </td>
                </tr>
              ))}
            </FigureTable>
          )}
        </Await>
      )}
    </Card>
  );
}
