/** GPUs of one's own: what they are paid by the hour, and what a million of the tokens they served came to. */
import { deleteGpuPrice, getSelfHosted, listGpuPrices } from "../../api/calls";
import type { GpuPriceItem, SelfHosted } from "../../api/client";
import { formatCount, formatFull, formatShare, formatUsd, formatWhen } from "../../state/format";
import type { Scope } from "../../state/scope";
import { apiTime } from "../../state/time";
import { viewHref } from "../../state/view";
import { FigureTable } from "../../ui/FigureTable";
import { Button } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { GpuPriceForm } from "./GpuPriceForm";
import { whatIfModels } from "./WhatIf";

interface Gpus extends GpuPriceItem {
  /** In the range of the page. */
  used: SelfHosted | undefined;
}

const HEADS = ["GPUs", "Serve", { end: "Per GPU-hour" }, { end: "GPU-hours" }, { end: "Cost" }, { end: "Tokens" }, { end: "Per million tokens" }, { hidden: "Delete" }];

export function OwnGpus({ scope }: { scope: Scope }) {
  const models = whatIfModels();
  const load = async (signal: AbortSignal) => {
    const over = { from: apiTime(scope.from), to: apiTime(scope.to), model: models };
    const [prices, used] = await Promise.all([listGpuPrices(signal), getSelfHosted(over, signal)]);
    return { items: prices.items.map((price): Gpus => ({ ...price, used: used.items.find((one) => one.id === price.id) })) };
  };
  return (
    <Managed<Gpus>
      title="Own GPUs"
      note="paid by the hour, used or not; whatever is filtered above"
      add="Add GPUs"
      of={scope.key && `${scope.from}|${scope.to}|${models}`}
      load={load}
      empty="None yet. With the price of a GPU-hour and a filter for the calls they serve, models of your own stand beside the APIs in dollars per million tokens."
      form={(_, close, saved) => <GpuPriceForm onClose={close} onSaved={saved} />}
      removal={(gpus) => ({ title: `Delete ${gpus.name}?`, words: "What they cost in the past is not shown any more either.", act: () => deleteGpuPrice(gpus.id) })}
    >
      {(items, { remove }) => (
        <FigureTable heads={HEADS} label="Own GPUs">
          {items.map((gpus) => (
            <Row key={gpus.id} gpus={gpus} onRemove={() => remove(gpus)} />
          ))}
        </FigureTable>
      )}
    </Managed>
  );
}

function Row({ gpus, onRemove }: { gpus: Gpus; onRemove: () => void }) {
  const { used } = gpus;
  const tokens = used ? used.input_tokens + used.output_tokens : 0;
  return (
    <tr>
      <th scope="row" class="wrap">
        {gpus.name}
        <p class="muted small">
          {formatCount(Number(gpus.gpu_count))} × {gpus.gpu_type || "GPU"}, <time title={formatFull(gpus.effective_from)}>since {formatWhen(gpus.effective_from)}</time>
          {gpus.effective_until && <time title={formatFull(gpus.effective_until)}> until {formatWhen(gpus.effective_until)}</time>}
          {gpus.note && `. ${gpus.note}`}
        </p>
      </th>
      <td class="clip">
        <a href={viewHref({ q: gpus.q })}>
          <code>{gpus.q}</code>
        </a>
      </td>
      <td class="end">{formatUsd(gpus.usd_per_gpu_hour)}</td>
      <td class="end">
        {used ? formatCount(Number(used.gpu_hours.toPrecision(4))) : "–"}
        {used?.measured && <p class="muted small">{formatShare(used.measured.utilization)} used, as measured</p>}
      </td>
      <td class="end">
        {formatUsd(used?.cost_usd ?? null)}
        {used?.measured && Number(used.measured.idle_usd) > 0 && <p class="warn-text small">{formatUsd(used.measured.idle_usd)} idle</p>}
      </td>
      <td class="end">{used ? `${formatCount(used.input_tokens)} → ${formatCount(used.output_tokens)}` : "–"}</td>
      <td class="end">
        {used?.usd_per_mtok ? <b>{formatUsd(used.usd_per_mtok)}</b> : <span class="muted">served nothing</span>}
        {used?.models.map((model) => (
          <p key={model.asked} class="muted small">
            {model.model || model.asked}: {model.cost_usd === null || tokens === 0 ? "no price" : formatUsd((Number(model.cost_usd) / tokens) * 1e6)}
          </p>
        ))}
      </td>
      <td class="end">
        <Button icon="trash" label={`Delete ${gpus.name}`} onClick={onRemove} />
      </td>
    </tr>
  );
}
