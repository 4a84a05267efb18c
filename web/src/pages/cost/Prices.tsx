/** Own prices of models, which go before the public list, and pricing what is stored anew. */
import { useEffect, useState } from "preact/hooks";
import { deletePrice, getRemake, listPrices, startReprice } from "../../api/calls";
import type { ApiError, PriceItem, RemakeItem } from "../../api/client";
import { place, projectOf, USUAL_PROJECT } from "../../router";
import { capital, formatCount, formatFull, formatWhen, plural } from "../../state/format";
import { FigureTable } from "../../ui/FigureTable";
import { FormError, useSave } from "../../ui/form";
import { Button } from "../../ui/kit";
import { Managed } from "../../ui/Managed";
import { toError } from "../../ui/useLoad";
import { PriceForm } from "./PriceForm";

const ASK_MS = 1000;

/** `onPriced` is called when stored calls have new prices. */
export function Prices({ onPriced }: { onPriced: () => void }) {
  return (
    <Managed<PriceItem>
      title="Own prices"
      note="go before the public price list; dollars per million tokens"
      add="Add a price"
      load={listPrices}
      empty="None yet: the public list holds. Give a price to models that it does not know, or to those that you pay differently."
      form={(_, close, saved) => <PriceForm onClose={close} onSaved={saved} />}
      removal={(price) => ({ title: `Delete the price of ${price.model}?`, words: "Calls that are stored keep theirs until they are priced anew.", act: () => deletePrice(price.id) })}
    >
      {(prices, { remove }) => (
        <>
          <FigureTable heads={["Model", { end: "Input" }, { end: "Output" }, "Other", "Holds", { hidden: "Delete" }]} label="Own prices">
            {prices.map((price) => (
              <Row key={price.id} price={price} onRemove={() => remove(price)} />
            ))}
          </FigureTable>
          <Reprice onPriced={onPriced} />
        </>
      )}
    </Managed>
  );
}

const PLAIN = new Set(["input_usd_per_mtok", "output_usd_per_mtok"]);

function Row({ price, onRemove }: { price: PriceItem; onRemove: () => void }) {
  const others = Object.entries(price.rates).filter(([name]) => !PLAIN.has(name));
  const only = [price.provider, price.service_tier, price.above_input_tokens ? `above ${formatCount(price.above_input_tokens)} input tokens` : "", price.note].filter(Boolean);
  return (
    <tr>
      <th scope="row" class="wrap">
        <code>{price.model}</code>
        {only.length > 0 && <p class="muted small">{only.join(", ")}</p>}
      </th>
      <td class="end">{dollars(price.rates.input_usd_per_mtok)}</td>
      <td class="end">{dollars(price.rates.output_usd_per_mtok)}</td>
      <td class="wrap">{others.map(([name, rate]) => `${capital(name.replace(/_usd_per_(mtok|k)$/, "").replace(/_/g, " "))} ${dollars(rate)}${name.endsWith("_k") ? " per thousand" : ""}`).join(", ") || <span class="muted">–</span>}</td>
      <td>
        {price.effective_from ? <time title={formatFull(price.effective_from)}>since {formatWhen(price.effective_from)}</time> : "always"}
        {price.effective_until && <time title={formatFull(price.effective_until)}> until {formatWhen(price.effective_until)}</time>}
      </td>
      <td class="end">
        <Button icon="trash" label={`Delete the price of ${price.model}`} onClick={onRemove} />
      </td>
    </tr>
  );
}

/** The exact figure: a price is never rounded. */
function dollars(rate: string | undefined): string {
  return rate === undefined ? "–" : `$${rate}`;
}

/** Prices what is stored anew, and tells how far that is. */
function Reprice({ onPriced }: { onPriced: () => void }) {
  const [run, setRun] = useState<RemakeItem | null>(null);
  const [lost, setLost] = useState<ApiError | null>(null);
  const { save, error, busy } = useSave(() => startReprice(projectOf(place.value.params) || USUAL_PROJECT), setRun);
  const running = run?.state === "running";
  useEffect(() => {
    if (!run || !running) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(
      () =>
        getRemake(run.id, abort.signal).then(
          (next) => {
            setRun(next);
            if (next.state === "done") onPriced();
          },
          (thrown) => !abort.signal.aborted && setLost(toError(thrown)),
        ),
      ASK_MS,
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [run]);
  return (
    <div class="reprice">
      <Button look="outline" icon="reload" disabled={busy || (running && !lost)} onClick={save}>
        Price stored calls anew
      </Button>
      <span role="status" class="muted num">
        {run && words(run)}
      </span>
      <FormError error={error ?? lost} />
    </div>
  );
}

function words(run: RemakeItem): string {
  if (run.state === "running") return `Looked at ${plural(run.spans, "span")}…`;
  if (run.state === "done") return `Done: ${plural(run.changed, "span")} of ${formatCount(run.spans)} got another price`;
  return run.error ? `It ended early: ${run.error}` : "It was stopped before its end";
}
